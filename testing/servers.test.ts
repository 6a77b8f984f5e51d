import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { chromiumLaunch } from './chromium.ts';
import { openMariadb, startMariadb } from './mariadb.ts';
import { openMysql, startMysql } from './real-mysql.ts';
import { openRedis, startRedis } from './redis.ts';
import { describeWith } from './requires.ts';
import { freshFolder } from './run-folder.ts';
import type { PrivateSqlServer, SqlServer } from './sql-server.ts';

/** The first start on a machine also makes the template. */
const startTimeout = 120_000;

const sqlServers = [
  { service: 'mariadb', title: 'MariaDB', open: openMariadb, start: startMariadb },
  { service: 'mysql', title: 'MySQL', open: openMysql, start: startMysql },
] as const;

for (const { service, title, open, start } of sqlServers) {
  describeWith(service, `a ${title} server for tests`, () => {
    let server: SqlServer;
    beforeAll(async () => {
      server = await open();
    }, startTimeout);
    afterAll(() => server.stop());

    test('gives fresh utf8mb4 databases, reachable by both URLs', async () => {
      const [one, two] = [await server.createDatabase('fresh'), await server.createDatabase('fresh')];
      await one.script("CREATE TABLE greetings (text VARCHAR(20)); INSERT INTO greetings VALUES ('您好😀')");
      for (const url of [one.url, one.tcpUrl]) {
        const connection = await createConnection(url);
        const [rows] = await connection.query('SELECT text FROM greetings');
        await connection.end();
        expect(rows).toEqual([{ text: '您好😀' }]);
      }
      expect(await two.query('SHOW TABLES')).toEqual([]);
    });

    test('is the flavour that it says, and durable', async () => {
      const [row] = await server.query(
        'SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS sync',
      );
      expect(/mariadb/i.test(String(row?.['version']))).toBe(service === 'mariadb');
      expect(row).toMatchObject({ flush: 1, sync: 1 });
    });
  });

  describeWith(
    service,
    `a ${title} server of the test's own`,
    () => {
      let server: PrivateSqlServer;
      beforeAll(async () => {
        server = await start({ flags: ['--max-connections=17'] });
      }, startTimeout);
      afterAll(() => server.stop());

      test('takes flags', async () => {
        expect(await server.query('SELECT @@max_connections AS n')).toEqual([{ n: 17 }]);
      });

      test('comes back from a kill on the same port, with what was committed', async () => {
        const database = await server.createDatabase();
        await database.query('CREATE TABLE kept (n INT)');
        await database.query('INSERT INTO kept VALUES (?)', [7]);
        await server.kill();
        expect(server.pid).toBeUndefined();
        await expect(database.query('SELECT 1')).rejects.toThrow(/ECONNREFUSED|ENOENT/);
        await server.start();
        const connection = await createConnection(database.tcpUrl);
        expect((await connection.query('SELECT n FROM kept'))[0]).toEqual([{ n: 7 }]);
        await connection.end();
      });

      test('answers nothing while paused', async () => {
        const connection = await createConnection((await server.createDatabase()).url);
        await server.pause();
        let answered = false;
        const answer = connection.query('SELECT 1 AS one').then(([rows]) => {
          answered = true;
          return rows;
        });
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(answered).toBe(false);
        server.resume();
        expect(await answer).toEqual([{ one: 1 }]);
        await connection.end();
      });
    },
    { own: true },
  );
}

describeWith(
  'mariadb',
  'a MariaDB server that somebody else runs',
  () => {
    let server: PrivateSqlServer;
    beforeAll(async () => {
      server = await startMariadb();
    }, startTimeout);
    afterAll(() => server.stop());

    test('is used where a URL names it, and its databases are dropped at the end', async () => {
      vi.stubEnv('TEST_MARIADB_URL', `mysql://root@127.0.0.1:${server.port}`);
      onTestFinished(() => void vi.unstubAllEnvs());
      const databases = async (): Promise<unknown[]> => server.query("SHOW DATABASES LIKE 'guest%'");
      const theirs = await openMariadb();
      const database = await theirs.createDatabase('guest');
      expect(new URL(database.url).port).toBe(String(server.port));
      expect(await database.query('SELECT DATABASE() AS name')).toEqual([{ name: database.name }]);
      expect(await databases()).toHaveLength(1);
      await theirs.stop();
      expect(await databases()).toHaveLength(0);
      expect(await server.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    });

    test('is refused where it is another flavour', async () => {
      vi.stubEnv('TEST_MYSQL_URL', `mysql://root@127.0.0.1:${server.port}`);
      onTestFinished(() => void vi.unstubAllEnvs());
      await expect(openMysql()).rejects.toThrow(/TEST_MYSQL_URL names a server of version .*MariaDB/);
    });

    test('shows its output when it does not start', async () => {
      await expect(startMariadb({ flags: ['--no-such-flag'] })).rejects.toThrow(/no-such-flag/);
    });
  },
  { own: true },
);

describeWith('redis', 'a Redis server for tests', () => {
  test('answers', async () => {
    const redis = await openRedis();
    onTestFinished(() => redis.stop());
    const { hostname, port } = new URL(redis.url);
    const socket = connect(Number(port || 6379), hostname);
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    // A server given by URL may want a password first; that is an answer too.
    expect(reply.toString()).toMatch(/^(\+PONG|-NOAUTH)/);
  });
});

describeWith(
  'redis',
  "a Redis server of the test's own",
  () => {
    test('is empty and on the same port after a kill', async () => {
      const redis = await startRedis();
      onTestFinished(() => redis.stop());
      expect(await redis.command('SET', 'name', '总机')).toBe('+OK\r\n');
      expect(await redis.command('GET', 'name')).toBe('$6\r\n总机\r\n');
      await redis.kill();
      await expect(redis.command('PING')).rejects.toThrow(/ECONNREFUSED/);
      await redis.start();
      expect(await redis.command('GET', 'name')).toBe('$-1\r\n');
      expect(await redis.command('CONFIG', 'GET', 'save')).toBe('*2\r\n$4\r\nsave\r\n$0\r\n\r\n');
    });
  },
  { own: true },
);

describeWith('chromium', 'Chromium', () => {
  test('renders a page of this machine, Chinese included', { timeout: 60_000 }, async () => {
    const page =
      '<!doctype html><meta charset="utf-8"><p></p><script>document.querySelector("p").append("你"+"好")</script>';
    const http = createHttpServer((_request, response) => response.end(page)).listen(0, '127.0.0.1');
    onTestFinished(() => void http.close());
    await once(http, 'listening');
    const { executablePath, args } = chromiumLaunch();
    const { stdout } = await promisify(execFile)(executablePath, [
      ...args,
      '--headless',
      `--user-data-dir=${freshFolder('chromium')}`,
      '--dump-dom',
      `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
    ]);
    expect(stdout).toContain('<p>你好</p>');
  });
});

describeWith(
  'redis',
  'what a test started',
  () => {
    test('is gone after its process was killed, with its folder', async () => {
      const script = `
        const { startRedis } = await import(${JSON.stringify(new URL('redis.ts', import.meta.url).href)});
        const { freshFolder } = await import(${JSON.stringify(new URL('run-folder.ts', import.meta.url).href)});
        const redis = await startRedis();
        console.log(JSON.stringify({ port: redis.port, folder: freshFolder('mine') }));
        setInterval(() => {}, 1000);
      `;
      const root = fileURLToPath(new URL('..', import.meta.url));
      const victim = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(victim.stdout, 'data')) as [Buffer];
      const { port, folder } = JSON.parse(line.toString()) as { port: number; folder: string };
      expect(existsSync(folder)).toBe(true);
      victim.kill('SIGKILL');
      await vi.waitFor(async () => {
        const socket = connect(port, '127.0.0.1');
        const outcome = await once(socket, 'connect').catch((error: Error) => error.message);
        // One that was still let in must not hear of the server's end: nobody listens to it any more.
        socket.destroy();
        expect(outcome).toMatch(/REFUSED/);
        expect(existsSync(folder)).toBe(false);
      }, 5_000);
    });
  },
  { own: true },
);
