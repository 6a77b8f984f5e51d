import { rmSync } from 'node:fs';
import { freshFolder, freshPath } from '../../testing/run-folder.ts';
import { startMariadb } from '../../testing/mariadb.ts';
import { startMysql } from '../../testing/real-mysql.ts';
import type { Database, PrivateSqlServer } from '../../testing/sql-server.ts';
import { FsyncProbe } from '../measure/fsync-probe.ts';
import type { Options } from '../options.ts';

/** What all measurements share: the options, one private database server with full durability, a probe of the disk. */
export interface Scene {
  readonly options: Options;
  readonly sql: PrivateSqlServer;
  readonly version: string;
  readonly probe: FsyncProbe;
  close(): Promise<void>;
}

/** A redo log and a cache that do not fill up within a run: their flushing is not what is measured. */
const SIZES = {
  mariadb: ['--innodb-log-file-size=1G', '--innodb-buffer-pool-size=2G'],
  mysql: ['--innodb-redo-log-capacity=1G', '--innodb-buffer-pool-size=2G'],
};

export async function setScene(options: Options): Promise<Scene> {
  const start = options.database === 'mariadb' ? startMariadb : startMysql;
  const sql = await start({ flags: [...SIZES[options.database], `--tmpdir=${freshFolder('tmp')}`] });
  const probe = new FsyncProbe();
  const file = freshPath('probe');
  await probe.start(file);
  const [row] = await sql.query('SELECT VERSION() AS version');
  return {
    options,
    sql,
    version: String(row?.['version']),
    probe,
    async close() {
      await probe.stop();
      rmSync(file, { force: true });
      await sql.stop();
    },
  };
}

/** Does something with a fresh database, and drops it. */
export async function withDatabase<T>(scene: Scene, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await scene.sql.createDatabase('bench');
  try {
    return await work(database);
  } finally {
    await database.drop();
  }
}
