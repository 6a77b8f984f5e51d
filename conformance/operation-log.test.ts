import type { OperationLog } from '@switchboard/protocol';
import { afterAll, expect, test } from 'vitest';
import { openMariadb } from '../testing/mariadb.ts';
import { describeWith } from '../testing/requires.ts';
import type { Database, SqlServer } from '../testing/sql-server.ts';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import { refusalOf } from './peer.ts';
import { visit } from './scenes.ts';

const { house } = useServer();

/** The rows of one admin, oldest first. */
async function rowsOf(adminId: number | null): Promise<OperationLog[]> {
  const { logs } = await house.adminRest(newId()).logs('?pageSize=100');
  return logs.filter((row) => row.adminId === adminId).toReversed();
}

const short = (rows: OperationLog[]): unknown[] => rows.map((row) => [row.action, row.sessionId, row.outcome]);

test('R9.1 every change by REST is written down: who, what, on which session, from where, when', async () => {
  const { sessionId } = await visit(house);
  const [adminId, other] = [newId(), newId()];
  const rest = house.adminRest(adminId);
  const before = Date.now();
  await rest.change(sessionId, 'claim');
  await rest.reply(sessionId, { content: 'hello' });
  await rest.change(sessionId, 'transfer', { adminId: other });
  await rest.change(sessionId, 'close');
  await rest.change(sessionId, 'reopen');
  await rest.change(sessionId, 'assign', { adminId: other });
  const rows = await rowsOf(adminId);
  expect(short(rows)).toEqual(
    ['session.claim', 'message.send', 'session.transfer', 'session.close', 'session.reopen', 'session.assign'].map(
      (action) => [action, sessionId, 'ok'],
    ),
  );
  for (const row of rows) {
    expect(row.address).toBe('127.0.0.1');
    expect(Date.parse(row.createdAt)).toBeGreaterThanOrEqual(before - 5);
    expect(Date.parse(row.createdAt)).toBeLessThanOrEqual(Date.now() + 5);
  }
});

test('R9.2 every refused admin request is written down, whoever made it', async () => {
  const { sessionId } = await visit(house);
  const adminId = newId();
  const rest = house.adminRest(adminId);
  const refused: [string, string, unknown, string, string | null, string][] = [
    ['GET', '/sessions?page=0', undefined, 'session.list', null, 'INVALID_PARAMETER'],
    ['GET', '/sessions/session_nobody', undefined, 'session.read', 'session_nobody', 'SESSION_NOT_FOUND'],
    ['GET', '/sessions/a%20b/messages', undefined, 'message.list', null, 'INVALID_PARAMETER'],
    ['POST', `/sessions/${sessionId}/messages`, {}, 'message.send', sessionId, 'INVALID_PARAMETER'],
    ['POST', `/sessions/${sessionId}/messages`, { content: 'x', adminId: 1 }, 'message.send', sessionId, 'FORBIDDEN'],
    ['POST', `/sessions/${sessionId}/messages`, 'x'.repeat(200_000), 'message.send', sessionId, 'PAYLOAD_TOO_LARGE'],
    ['POST', `/sessions/${sessionId}/reopen`, undefined, 'session.reopen', sessionId, 'CONFLICT'],
    ['POST', `/sessions/${sessionId}/transfer`, { adminId: 1 }, 'session.transfer', sessionId, 'CONFLICT'],
    ['POST', `/sessions/${sessionId}/assign`, {}, 'session.assign', sessionId, 'INVALID_PARAMETER'],
    ['POST', '/sessions/session_nobody/claim', undefined, 'session.claim', 'session_nobody', 'SESSION_NOT_FOUND'],
    ['GET', '/stats/today/x', undefined, 'unknown', null, 'NOT_FOUND'],
    ['GET', '/operation-logs?pageSize=0', undefined, 'operation.list', null, 'INVALID_PARAMETER'],
  ];
  for (const [method, path, body, , , code] of refused) {
    expect((await rest.refused(method, path, body)).code).toBe(code);
  }
  expect(short(await rowsOf(adminId))).toEqual(refused.map(([, , , action, session, code]) => [action, session, code]));

  const userId = newId();
  expect((await house.rest('/admin/chat', house.userToken(userId)).refused('GET', '/stats/today')).code).toBe(
    'FORBIDDEN',
  );
  expect(short(await rowsOf(userId))).toEqual([['stats.today', null, 'FORBIDDEN']]);

  const seen = (await rowsOf(null)).length;
  await house.rest('/api/admin/chat', null).refused('POST', `/sessions/${sessionId}/close`);
  await house.rest('/api/admin/chat', 'nonsense').refused('GET', '/sessions');
  expect(short((await rowsOf(null)).slice(seen))).toEqual([
    ['session.close', sessionId, 'UNAUTHORIZED'],
    ['session.list', null, 'UNAUTHORIZED'],
  ]);
});

test('R9.2 a refused handshake of an admin is written down', async () => {
  const userId = newId();
  await refusalOf(house.connect(house.userToken(userId), { query: { type: 'admin' } }));
  expect(short(await rowsOf(userId))).toEqual([['connect', null, 'FORBIDDEN']]);
  const seen = (await rowsOf(null)).length;
  await refusalOf(house.connect('nonsense', { query: { type: 'admin' } }));
  await refusalOf(house.connect('nonsense'));
  expect(short((await rowsOf(null)).slice(seen))).toEqual([['connect', null, 'UNAUTHORIZED']]);
});

test('R9.3 reading is not written down', async () => {
  const { sessionId, user } = await visit(house);
  const adminId = newId();
  const rest = house.adminRest(adminId);
  for (const path of ['/sessions', `/sessions/${sessionId}`, `/sessions/${sessionId}/messages`, '/stats/today']) {
    await rest.ok('GET', path);
  }
  await rest.logs();
  await user.say('not an admin’s request');
  expect(await rowsOf(adminId)).toEqual([]);
});

test('R9.4 R3.6 R3.8 R3.9 the log is read in pages, newest first', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  for (let i = 0; i < 25; i += 1) await rest.refused('POST', `/sessions/${sessionId}/reopen`);
  const [first, second] = [await rest.logs(), await rest.logs('?page=2')];
  expect(first.logs).toHaveLength(20);
  expect(first.pagination).toMatchObject({ currentPage: 1, hasMore: true });
  expect(first.totalCount).toBeGreaterThanOrEqual(25);
  const ids = [...first.logs, ...second.logs].map((row) => row.id);
  expect(ids).toEqual(ids.toSorted((a, b) => b - a));
  expect(new Set(ids).size).toBe(ids.length);
  expect((await rest.logs('?pageSize=100')).logs.slice(0, ids.length).map((row) => row.id)).toEqual(ids);
  expect((await rest.logs('?page=1000')).logs).toEqual([]);
});

describeWith('mariadb', 'the operation log in MariaDB', () => {
  let sql: SqlServer;
  let database: Database;
  afterAll(() => sql?.stop());
  const { house: here } = useServer(async () => {
    sql = await openMariadb();
    database = await sql.createDatabase('operations');
    return { databaseUrl: database.url };
  });

  test('R9.5 the rows are in chat_operation_logs', async () => {
    const { sessionId } = await visit(here);
    const adminId = newId();
    await here.adminRest(adminId).change(sessionId, 'claim');
    await here.adminRest(adminId).refused('POST', `/sessions/${sessionId}/claim`);
    const rows = await database.query('SELECT * FROM chat_operation_logs WHERE admin_id = ? ORDER BY id', [adminId]);
    expect(rows).toMatchObject([
      { action: 'session.claim', session_id: sessionId, outcome: 'ok', address: '127.0.0.1' },
      { action: 'session.claim', session_id: sessionId, outcome: 'CONFLICT', address: '127.0.0.1' },
    ]);
  });
});
