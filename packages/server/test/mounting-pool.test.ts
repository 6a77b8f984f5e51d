/** A pool of the host's own: used for everything, and every connection goes back as it came. */
import { createPool, type Pool, type PoolOptions } from 'mysql2';
import { createPool as createPromisePool } from 'mysql2/promise';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openMariadb } from '../../../testing/mariadb.ts';
import { openMysql } from '../../../testing/real-mysql.ts';
import { describeWith } from '../../../testing/requires.ts';
import type { SqlServer } from '../../../testing/sql-server.ts';
import { createSwitchboard, type MysqlPool, type Switchboard } from '../src/index.ts';

for (const [service, open] of [
  ['mariadb', openMariadb],
  ['mysql', openMysql],
] as const) {
  describeWith(service, `a host's pool on ${service}`, () => suite(open));
}

/** What hosts set on their sessions; every one of these would break something of ours. */
const THEIRS: Readonly<Record<string, string>> = {
  time_zone: "'+08:00'",
  sql_mode: "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
  autocommit: '0',
  sql_safe_updates: '1',
};

function suite(open: () => Promise<SqlServer>): void {
  let server: SqlServer;
  beforeAll(async () => {
    server = await open();
  });
  afterAll(() => server.stop());

  /** A pool as awkward as a host can make one, with the sessions above. */
  async function theirPool(options: PoolOptions = {}): Promise<Pool> {
    const database = await server.createDatabase('host');
    await database.query('CREATE TABLE orders (id INT PRIMARY KEY, placed DATETIME NOT NULL)');
    const pool = createPool({
      uri: database.url,
      charset: 'utf8mb4',
      timezone: '+08:00',
      rowsAsArray: true,
      bigNumberStrings: true,
      supportBigNumbers: true,
      namedPlaceholders: true,
      connectionLimit: 3,
      ...options,
    });
    pool.on('connection', (connection) => {
      connection.query('SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      for (const [name, value] of Object.entries(THEIRS)) connection.query(`SET SESSION ${name} = ${value}`);
    });
    onTestFinished(() => new Promise((resolve) => pool.end(() => resolve())));
    return pool;
  }

  async function on(pool: MysqlPool): Promise<Switchboard> {
    const switchboard = await createSwitchboard({ database: pool, authenticate: () => null, logger: false });
    onTestFinished(() => switchboard.close());
    return switchboard;
  }

  async function chat(switchboard: Switchboard, content = "it's 'quoted' \\ 你好 👋"): Promise<void> {
    const user = switchboard.as({ side: 'user', userId: 31 });
    const admin = switchboard.as({ side: 'admin', userId: 7 });
    const { sessionId } = await user.send({
      content,
      clientMessageId: 'm1',
      attachments: [{ name: 'a.png', size: 5 }],
    });
    const before = Date.now();
    await admin.send({ sessionId, content: 'x' });
    const { messages, totalCount } = await admin.messages(sessionId);
    expect(totalCount).toBe(2);
    expect(messages[0]).toMatchObject({ content, attachments: [{ name: 'a.png', size: 5 }], seq: 1 });
    expect(Math.abs(Date.parse(messages[1]?.createdAt ?? '') - before)).toBeLessThan(5_000);
    expect(
      await user.send({ sessionId, content, clientMessageId: 'm1', attachments: [{ name: 'a.png', size: 5 }] }),
    ).toMatchObject({ duplicate: true });
  }

  /** What each connection of the pool says of its session, all held at once. */
  async function sessions(pool: Pool, size: number): Promise<unknown[]> {
    const held = await Promise.all(Array.from({ length: size }, () => pool.promise().getConnection()));
    const isolation = server.flavour === 'mysql' ? '@@transaction_isolation' : '@@tx_isolation';
    const found = await Promise.all(
      held.map(async (connection) => {
        const [rows] = await connection.query(
          `SELECT @@time_zone, @@sql_mode, @@autocommit, @@sql_safe_updates, ${isolation}`,
        );
        return (rows as unknown[][])[0]?.map(String);
      }),
    );
    for (const connection of held) connection.release();
    return found;
  }

  test('with callbacks: everything works, and sessions are what they were', async () => {
    const pool = await theirPool();
    const before = await sessions(pool, 3);
    expect(before[0]).toMatchObject(['+08:00', expect.stringContaining('ANSI_QUOTES'), '0', '1', 'SERIALIZABLE']);
    const switchboard = await on(pool);
    await Promise.all([
      chat(switchboard),
      ...Array.from({ length: 10 }, () => switchboard.as({ side: 'admin', userId: 7 }).sessions()),
    ]);
    await switchboard.close();
    expect(await sessions(pool, 3)).toEqual(before);
    // It is still the host's, and open.
    const [rows] = await pool.promise().query('SELECT 1');
    expect(String(rows)).toBe('1');
  });

  test('with promises, of a single connection', async () => {
    const database = await server.createDatabase('host');
    const pool = createPromisePool({ uri: database.url, connectionLimit: 1 });
    onTestFinished(() => pool.end());
    const switchboard = await on(pool);
    await chat(switchboard);
    await Promise.all(Array.from({ length: 20 }, () => switchboard.as({ side: 'admin', userId: 7 }).sessions()));
    const [rows] = await pool.query('SELECT COUNT(*) AS messages FROM chat_messages');
    expect(rows).toEqual([{ messages: 2 }]);
  });

  test('that gives no connection for now is a store that is away, and it goes on afterwards', async () => {
    const pool = await theirPool({ connectionLimit: 1, waitForConnections: false });
    const switchboard = await on(pool);
    const taken = await new Promise<{ release(): void }>((resolve, reject) => {
      const take = (): void =>
        pool.getConnection((error, connection) => (error ? setTimeout(take, 5) : resolve(connection)));
      take();
      setTimeout(() => reject(new Error('never free')), 5_000).unref();
    });
    const user = switchboard.as({ side: 'user', userId: 31 });
    await expect(user.send({ content: 'x' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    taken.release();
    await expect
      .poll(() =>
        user.send({ content: 'x' }).then(
          () => 'sent',
          () => 'refused',
        ),
      )
      .toBe('sent');
  });

  test('a connection that dies is replaced, and takes nothing along', async () => {
    const pool = await theirPool({ connectionLimit: 2 });
    const switchboard = await on(pool);
    const user = switchboard.as({ side: 'user', userId: 31 });
    const { sessionId } = await user.send({ content: 'x' });
    const threads = (await server.query("SELECT id FROM information_schema.processlist WHERE db LIKE '%host%'")).map(
      ({ id, ID }) => Number(id ?? ID),
    );
    for (const id of threads) await server.query(`KILL ${id}`).catch(() => undefined);
    await expect
      .poll(
        () =>
          user.send({ sessionId, content: 'y' }).then(
            () => 'sent',
            () => 'refused',
          ),
        { timeout: 5_000 },
      )
      .toBe('sent');
    expect((await sessions(pool, 2))[0]).toMatchObject(['+08:00', expect.anything(), '0', '1', 'SERIALIZABLE']);
  });

  test('that cannot be shared is refused with the reason', async () => {
    const latin = await theirPool({ charset: 'latin1' });
    await expect(on(latin)).rejects.toThrow(/utf8mb4/);
    const formatted = await theirPool({ queryFormat: (sql: string) => sql });
    await expect(on(formatted)).rejects.toThrow(/queryFormat/);
    const [rows] = await latin.promise().query('SELECT 1');
    expect(String(rows)).toBe('1');
  });
}
