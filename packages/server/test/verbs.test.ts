/** What the command line does besides serving, run as an operator runs it. */
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startMariadb } from '../../../testing/mariadb.ts';
import { freePort } from '../../../testing/free-port.ts';
import { openMysql } from '../../../testing/real-mysql.ts';
import { openRedis } from '../../../testing/redis.ts';
import { describeWith } from '../../../testing/requires.ts';
import { freshFolder } from '../../../testing/run-folder.ts';
import { startSwitchboard } from '../../../testing/switchboard.ts';
import { sqliteDialect } from '../src/store/sqlite.ts';

const program = fileURLToPath(new URL('../bin/switchboard.js', import.meta.url));
const secret = 'a-secret-of-more-than-32-bytes-for-this-test';

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = freshFolder('verb'),
): Promise<Run> {
  return new Promise((resolve) => {
    const whole = { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...env };
    execFile(process.execPath, [program, ...args], { cwd, env: whole, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

const claimsOf = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

describe('token', () => {
  test('prints the token and nothing else', async () => {
    const args = ['token', '--user', '31', '--roles', 'user,admin', '--nickname', '小明', '--expires', '2h'];
    const { code, stdout, stderr } = await run(args, { JWT_SECRET: secret });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const now = Date.now() / 1000;
    const claims = claimsOf(stdout) as { exp: number; iat: number };
    expect(claims).toMatchObject({ userId: 31, roles: ['user', 'admin'], nickname: '小明' });
    expect(claims.exp - claims.iat).toBe(7_200);
    expect(Math.abs(claims.iat - now)).toBeLessThan(60);
  });

  test('that the server takes: with its secret, and in the folder of a demo', async () => {
    for (const env of [{}, { JWT_SECRET: undefined }]) {
      const server = await startSwitchboard({ env });
      onTestFinished(() => server.remove());
      const own: Record<string, string> = 'JWT_SECRET' in env ? {} : { JWT_SECRET: server.jwtSecret };
      const { stdout } = await run(['token', '--user', '7', '--roles', 'admin'], own, server.folder);
      const headers = { authorization: `Bearer ${stdout.trim()}` };
      expect((await fetch(`${server.url}/api/admin/chat/sessions`, { headers })).status).toBe(200);
    }
  });

  test.for([
    [['--user', '0'], '--user must be a whole number'],
    [['--user', 'x'], '--user must be a whole number'],
    [['--user', '31', '--roles', 'boss'], '--roles must be'],
    [['--user', '31', '--expires', '24'], '--expires must be'],
  ] as const)('%j is refused in one line: %s', async ([args, fault]) => {
    const { code, stdout, stderr } = await run(['token', ...args], { JWT_SECRET: secret });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^${fault}.*Example: .*\n$`));
  });

  test('cannot be made without the secret', async () => {
    const { code, stdout, stderr } = await run(['token', '--user', '31'], { JWKS_URL: 'http://127.0.0.1:1/keys' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Tokens can only be made with JWT_SECRET');
  });
});

describe('migrate', () => {
  test('makes the tables, and a second time finds nothing to do', async () => {
    const folder = freshFolder('migrate');
    const env = { DATABASE_URL: `sqlite:${join(folder, 'deep', 'chat.db')}`, JWT_SECRET: secret };
    const first = await run(['migrate'], env);
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/^The database is up to date: \d+ migrations, the last one is \d{4}-/);
    expect(await run(['migrate'], env)).toMatchObject({ code: 0, stdout: first.stdout });
  });

  test('says what is in the way', async () => {
    const env = {
      DATABASE_URL: 'mysql://chat:hidden@127.0.0.1:1/shop',
      DATABASE_WAIT_SECONDS: '0',
      JWT_SECRET: secret,
    };
    const { code, stdout, stderr } = await run(['migrate'], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('DATABASE_URL: the database could not be migrated (ECONNREFUSED)');
    expect(stderr).not.toContain('hidden');
    expect(await run(['migrate'], { DATABASE_URL: 'nonsense' })).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('doctor', () => {
  test('finds nothing wrong with a fresh demo, and makes no database', async () => {
    const folder = freshFolder('doctor');
    const { code, stdout } = await run(['doctor'], {}, folder);
    expect(stdout).toContain('SQLite, ./data/switchboard.db: made at the first start');
    expect(stdout).toContain('demo mode, on this machine only');
    expect(stdout).toMatch(/All is well\.\n$/);
    expect(code).toBe(0);
    expect(existsSync(join(folder, 'data', 'switchboard.db'))).toBe(false);
  });

  test('speaks Chinese where the terminal does', async () => {
    for (const env of [{ LANG: 'zh_CN.UTF-8' }, { LANG: 'en_US.UTF-8', LC_ALL: 'zh_TW.UTF-8' }]) {
      const { stdout } = await run(['doctor'], env);
      expect(stdout).toMatch(/^设置\n[\s\S]*数据库\n[\s\S]*一切正常。\n$/);
    }
  });

  test('names a wrong setting', async () => {
    const { code, stdout } = await run(['doctor'], { PORT: 'many', JWT_SECRET: secret });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ PORT .*\n +→ /);
    expect(stdout).toMatch(/1 to be mended\.\n$/);
  });

  test('says what to do about a database, a Redis and keys that are not there', async () => {
    const { code, stdout } = await run(['doctor'], {
      DATABASE_URL: 'mysql://chat:hidden@127.0.0.1:1/shop',
      REDIS_URL: 'redis://:hidden@127.0.0.1:1',
      JWKS_URL: `http://127.0.0.1:${await freePort()}/keys`,
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ JWKS_URL gives no keys \(ECONNREFUSED\)\n +→ /);
    expect(stdout).toMatch(/✗ the database cannot be used \(ECONNREFUSED\)\n +→ DATABASE_URL: is the server running/);
    expect(stdout).toMatch(/✗ Redis cannot be used \(ECONNREFUSED\)\n +→ Nothing is lost without it/);
    expect(stdout).toMatch(/3 to be mended\.\n$/);
    expect(stdout).not.toContain('hidden');
  });

  test('looks at a file that is no database, and at one that is up to date', async () => {
    const folder = freshFolder('doctor');
    writeFileSync(join(folder, 'no.db'), 'this is no database, whatever its name may say; it is a text of some length');
    const wrong = await run(['doctor'], { DATABASE_URL: 'sqlite:./no.db', JWT_SECRET: secret }, folder);
    expect(wrong).toMatchObject({ code: 1, stdout: expect.stringContaining('✗ the database cannot be used') });
    const env = { DATABASE_URL: 'sqlite:./yes.db', JWT_SECRET: secret };
    await run(['migrate'], env, folder);
    const right = await run(['doctor'], env, folder);
    expect(right).toMatchObject({ code: 0, stdout: expect.stringContaining('✓ its tables are up to date') });
    expect(right.stdout).toContain('what is committed survives a power loss');
    expect(right.stdout).toContain('✓ its counters agree with its rows');
  });

  test('tells counters that somebody’s own SQL has made wrong, and migrate puts them right', async () => {
    const folder = freshFolder('doctor');
    const env = { DATABASE_URL: 'sqlite:./yes.db', JWT_SECRET: secret };
    await run(['migrate'], env, folder);
    const write = async (table: string, columns: string[], row: (string | number)[]): Promise<void> => {
      const dialect = await sqliteDialect(join(folder, 'yes.db'));
      await dialect.transaction(async (tx) => tx.insert(table, columns, [row]));
      await dialect.close();
    };
    await write('chat_sessions', ['session_id', 'user_id'], ['mine', 1]);
    const wrong = await run(['doctor'], env, folder);
    expect(wrong).toMatchObject({ code: 1, stdout: expect.stringContaining('✗ its counters do not agree') });
    expect(await run(['migrate'], env, folder)).toMatchObject({ code: 0 });
    const right = await run(['doctor'], env, folder);
    expect(right).toMatchObject({ code: 0, stdout: expect.stringContaining('✓ its counters agree with its rows') });
    // What a glance at the statuses does not see, migrate sees.
    await write('chat_figures', ['slot', 'shard', 'messages'], [7, 0, 3]);
    expect((await run(['migrate'], env, folder)).stdout).toContain('were put right: 1\n');
    expect((await run(['migrate'], env, folder)).stdout).not.toContain('put right');
  });

  test('takes only an address for --url', async () => {
    expect(await run(['doctor', '--url', 'chat.example.com'])).toMatchObject({ code: 2, stdout: '' });
  });

  describe('from outside', () => {
    test('passes through a proxy that passes upgrades on, and tells one that does not', async () => {
      const server = await startSwitchboard();
      onTestFinished(() => server.remove());
      const proxied = async (upgrades: boolean): Promise<Run> => {
        const url = await listening(proxyTo(server.port, upgrades));
        return run(['doctor', '--url', `${url}/`], { JWT_SECRET: secret });
      };
      expect(await proxied(true)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('✓ WebSocket upgrades get through'),
      });
      const without = await proxied(false);
      expect(without.code).toBe(1);
      expect(without.stdout).toMatch(
        /✗ the WebSocket upgrade does not get through \(answered with 400\)\n +→ nginx: proxy_http_version 1\.1/,
      );
    });

    test('tells another server, a redirect, and nobody', async () => {
      const other = await listening(createServer((_request, response) => response.end('{"hello":1}')));
      const moved = await listening(
        createServer((_request, response) => response.writeHead(301, { location: other }).end()),
      );
      const of = async (url: string): Promise<string> =>
        (await run(['doctor', '--url', url], { JWT_SECRET: secret })).stdout;
      expect(await of(other)).toMatch(/✗ .* is answered with 200 by something else than Switchboard\n/);
      expect(await of(moved)).toMatch(new RegExp(`✗ .* leads on to ${other}\n`));
      const nobody = `http://127.0.0.1:${await freePort()}`;
      expect(await of(nobody)).toContain(`✗ ${nobody} cannot be reached (ECONNREFUSED)\n`);
    });
  });

  describeWith('mariadb', 'and MariaDB', () => {
    test('knows its settings, and says which are dangerous', async () => {
      const mariadb = await startMariadb({ flags: ['--innodb-flush-log-at-trx-commit=2', '--max-allowed-packet=4M'] });
      onTestFinished(() => mariadb.stop());
      const { url } = await mariadb.createDatabase('doctor');
      const { code, stdout } = await run(['doctor'], { DATABASE_URL: url, JWT_SECRET: secret });
      expect(code).toBe(1);
      expect(stdout).toMatch(/✓ MariaDB \d+\.\d+.*, database /);
      expect(stdout).toMatch(/✓ its clock differs by -?\d+\.\d\d s/);
      expect(stdout).toContain('✓ its sessions are READ COMMITTED, in UTC');
      expect(stdout).toContain('✓ utf8mb4');
      expect(stdout).toMatch(
        /✗ innodb_flush_log_at_trx_commit is 2.*\n +→ SET GLOBAL innodb_flush_log_at_trx_commit = 1/,
      );
      expect(stdout).toMatch(/✗ max_allowed_packet is 4 MiB/);
      expect(stdout).toMatch(/· \d+ migrations have not run: 0001-.*\n +→ .*Make a backup first/);
      const nobody = url.replace('root', 'nobody');
      expect((await run(['doctor'], { DATABASE_URL: nobody, JWT_SECRET: secret })).stdout).toMatch(
        /→ DATABASE_URL: user or password are refused/,
      );
    });
  });

  describeWith(['mysql', 'redis'], 'and MySQL, with Redis', () => {
    test('finds nothing wrong with usual settings', async () => {
      const mysql = await openMysql();
      onTestFinished(() => mysql.stop());
      const redis = await openRedis();
      onTestFinished(() => redis.stop());
      const { url } = await mysql.createDatabase('doctor');
      const env = { DATABASE_URL: url, REDIS_URL: redis.url, JWT_SECRET: secret };
      expect(await run(['migrate'], env)).toMatchObject({ code: 0 });
      const { stdout } = await run(['doctor'], env);
      expect(stdout).toMatch(/✓ MySQL \d+\.\d+/);
      expect(stdout).toContain('✓ its tables are up to date');
      expect(stdout).toContain('✓ its counters agree with its rows');
      expect(stdout).toMatch(/✓ Redis \d+\.\d+\S* answers in [\d.]+ ms/);
    });
  });
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A reverse proxy; one that passes no upgrades on drops their headers, as nginx does by itself. */
function proxyTo(port: number, upgrades: boolean): Server {
  const proxy = createServer((incoming, outgoing) => {
    const { connection: _, upgrade: __, ...headers } = incoming.headers;
    const passed = httpRequest({ port, method: incoming.method, path: incoming.url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(passed);
  });
  if (!upgrades) return proxy;
  return proxy.on('upgrade', (incoming, socket) => {
    const passed = httpRequest({ port, path: incoming.url, headers: incoming.headers }, (answer) => {
      const head = answer.rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
      socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${head}\r\n`);
      answer.pipe(socket);
    });
    passed.end();
  });
}
