import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canRun, findProgram } from './find-program.ts';
import { openSqlServer, startSqlServer, versionIn } from './sql-server.ts';
import type { Flavour, PrivateSqlServer, SqlProgram, SqlServer, SqlServerOptions } from './sql-server.ts';

const execute = promisify(execFile);

/** Oracle's MySQL. Debian ships none, so besides the PATH an unpacked one in a private folder is looked for. */
export const mysql: Flavour = { name: 'mysql', urlVariable: 'TEST_MYSQL_URL', find };

/** The server of `TEST_MYSQL_URL`, else a private one. */
export function openMysql(): Promise<SqlServer> {
  return openSqlServer(mysql);
}

/** A private server, for tests that kill it, pause it or change its settings. */
export function startMysql(options?: SqlServerOptions): Promise<PrivateSqlServer> {
  return startSqlServer(mysql, options);
}

interface Place {
  readonly run: readonly [string, ...string[]];
  readonly flags: readonly string[];
}

let found: SqlProgram | undefined;

function find(): SqlProgram | undefined {
  if (found !== undefined) return found;
  const place = unpacked() ?? installed();
  if (place === undefined) return undefined;
  const [command, ...leading] = place.run;
  const version = execFileSync(command, [...leading, '--version'], { encoding: 'utf8' });
  if (/mariadb/i.test(version)) return undefined;
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  const flags = [...user, ...place.flags, '--innodb-redo-log-capacity=32M', '--mysqlx=OFF', '--secure-file-priv=NULL'];
  found = {
    version: versionIn(version),
    run: place.run,
    flags,
    async initialise(folder) {
      const users = `${folder}.sql`;
      // Without name resolution, root@localhost is for the socket alone.
      await writeFile(
        users,
        "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n",
      );
      await execute(command, [
        ...leading,
        ...flags,
        `--datadir=${folder}`,
        '--initialize-insecure',
        `--init-file=${users}`,
      ]);
      rmSync(users);
    },
  };
  return found;
}

/** Debian's packages unpacked into a folder, run with the C library that they came with. */
function unpacked(): Place | undefined {
  const root = join(process.env['REAL_MYSQL_HOME'] ?? join(homedir(), '.cache', 'real-mysql'), 'root');
  const server = join(root, 'usr', 'sbin', 'mysqld');
  if (!canRun(server)) return undefined;
  for (const name of readdirSync(join(root, 'usr', 'lib'))) {
    const libraries = join(root, 'usr', 'lib', name);
    const loader = name.endsWith('-linux-gnu') && readdirSync(libraries).find((file) => /^ld-linux.*\.so/.test(file));
    if (typeof loader !== 'string') continue;
    const path = [libraries, join(libraries, 'mysql', 'private'), join(root, 'usr', 'lib', 'mysql', 'private')];
    return {
      run: [join(libraries, loader), '--library-path', path.join(':'), server, '--no-defaults'],
      flags: [`--basedir=${join(root, 'usr')}`, `--lc-messages-dir=${join(root, 'usr', 'share', 'mysql')}`],
    };
  }
  return undefined;
}

function installed(): Place | undefined {
  const server = findProgram('mysqld');
  return server === undefined ? undefined : { run: [server, '--no-defaults'], flags: [] };
}
