/** Starting and stopping. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openMariadb } from '../testing/mariadb.ts';
import { describeWith } from '../testing/requires.ts';
import { freshFolder } from '../testing/run-folder.ts';
import type { SqlServer } from '../testing/sql-server.ts';
import { boot, bootHere } from './boot.ts';
import { House, newId } from './house.ts';
import { Peer } from './peer.ts';
import { staff, visit } from './scenes.ts';

test('R1.1 R1.4 when the ready line is written the server serves, on a database of its own', async () => {
  const { house, server } = await bootHere({ env: { DATABASE_URL: undefined } });
  const ready = server.records.filter(({ msg }) => msg === 'listening');
  expect(ready).toEqual([expect.objectContaining({ url: server.url })]);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  await visit(house);
  expect(existsSync(join(server.folder, 'data', 'switchboard.db'))).toBe(true);
});

test('R1.2 PORT=0 takes a free port and says which', async () => {
  const { house, server } = await bootHere({ port: 0 });
  expect(server.port).toBeGreaterThan(0);
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  await visit(house);
});

test('R1.3 HOST is every address when there is a key', async () => {
  const { server } = await bootHere({ env: { HOST: undefined } });
  expect(new URL(server.url).hostname).toBe('0.0.0.0');
});

test('R1.5 R1.3 demo mode is on loopback, with a secret that is made once and kept', async () => {
  const { server } = await bootHere({ env: { HOST: undefined, JWT_SECRET: undefined } });
  expect(new URL(server.url).hostname).toBe('127.0.0.1');
  const file = join(server.folder, 'data', 'demo-secret');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const jwtSecret = readFileSync(file, 'utf8').trim();
  expect(jwtSecret.length).toBeGreaterThanOrEqual(32);
  const house = new House(() => ({ url: server.url, jwtSecret }));
  const token = house.adminToken(31);
  expect((await house.rest('/admin/chat', token).request('GET', '/sessions')).status).toBe(200);
  await server.restart();
  expect(readFileSync(file, 'utf8').trim()).toBe(jwtSecret);
  expect((await house.rest('/admin/chat', token).request('GET', '/sessions')).status).toBe(200);
});

test.for(['SIGTERM', 'SIGINT'] as const)('R1.8 R11.5 %s ends it in good order', async (signal) => {
  const { house, server } = await bootHere();
  const { admin } = await staff(house);
  const { user, sessionId } = await visit(house);
  const idle = await house.user(newId());
  // In flight: sent, and not answered yet.
  for (let i = 0; i < 50; i += 1) user.send({ type: 'send_message', data: { sessionId, content: `${i}` } });
  const began = performance.now();
  process.kill(server.pid ?? 0, signal);
  for (const peer of [user, admin, idle]) {
    expect(await peer.closed).toEqual({ code: 1012, reason: expect.stringMatching(/come back/) });
  }
  expect(await server.exit).toEqual({ code: 0, signal: null });
  expect(performance.now() - began).toBeLessThan(10_000);
  await expect(fetch(`${house.url}/healthz`)).rejects.toThrow();
  await expect(house.user(newId())).rejects.toThrow();

  const acks = user.of('message_ack').map(({ data }) => data);
  await server.start();
  const { messages } = await house.adminRest(newId()).messages(sessionId, '?pageSize=100');
  for (const { messageId, seq } of acks) {
    expect(messages.find((message) => message.messageId === messageId)?.seq).toBe(seq);
  }
  const contents = messages.slice(1).map((message) => message.content);
  expect(contents).toEqual(Array.from({ length: contents.length }, (_, i) => `${i}`));
  expect(contents).toHaveLength(acks.length - 1);
});

test('R1.8 a request that is under way is answered', async () => {
  const { house, server } = await bootHere();
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  const replies = Array.from({ length: 20 }, (_, i) =>
    rest.request('POST', `/sessions/${sessionId}/messages`, { content: `${i}` }).then(
      ({ status }) => status,
      () => 'not let in',
    ),
  );
  await Promise.race(replies);
  expect(await server.stop()).toBe(0);
  const statuses = await Promise.all(replies);
  const taken = statuses.filter((status) => status === 200).length;
  expect(taken).toBeGreaterThan(0);
  await server.start();
  expect((await rest.messages(sessionId)).totalCount).toBe(taken + 1);
});

test('R1.9 two servers at once on one empty file', async () => {
  const databaseUrl = `sqlite:${join(freshFolder('shared'), 'chat.db')}`;
  const secret = 'a secret for both of them, long enough';
  const servers = await Promise.all([1, 2].map(() => boot({ databaseUrl, env: { JWT_SECRET: secret } })));
  onTestFinished(async () => {
    for (const server of servers) await server.remove();
  });
  const [one, other] = servers.map((server) => new House(() => server)) as [House, House];
  const { sessionId } = await visit(one);
  expect((await other.adminRest(newId()).session(sessionId)).messageCount).toBe(1);
});

describeWith('mariadb', 'on MariaDB', () => {
  let sql: SqlServer;
  beforeAll(async () => {
    sql = await openMariadb();
  });
  afterAll(() => sql?.stop());

  test('R1.9 two servers at once on one empty database', async () => {
    const database = await sql.createDatabase('shared');
    const secret = 'a secret for both of them, long enough';
    const servers = await Promise.all(
      [1, 2].map(() => boot({ databaseUrl: database.url, env: { JWT_SECRET: secret } })),
    );
    onTestFinished(async () => {
      for (const server of servers) await server.remove();
    });
    const [one, other] = servers.map((server) => new House(() => server)) as [House, House];
    const { sessionId } = await visit(one);
    expect((await other.adminRest(newId()).session(sessionId)).messageCount).toBe(1);
  });

  test('R1.4 a database is reached by TCP or by socket', async () => {
    const database = await sql.createDatabase('reached');
    for (const databaseUrl of [database.url, database.tcpUrl]) {
      const { house } = await bootHere({ databaseUrl });
      await visit(house);
    }
    const [row] = await database.query('SELECT COUNT(*) AS count FROM chat_sessions');
    expect(row).toEqual({ count: 2 });
  });
});

test('R1.1 nobody is let in before', async () => {
  // While it starts the port refuses; from the first answer on everything is served.
  const server = await boot();
  onTestFinished(() => server.remove());
  const house = new House(() => server);
  await server.kill();
  server.spawn();
  const deadline = performance.now() + 20_000;
  let peer: Peer | undefined;
  while (peer === undefined && performance.now() < deadline) {
    peer = await Peer.open(house.url, house.userToken(newId())).catch((error: Error) => {
      expect(error.message).toMatch(/ECONNREFUSED/);
      return undefined;
    });
  }
  await peer?.say('at the first moment');
  await peer?.vanish();
  expect(peer).toBeDefined();
});
