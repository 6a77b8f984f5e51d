/** Codes and texts, and what happens while the store is away. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closeCodes, errorKinds } from '@switchboard/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMariadb } from '../testing/mariadb.ts';
import { describeWith } from '../testing/requires.ts';
import type { Database, PrivateSqlServer } from '../testing/sql-server.ts';
import type { Switchboard } from '../testing/switchboard.ts';
import { boot, useServer } from './boot.ts';
import { eventually, House, newId } from './house.ts';
import { refusalOf } from './peer.ts';
import { visit } from './scenes.ts';

const { house } = useServer();

const document = readFileSync(fileURLToPath(new URL('../docs/protocol.md', import.meta.url)), 'utf8');

test('R11.1 the table of codes is all there is', () => {
  const rows = [...document.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (yes|no) \|/gm)];
  const listed = Object.fromEntries(
    rows.map(([, code, status, retryable]) => [code, [Number(status), retryable === 'yes']]),
  );
  const known = Object.entries(errorKinds).map(([code, kind]) => [code, [kind.status, kind.retryable]]);
  expect(listed).toEqual(Object.fromEntries(known));
});

test('R11.5 the table of close codes is all there is', () => {
  const rows = [...document.matchAll(/^\| ([14]\d{3}) \| (.+) \|$/gm)];
  const known = Object.values(closeCodes).map(({ code, reason }) => [String(code), reason]);
  expect(rows.map(([, code, reason]) => [code, reason])).toEqual(known);
});

test('R11.2 the details name the field at fault, and what is wrong with it', async () => {
  const rest = house.adminRest(newId());
  const { sessionId, user } = await visit(house);
  const path = `/sessions/${sessionId}/messages`;
  for (const [error, field] of [
    [await rest.refused('GET', '/sessions?page=0'), 'page'],
    [await rest.refused('POST', path, { content: 1 }), 'content'],
    [await rest.refused('POST', path, { content: 'x', attachments: [{ size: -1 }] }), 'attachments.0.size'],
    [await user.sayRefused({ content: 'x', attachments: [{}, { size: -1 }] }), 'data.attachments.1.size'],
    [await user.sayRefused({ content: 1 }), 'data.content'],
  ] as const) {
    expect(error).toMatchObject({ code: 'INVALID_PARAMETER', details: { field } });
    expect(error.details?.fault.length).toBeGreaterThan(0);
    expect(error.message).toContain(error.details?.fault);
  }
});

describeWith(
  'mariadb',
  'while the store is away',
  () => {
    let sql: PrivateSqlServer;
    let database: Database;
    let server: Switchboard;
    const here = new House(() => server);

    beforeAll(async () => {
      sql = await startMariadb();
      database = await sql.createDatabase('away');
      server = await boot({ databaseUrl: database.tcpUrl });
    });
    afterAll(async () => {
      await server?.remove();
      await sql?.stop();
    });

    test('R11.3 R11.4 R12.1 R12.2 callers are told so, nothing is half-written, and it heals by itself', async () => {
      const { user, userId, sessionId } = await visit(here, 'before');
      const admin = await here.admin(newId());
      const rest = here.adminRest(newId());
      const acked = [await user.say('acknowledged', { sessionId, clientMessageId: 'c-0' })];
      expect((await fetch(`${here.url}/readyz`)).status).toBe(200);

      await sql.kill();
      const timed = async <T>(work: Promise<T>): Promise<T> => {
        const began = performance.now();
        const result = await work;
        expect(performance.now() - began).toBeLessThan(10_000);
        return result;
      };
      for (const [method, path, body] of [
        ['GET', '/sessions', undefined],
        ['GET', `/sessions/${sessionId}`, undefined],
        ['GET', `/sessions/${sessionId}/messages`, undefined],
        ['POST', `/sessions/${sessionId}/messages`, { content: 'lost', clientMessageId: 'r-1' }],
        ['POST', `/sessions/${sessionId}/close`, undefined],
        ['GET', '/stats/today', undefined],
        ['GET', '/operation-logs', undefined],
      ] as const) {
        const { status, error, headers } = await timed(rest.request(method, path, body));
        expect([path, status, error.code, error.retryable]).toEqual([path, 503, 'UNAVAILABLE', true]);
        expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      expect((await timed(here.userRest(userId).request('GET', '/sessions/current'))).status).toBe(503);
      // What needs no store is answered as ever.
      expect((await rest.refused('GET', '/sessions?page=0')).code).toBe('INVALID_PARAMETER');
      expect((await here.rest('/admin/chat', null).refused('GET', '/sessions')).code).toBe('UNAUTHORIZED');
      expect((await fetch(`${here.url}/healthz`)).status).toBe(200);
      const ready = await timed(fetch(`${here.url}/readyz`));
      expect(ready.status).toBe(503);
      expect(await ready.text()).not.toMatch(/root|127\.0\.0\.1|ECONN/);

      for (let i = 1; i <= 3; i += 1) {
        const error = await timed(user.sayRefused({ content: `${i}`, sessionId, clientMessageId: `c-${i}` }));
        expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, clientMessageId: `c-${i}`, sessionId });
      }
      expect(await timed(admin.sayRefused({ content: 'x', sessionId }))).toMatchObject({ code: 'UNAVAILABLE' });
      expect(await timed(user.sayRefused({ content: 'x' }))).toMatchObject({ code: 'UNAVAILABLE' });
      expect(await user.sayRefused({ content: '', sessionId })).toMatchObject({ code: 'INVALID_PARAMETER' });
      // An admin cannot be registered now; that too is said.
      const { status } = await timed(refusalOf(here.admin(newId())));
      expect(status).toBe(503);

      await sql.start();
      await eventually(async () => (await fetch(`${here.url}/readyz`)).status === 200, 'it to be ready again');
      for (let i = 0; i <= 3; i += 1) {
        acked.push(await user.say(i === 0 ? 'acknowledged' : `${i}`, { sessionId, clientMessageId: `c-${i}` }));
      }
      const { messages } = await rest.messages(sessionId);
      expect(messages.map((m) => m.content)).toEqual(['before', 'acknowledged', '1', '2', '3']);
      for (const ack of acked) expect(messages).toContainEqual(expect.objectContaining({ messageId: ack.messageId }));
      const { lastSeq, status: state } = await rest.session(sessionId);
      expect(state).not.toBe('closed');
      // No hole was left by what could not be written.
      const seqs = messages.map((m) => m.seq);
      const told = user.of('session_status_changed').map((f) => f.data.seq);
      await eventually(async () => user.of('session_status_changed').length >= told.length, 'the news');
      const all = [...seqs, ...user.of('session_status_changed').map((f) => f.data.seq)].toSorted((x, y) => x - y);
      expect(all).toEqual(Array.from({ length: lastSeq }, (_, i) => i + 1));
      await admin.say('still the same connection', { sessionId });
      await user.expectFrame('new_admin_message');
    });

    test('R11.3 R11.4 a store that hangs is as good as away', async () => {
      const { user, sessionId } = await visit(here, 'before');
      await sql.pause();
      const began = performance.now();
      const [reply, read] = await Promise.all([
        user.sayRefused({ content: 'into the void', sessionId, clientMessageId: 'v-1' }),
        here.adminRest(newId()).request('GET', `/sessions/${sessionId}`),
      ]);
      expect(performance.now() - began).toBeLessThan(10_000);
      expect([reply.code, read.error.code]).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
      sql.resume();
      await eventually(async () => (await fetch(`${here.url}/readyz`)).status === 200, 'it to be ready again');
      const ack = await user.say('into the void', { sessionId, clientMessageId: 'v-1' });
      const { messages } = await here.adminRest(newId()).messages(sessionId);
      expect(messages.map((m) => m.content)).toEqual(['before', 'into the void']);
      expect(messages[1]?.messageId).toBe(ack.messageId);
    });
  },
  { own: true },
);
