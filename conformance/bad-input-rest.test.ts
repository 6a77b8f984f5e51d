/** The REST half of the table of chapter 13. */
import { connect } from 'node:net';
import { limits } from '@switchboard/protocol';
import { beforeAll, describe, expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import type { House } from './house.ts';
import type { ErrorAnswer, Rest } from './rest.ts';
import { emoji, visit } from './scenes.ts';

const { house } = useServer();

const long = 'x'.repeat(101);
const lists = (sessionId: string): string[] => ['/sessions', `/sessions/${sessionId}/messages`, '/operation-logs'];

function expectField(error: ErrorAnswer, field: string | RegExp): void {
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER', retryable: false, details: { fault: expect.any(String) } });
  expect(error.details?.field).toMatch(
    typeof field === 'string' ? new RegExp(`^${field.replaceAll('.', '\\.')}$`) : field,
  );
}

test('R13.1 a status that is none', async () => {
  const rest = house.adminRest(newId());
  for (const status of ['unknown', '', 'ACTIVE', 'open', 'waiting,active', 'null', "'; --"]) {
    expectField(await rest.refused('GET', `/sessions?status=${encodeURIComponent(status)}`), 'status');
  }
});

test('R13.2 R13.3 page 0, pageSize 101 and what else is no page', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  for (const path of lists(sessionId)) {
    for (const page of ['0', '-1', '1.5', 'abc', '', '1e3', '0x1', '1000001', '99999999999999999999', ' 1', 'NaN']) {
      expectField(await rest.refused('GET', `${path}?page=${encodeURIComponent(page)}`), 'page');
    }
    for (const pageSize of ['0', '101', '-5', '10.0', 'ten', '', '1e1', 'Infinity']) {
      expectField(await rest.refused('GET', `${path}?pageSize=${encodeURIComponent(pageSize)}`), 'pageSize');
    }
    expect((await rest.request('GET', `${path}?page=1&pageSize=100`)).status).toBe(200);
  }
});

test('R13.4 a parameter that is given twice', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  for (const path of lists(sessionId)) {
    expectField(await rest.refused('GET', `${path}?page=1&page=2`), /^page\b/);
    expectField(await rest.refused('GET', `${path}?pageSize=5&pageSize=5`), /^pageSize\b/);
  }
  expectField(await rest.refused('GET', '/sessions?status=all&status=closed'), /^status\b/);
});

test('R13.5 cursors that are none, or both at once', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  const path = `/sessions/${sessionId}/messages`;
  for (const name of ['beforeSeq', 'afterSeq']) {
    for (const value of ['-1', 'x', '1.5', ''])
      expectField(await rest.refused('GET', `${path}?${name}=${value}`), name);
  }
  expectField(await rest.refused('GET', `${path}?beforeSeq=3&afterSeq=1`), /^(beforeSeq|afterSeq)$/);
});

describe('R13.6 – R13.9 addresses', () => {
  const admins = (house_: House): [Rest, [string, string, unknown?][]] => [
    house_.adminRest(newId()),
    [
      ['GET', ''],
      ['GET', '/messages'],
      ['POST', '/messages', { content: 'x' }],
      ['POST', '/claim'],
      ['POST', '/close'],
      ['POST', '/reopen'],
      ['POST', '/assign', { adminId: 1 }],
      ['POST', '/transfer', { adminId: 1 }],
    ],
  ];
  const users = (house_: House): [Rest, [string, string, unknown?][]] => [
    house_.userRest(newId()),
    [
      ['GET', '/messages'],
      ['POST', '/rating', { score: 5 }],
      ['POST', '/close'],
    ],
  ];

  test('R13.6 session ids of other characters, or too long', async () => {
    for (const [rest, paths] of [admins(house), users(house)]) {
      for (const id of ['a b', 'ä', long, 'a.b', '%00', "x'--", 'a%2Fb', '*']) {
        for (const [method, path, body] of paths) {
          expectField(
            await rest.refused(method, `/sessions/${id.includes('%') ? id : encodeURIComponent(id)}${path}`, body),
            'sessionId',
          );
        }
      }
    }
  });

  test('R13.7 malformed escapes', async () => {
    for (const rest of [house.adminRest(newId()), house.userRest(newId())]) {
      for (const path of ['/sessions/%zz/messages', '/sessions/%/messages', '/sessions/%ff/messages', '/%E0%A4%A']) {
        expectField(await rest.refused('GET', path), 'path');
      }
    }
  });

  test('R13.8 sessions that do not exist', async () => {
    for (const [rest, paths] of [admins(house), users(house)]) {
      for (const id of ['session_nobody', '0', '31', 'x'.repeat(100)]) {
        for (const [method, path, body] of paths) {
          expect((await rest.refused(method, `/sessions/${id}${path}`, body)).code).toBe('SESSION_NOT_FOUND');
        }
      }
    }
  });

  test('R13.9 R3.27 addresses and methods that are nothing’s', async () => {
    const { sessionId } = await visit(house);
    const admin = house.adminRest(newId());
    for (const path of [
      '',
      '/',
      '/nothing',
      '/sessions/x/y/z',
      '/stats',
      '/stats/tomorrow',
      '/Sessions',
      '/sessions/',
    ]) {
      if (path === '/sessions/') continue;
      expect((await admin.refused('GET', path)).code).toBe('NOT_FOUND');
    }
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      expect((await admin.refused(method, `/sessions/${sessionId}`)).code).toBe('NOT_FOUND');
      expect((await admin.refused(method, '/sessions')).code).toBe('NOT_FOUND');
    }
    expect((await admin.refused('POST', '/sessions')).code).toBe('NOT_FOUND');
    expect((await admin.refused('GET', `/sessions/${sessionId}/claim`)).code).toBe('NOT_FOUND');
    for (const base of ['', '/api', '/api/admin', '/admin', '/api/v1/chat', '/.env', '/admin/chatter']) {
      expect((await house.rest(base, null).refused('GET', '/nothing-here')).code).toBe('NOT_FOUND');
    }
    expect((await house.userRest(newId()).refused('GET', '/nothing-here')).code).toBe('NOT_FOUND');
    expect((await house.userRest(newId()).refused('GET', '/sessions')).code).toBe('NOT_FOUND');
  });
});

describe('replies', () => {
  let sessionId: string;
  let rest: Rest;
  let path: string;
  let before: unknown;

  beforeAll(async () => {
    ({ sessionId } = await visit(house));
    rest = house.adminRest(newId());
    path = `/sessions/${sessionId}/messages`;
    await rest.reply(sessionId, { content: 'the only reply', clientMessageId: 'once' });
    await rest.change(sessionId, 'close');
    const { isOnline: _, ...session } = await rest.session(sessionId);
    before = session;
  });

  test('R13.10 content that is missing or no text', async () => {
    expectField(await rest.refused('POST', path, {}), 'content');
    expectField(await rest.refused('POST', path), 'content');
    for (const content of [null, 0, 1, true, [], ['x'], {}, { text: 'x' }]) {
      expectField(await rest.refused('POST', path, { content }), 'content');
    }
  });

  test('R13.11 content that is empty', async () => {
    for (const content of ['', ' ', '\n\t\r ', '\u3000\u00a0\ufeff']) {
      expectField(await rest.refused('POST', path, { content }), 'content');
    }
  });

  test('R13.12 content that is too long', async () => {
    const padded = [`${' '.repeat(65_535)}x`, `x${' '.repeat(65_535)}`, `${' '.repeat(40_000)}x${' '.repeat(40_000)}`];
    for (const content of ['x'.repeat(10_001), emoji(10_001), ` ${'好'.repeat(10_001)} `, ...padded]) {
      expectField(await rest.refused('POST', path, { content }), 'content');
    }
  });

  test('R13.13 R13.14 halves of surrogate pairs, and NUL', async () => {
    for (const content of ['\ud83d', 'x\ude00y', '\ude00\ud83d', 'a\u0000b', '\u0000', 'x\u0000']) {
      expectField(await rest.refused('POST', path, JSON.stringify({ content })), 'content');
    }
  });

  test('R13.15 message types that are not for clients', async () => {
    for (const messageType of ['system', 'video', '', 'TEXT', 1, null, ['text']]) {
      expectField(await rest.refused('POST', path, { content: 'x', messageType }), 'messageType');
    }
  });

  test('R13.16 R2.13 R3.19 the id of another admin', async () => {
    const { status, error } = await rest.request('POST', path, { content: 'x', adminId: newId() });
    expect([status, error.code]).toEqual([403, 'FORBIDDEN']);
    for (const adminId of ['31', 0, -1, 1.5, null, 2 ** 31, true]) {
      expectField(await rest.refused('POST', path, { content: 'x', adminId }), 'adminId');
    }
  });

  test('R13.18 idempotency keys that are none', async () => {
    for (const key of ['', 'a b', long.slice(0, 65), 'ä'.normalize(), 'x;y', '"']) {
      const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') };
      expectField(await rest.refused('POST', path, { content: 'x' }, headers), 'Idempotency-Key');
    }
    const both = { content: 'x', clientMessageId: 'one' };
    expectField(await rest.refused('POST', path, both, { 'idempotency-key': 'other' }), 'Idempotency-Key');
  });

  test('R13.38 client ids that are none', async () => {
    for (const clientMessageId of ['', 'a b', long.slice(0, 65), 'ä', 7, null, {}]) {
      expectField(await rest.refused('POST', path, { content: 'x', clientMessageId }), 'clientMessageId');
    }
  });

  test('R13.19 attachments that are none', async () => {
    const eleven = Array.from({ length: 11 }, () => ({ name: 'x' }));
    for (const attachments of [
      [{ script: 'x' }],
      [{ url: '' }],
      [{ url: 'x'.repeat(2_001) }],
      [{ size: -1 }],
      [{ size: '1' }],
      [{ name: 'a\u0000' }],
      [{ name: '\ud800' }],
      ['x'],
      [null],
      [[]],
      eleven,
      {},
      'x',
    ]) {
      expectField(await rest.refused('POST', path, JSON.stringify({ content: 'x', attachments })), /^attachments\b/);
    }
  });

  test('R13.22 bodies that are no JSON objects', async () => {
    for (const body of ['{', 'content=x', '', '[]', '"x"', '1', '{"content":"x"}}', "{'content':'x'}", '\u0000']) {
      const error = await rest.refused('POST', path, body);
      expectField(error, body === '' ? 'content' : 'body');
    }
    const broken = Buffer.concat([Buffer.from('{"content":"'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')]);
    expectField(await rest.refused('POST', path, broken), 'body');
  });

  test('R13.23 JSON that is too deep or has too many keys', async () => {
    const deep = (levels: number): string => `{"content":"x","extra":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expectField(await rest.refused('POST', path, deep(16)), 'body');
    expectField(await rest.refused('POST', path, deep(10_000)), 'body');
    expectField(
      await rest.refused('POST', path, `{"content":"x","a":${'{"a":'.repeat(17)}1${'}'.repeat(17)}}`),
      'body',
    );
    const wide = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`k${i}`, i]));
    expectField(await rest.refused('POST', path, { content: 'x', ...wide }), 'body');
  });

  test('R13.24 keys that reach for prototypes', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      for (const body of [
        `{"content":"x","${key}":{"isAdmin":true}}`,
        `{"content":"x","attachments":[{"${key}":1}]}`,
        `{"content":"x","a":{"b":[{"${key}":null}]}}`,
      ]) {
        expectField(await rest.refused('POST', path, body), 'body');
      }
    }
  });

  test('R13.25 other content types', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/json',
      'x',
    ]) {
      const { status, error } = await rest.request('POST', path, '{"content":"x"}', { 'content-type': type });
      expect([status, error.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    }
  });

  test('R13.26 bodies that are too large', async () => {
    for (const size of [limits.bodyBytes + 1, 1_000_000]) {
      const body = `{"content":"${'x'.repeat(size - 14)}"}`;
      expect(Buffer.byteLength(body)).toBe(size);
      const { status, error } = await rest.request('POST', path, body);
      expect([status, error.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    }
    // The limit itself is not too large: it is only too long.
    expectField(await rest.refused('POST', path, `{"content":"${'x'.repeat(limits.bodyBytes - 14)}"}`), 'content');
  });

  test('R13.10 – R13.26 nothing of all this has left a trace: no message, and no reopened session', async () => {
    const { isOnline: _, ...after } = await rest.session(sessionId);
    expect(after).toEqual(before);
    expect((await rest.messages(sessionId)).totalCount).toBe(2);
  });
});

test('R13.17 assignees that are none', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  for (const change of ['assign', 'transfer']) {
    const path = `/sessions/${sessionId}/${change}`;
    expectField(await rest.refused('POST', path), 'adminId');
    expectField(await rest.refused('POST', path, {}), 'adminId');
    for (const adminId of [0, -1, 1.5, '31', null, true, 2 ** 31, [1]]) {
      expectField(await rest.refused('POST', path, { adminId }), 'adminId');
    }
  }
  expect((await rest.session(sessionId)).status).toBe('waiting');
});

test('R13.20 R13.21 ratings that are none', async () => {
  const { userId, sessionId } = await visit(house);
  await house.adminRest(newId()).change(sessionId, 'claim');
  const rest = house.userRest(userId);
  const path = `/sessions/${sessionId}/rating`;
  expectField(await rest.refused('POST', path), 'score');
  for (const score of [undefined, null, 0, 6, -1, 4.5, '5', true, [5]]) {
    expectField(await rest.refused('POST', path, { score, comment: 'x' }), 'score');
  }
  for (const comment of [null, 1, ['x'], 'x'.repeat(1_001), emoji(1_001), 'a\u0000b', '\ud800']) {
    expectField(await rest.refused('POST', path, JSON.stringify({ score: 5, comment })), 'comment');
  }
  expect((await house.adminRest(newId()).session(sessionId)).rating).toBeNull();
});

test('R13.27 R11.6 what is no HTTP at all', async () => {
  for (const bytes of [
    'hello\r\n\r\n',
    'GET\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001',
    'GET / HTTP/1.1\r\nbad header\r\n\r\n',
  ]) {
    const { status, body } = await raw(house, bytes);
    expect(status).toBe(400);
    const { success, error } = JSON.parse(body) as { success: boolean; error: ErrorAnswer };
    expect(success).toBe(false);
    expectField(error, 'request');
  }
});

test('R13.28 somebody else’s session', async () => {
  const { sessionId } = await visit(house);
  const stranger = house.userRest(newId());
  for (const [method, path, body] of [
    ['GET', '/messages', undefined],
    ['POST', '/close', undefined],
    ['POST', '/rating', { score: 1 }],
  ] as const) {
    expect((await stranger.refused(method, `/sessions/${sessionId}${path}`, body)).code).toBe('FORBIDDEN');
  }
});

test('R13.44 /chat without an upgrade', async () => {
  for (const path of ['/chat', `/chat?token=${house.userToken(newId())}&type=admin`]) {
    const error = await house.rest('', null).refused('GET', path);
    expectField(error, 'Upgrade');
  }
});

/** What the port says to bytes that no HTTP client would send. */
function raw({ url }: House, bytes: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes, 'latin1'));
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.once('error', reject);
    socket.once('close', () => {
      const [head = '', body = ''] = text.split('\r\n\r\n');
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), body });
    });
  });
}
