import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from './find-program.ts';
import { openSqlServer, startSqlServer, versionIn } from './sql-server.ts';
import type { Flavour, PrivateSqlServer, SqlProgram, SqlServer, SqlServerOptions } from './sql-server.ts';

const execute = promisify(execFile);

export const mariadb: Flavour = { name: 'mariadb', urlVariable: 'TEST_MARIADB_URL', find };

/** The server of `TEST_MARIADB_URL`, else a private one. */
export function openMariadb(): Promise<SqlServer> {
  return openSqlServer(mariadb);
}

/** A private server, for tests that kill it, pause it or change its settings. */
export function startMariadb(options?: SqlServerOptions): Promise<PrivateSqlServer> {
  return startSqlServer(mariadb, options);
}

let found: SqlProgram | undefined;

function find(): SqlProgram | undefined {
  if (found !== undefined) return found;
  const server = findProgram('mariadbd');
  const installer = findProgram('mariadb-install-db');
  if (server === undefined || installer === undefined) return undefined;
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  const logSize = '--innodb-log-file-size=32M';
  found = {
    version: versionIn(execFileSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' })),
    run: [server, '--no-defaults'],
    flags: [...user, logSize],
    async initialise(folder) {
      await execute(installer, [
        '--no-defaults',
        ...user,
        `--datadir=${folder}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        logSize,
      ]);
    },
  };
  return found;
}
