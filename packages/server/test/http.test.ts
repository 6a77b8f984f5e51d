/** REST over real sockets against the built server: the order of the checks, bodies, repeats, the operation log, floods. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startSwitchboard, type Switchboard } from '../../../testing/switchboard.ts';

const ADMIN = '/api/admin/chat';
const USER = '/api/chat';
let server: Switchboard;
let admin: string;
let user: string;

beforeAll(async () => {
  server = await startSwitchboard({ env: { RATE_LIMIT: 'off', LOG_LEVEL: 'debug' } });
  admin = server.token({ userId: 7, roles: ['admin'] });
  user = server.token({ userId: 31, roles: ['user'] });
});
afterAll(() => server.remove());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers of every shape are looked into
  readonly json: any;
}

interface Ask {
  readonly token?: string;
  readonly method?: string;
  /** A text or bytes go as they are, with JSON's content type; anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly on?: Switchboard;
}

async function ask(
  path: string,
  { token, method = 'GET', body, headers = {}, on = server }: Ask = {},
): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(on.url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

const post = (path: string, more: Ask = {}): Promise<Answer> => ask(path, { token: admin, method: 'POST', ...more });

/** Opens a session by a user's first message. */
async function openSession(sessionId: string, on = server, token = user): Promise<void> {
  const socket = new WebSocket(`${on.wsUrl}/chat?token=${token}`);
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'send_message', data: { sessionId, content: 'hello' } })),
    );
    socket.on('message', (data) => {
      const { type } = JSON.parse((data as Buffer).toString()) as { type: string };
      if (type === 'message_ack') resolve();
      if (type === 'error') reject(new Error(String(data)));
    });
  });
  socket.close();
}

async function newestOperation(): Promise<Record<string, unknown>> {
  const { json } = await ask(`${ADMIN}/operation-logs?pageSize=1`, { token: admin });
  return json.data.logs[0];
}

function expectFault(answer: Answer, status: number, code: string, field?: string): void {
  expect(answer.json).toMatchObject({ success: false, error: { code } });
  expect(answer.status).toBe(status);
  expect(answer.json.error.details?.field).toBe(field);
}

test.each([ADMIN, '/admin/chat'])(
  '%s wants a token, then a role, then a good request, and only then looks',
  async (at) => {
    expectFault(await ask(`${at}/sessions?page=0`), 401, 'UNAUTHORIZED');
    expectFault(await ask(`${at}/sessions?page=0`, { token: 'nonsense' }), 401, 'UNAUTHORIZED');
    expectFault(await ask(`${at}/sessions?page=0`, { token: user }), 403, 'FORBIDDEN');
    expectFault(await ask(`${at}/sessions?page=0`, { token: admin }), 400, 'INVALID_PARAMETER', 'page');
    expectFault(await ask(`${at}/sessions/nobody`, { token: admin }), 404, 'SESSION_NOT_FOUND');
    expect((await ask(`${at}/sessions`, { token: admin })).status).toBe(200);
    expect((await ask(`${at}/sessions?token=${admin}`)).status).toBe(200);
  },
);

test.each(['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'PROPFIND'])(
  '%s of an unknown address tells only admins that nothing is there',
  async (method) => {
    for (const path of ['', '/', '/nothing', '/sessions/a/b/c']) {
      expectFault(await ask(ADMIN + path, { method }), 401, 'UNAUTHORIZED');
      expectFault(await ask(ADMIN + path, { method, token: user }), 403, 'FORBIDDEN');
      expectFault(await ask(ADMIN + path, { method, token: admin }), 404, 'NOT_FOUND');
    }
    expectFault(await ask('/nothing', { method }), 404, 'NOT_FOUND');
  },
);

test.each([
  ['status=unknown', 'status'],
  ['status=all&status=all', 'status'],
  ['page=0', 'page'],
  ['page=1.5', 'page'],
  ['page=one', 'page'],
  ['page=', 'page'],
  ['page=1&page=1', 'page'],
  ['pageSize=0', 'pageSize'],
  ['pageSize=101', 'pageSize'],
])('?%s is refused by name', async (query, field) => {
  expectFault(await ask(`${ADMIN}/sessions?${query}`, { token: admin }), 400, 'INVALID_PARAMETER', field);
});

test('a malformed escape is refused, after the token', async () => {
  for (const path of ['/sessions/%zz', '/sessions/%E0%A4%A/messages', '/%']) {
    expectFault(await ask(ADMIN + path), 401, 'UNAUTHORIZED');
    expectFault(await ask(ADMIN + path, { token: admin }), 400, 'INVALID_PARAMETER', 'path');
  }
  expectFault(await ask('/%ff'), 400, 'INVALID_PARAMETER', 'path');
});

test('bodies are JSON in UTF-8, small and shallow', async () => {
  await openSession('bodies');
  const path = `${ADMIN}/sessions/bodies/messages`;
  const refused = async (body: unknown, field: string): Promise<void> =>
    expectFault(await post(path, { body }), 400, 'INVALID_PARAMETER', field);
  await refused('{', 'body');
  await refused('[]', 'body');
  await refused(Buffer.from([0x22, 0xff, 0x22]), 'body');
  await refused(`{"content":${'['.repeat(40)}${']'.repeat(40)}}`, 'body');
  await refused('{"__proto__":{},"content":"x"}', 'body');
  await refused('', 'content');
  await refused({}, 'content');
  await refused({ content: ' \n' }, 'content');
  await refused({ content: 'x'.repeat(10_001) }, 'content');
  await refused('{"content":"\\ud83d"}', 'content');
  await refused({ content: 'a\0b' }, 'content');
  await refused({ content: 'x', messageType: 'system' }, 'messageType');
  await refused({ content: 'x', adminId: '7' }, 'adminId');
  expectFault(await post(path, { body: { content: 'x', adminId: 8 } }), 403, 'FORBIDDEN', 'adminId');
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'no type']) {
    const answer = await post(path, { body: '{"content":"x"}', headers: { 'content-type': type } });
    expectFault(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
  }
  for (const size of [140_000, 1_000_000]) {
    expectFault(await post(path, { body: { content: 'x'.repeat(size) } }), 413, 'PAYLOAD_TOO_LARGE');
  }
  const { json } = await ask(path, { token: admin });
  expect(json.data.totalCount).toBe(1);
});

test('claim, close and reopen need no body, and no content type', async () => {
  await openSession('bare');
  for (const headers of [{}, { 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
    for (const [change, status] of [
      ['claim', 'active'],
      ['close', 'closed'],
      ['reopen', 'waiting'],
    ]) {
      const { json } = await post(`${ADMIN}/sessions/bare/${change}`, { headers });
      expect(json).toMatchObject({ success: true, data: { session: { sessionId: 'bare', status } } });
    }
  }
  const taken = await post(`${ADMIN}/sessions/bare/assign`, { body: { adminId: 8 } });
  expect(taken.json.data.session).toMatchObject({ status: 'active', adminId: 8 });
  const passed = await post(`${ADMIN}/sessions/bare/transfer`, { body: { adminId: 9 } });
  expect(passed.json.data.session).toMatchObject({ status: 'active', adminId: 9 });
  expectFault(await post(`${ADMIN}/sessions/bare/claim`), 409, 'CONFLICT', 'status');
});

test('a repeated reply is stored once and answered alike', async () => {
  await openSession('repeats');
  const path = `${ADMIN}/sessions/repeats/messages`;
  const first = await post(path, { body: { content: '您好', adminId: 7 }, headers: { 'idempotency-key': '"key-1"' } });
  expect(first.json.data).toEqual({
    messageId: expect.any(String),
    status: 'sent',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    seq: expect.any(Number),
  });
  for (const again of [
    { body: { content: '您好' }, headers: { 'idempotency-key': 'key-1' } },
    { body: { content: '您好', clientMessageId: 'key-1' } },
    { body: { content: '您好', clientMessageId: 'key-1' }, headers: { 'idempotency-key': '"key-1"' } },
  ]) {
    expect((await post(path, again)).json.data).toEqual({ ...first.json.data, duplicate: true });
  }
  const other = { body: { content: 'other' }, headers: { 'idempotency-key': 'key-1' } };
  expectFault(await post(path, other), 409, 'CONFLICT', 'clientMessageId');
  const both = { body: { content: 'x', clientMessageId: 'key-3' }, headers: { 'idempotency-key': 'key-2' } };
  expectFault(await post(path, both), 400, 'INVALID_PARAMETER', 'Idempotency-Key');
  const bad = { body: { content: 'x' }, headers: { 'idempotency-key': 'not a key' } };
  expectFault(await post(path, bad), 400, 'INVALID_PARAMETER', 'Idempotency-Key');
  expect((await ask(path, { token: admin })).json.data.totalCount).toBe(2);
});

test.each([USER, '/chat'])('users see, rate and close their own sessions under %s', async (at) => {
  const mine = server.token({ userId: at.length });
  const sessionId = `own-${at.length}`;
  await openSession(sessionId, server, mine);
  expectFault(await ask(`${at}/sessions/current`), 401, 'UNAUTHORIZED');
  expect((await ask(`${at}/sessions/current`, { token: mine })).json.data.session).toMatchObject({ sessionId });
  expect((await ask(`${at}/sessions/current`, { token: admin })).json.data).toEqual({ session: null });
  expect((await ask(`${at}/sessions/${sessionId}/messages`, { token: mine })).json.data.messages).toHaveLength(1);
  expectFault(await ask(`${at}/sessions/${sessionId}/messages`, { token: user }), 403, 'FORBIDDEN');
  const close = `${at}/sessions/${sessionId}/close`;
  expect((await post(close, { token: mine })).json.data.session).toMatchObject({ status: 'closed' });
  expectFault(await post(close, { token: mine }), 409, 'CONFLICT', 'status');
  const rating = `${at}/sessions/${sessionId}/rating`;
  const rated = await post(rating, { token: mine, body: { score: 5, comment: '好' } });
  expect(rated.json.data.session.rating).toMatchObject({ score: 5, comment: '好' });
  expectFault(await post(rating, { token: mine, body: { score: 6 } }), 400, 'INVALID_PARAMETER', 'score');
  expectFault(await post(rating, { token: mine }), 400, 'INVALID_PARAMETER', 'score');
});

test('statistics come in the order of the requirements, in the language asked for', async () => {
  const { json } = await ask(`${ADMIN}/stats/today`, { token: admin });
  const keys = ['totalSessions', 'completedSessions', 'avgResponseTime', 'customerSatisfaction'];
  expect(Object.keys(json.data.stats).slice(0, 4)).toEqual(keys);
  expect(json.data.stats.avgResponseTime).toMatch(/秒$|分钟$/);
  const english = await ask(`${ADMIN}/stats/today`, { token: admin, headers: { 'accept-language': 'en-GB' } });
  expect(english.json.data.stats.avgResponseTime).toMatch(/ s$| min$/);
  const fault = await ask(`${ADMIN}/sessions?page=0`, { token: admin, headers: { 'accept-language': 'en' } });
  expect(fault.json.error.message).toMatch(/page must be at least 1$/);
});

test('changes and refusals are in the operation log before their answer is out', async () => {
  await openSession('logged');
  const cases: [() => Promise<Answer>, Record<string, unknown>][] = [
    [
      () => post(`${ADMIN}/sessions/logged/claim`),
      { adminId: 7, action: 'session.claim', sessionId: 'logged', outcome: 'ok' },
    ],
    [
      () => post(`${ADMIN}/sessions/logged/claim`),
      { adminId: 7, action: 'session.claim', sessionId: 'logged', outcome: 'CONFLICT' },
    ],
    [
      () => ask(`${ADMIN}/sessions`),
      { adminId: null, action: 'session.list', sessionId: null, outcome: 'UNAUTHORIZED' },
    ],
    [() => ask(`${ADMIN}/stats/today`, { token: user }), { adminId: 31, action: 'stats.today', outcome: 'FORBIDDEN' }],
    [
      () => ask(`${ADMIN}/sessions/a%20b`, { token: admin }),
      { action: 'session.read', sessionId: null, outcome: 'INVALID_PARAMETER' },
    ],
    [
      () => ask(`${ADMIN}/sessions/none/messages`, { token: admin }),
      { action: 'message.list', sessionId: 'none', outcome: 'SESSION_NOT_FOUND' },
    ],
    [
      () => post(`${ADMIN}/sessions/logged/messages`, { body: { content: 'x'.repeat(140_000) } }),
      { action: 'message.send', outcome: 'PAYLOAD_TOO_LARGE' },
    ],
    [
      () => post(`${ADMIN}/sessions/logged/messages`, { body: 'x', headers: { 'content-type': 'text/plain' } }),
      { action: 'message.send', outcome: 'UNSUPPORTED_MEDIA_TYPE' },
    ],
    [
      () => ask(`${ADMIN}/secret?token=${user}`),
      { adminId: 31, action: 'unknown', sessionId: null, outcome: 'FORBIDDEN' },
    ],
  ];
  for (const [act, row] of cases) {
    await act();
    expect(await newestOperation()).toMatchObject({ ...row, address: '127.0.0.1' });
  }
});

test('the WebSocket address says so to those who come without an upgrade', async () => {
  expectFault(await ask('/chat'), 400, 'INVALID_PARAMETER', 'Upgrade');
});

test('probes and metrics ask for no token', async () => {
  expect((await ask('/healthz')).json).toEqual({ status: 'ok' });
  expect((await ask('/readyz')).json).toEqual({ status: 'ok' });
  const metrics = await ask('/metrics');
  expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(metrics.text).toContain('route="/api/admin/chat/sessions/:sessionId"');
  expect(metrics.text).not.toContain('nobody');
});

test('browsers on this server’s machine are not let in outside demo mode, and answers are theirs alone', async () => {
  const { headers } = await ask(`${ADMIN}/sessions`, { token: admin, headers: { origin: 'http://localhost:5173' } });
  expect(headers.get('access-control-allow-origin')).toBeNull();
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
});

test('no token is in the log', () => {
  expect(server.stdout).toContain('"route":"/api/admin/chat/sessions"');
  for (const token of [admin, user]) expect(server.stdout).not.toContain(token.split('.')[2]);
});

test('a flood is told to wait, does not touch others, and leaves one row a second in the operation log', async () => {
  const on = await startSwitchboard({ env: { RATE_LIMIT: 'requests=5/20' } });
  try {
    const flooder = on.token({ userId: 50, roles: ['admin'] });
    const flood = await Promise.all(Array.from({ length: 60 }, () => ask(`${ADMIN}/sessions`, { token: flooder, on })));
    const refused = flood.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(30);
    for (const answer of refused) {
      expectFault(answer, 429, 'RATE_LIMITED');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect((await ask('/healthz', { on })).status).toBe(200);
    const { json } = await ask(`${ADMIN}/operation-logs`, { token: on.token({ userId: 7, roles: ['admin'] }), on });
    const rows = (json.data.logs as { outcome: string }[]).filter(({ outcome }) => outcome === 'RATE_LIMITED');
    expect(rows.length).toBeGreaterThanOrEqual(1);
    expect(rows.length).toBeLessThanOrEqual(3);
  } finally {
    await on.remove();
  }
});

test('origins that are allowed may read answers, refusals too; others may not', async () => {
  const on = await startSwitchboard({ env: { ALLOWED_ORIGINS: 'https://shop.example' } });
  try {
    const allowOrigin = async (origin: string, more: Ask = {}): Promise<string | null> =>
      (await ask(`${ADMIN}/sessions`, { ...more, on, headers: { origin, ...more.headers } })).headers.get(
        'access-control-allow-origin',
      );
    const preflight = {
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    };
    for (const more of [{}, preflight]) {
      expect(await allowOrigin('https://shop.example', more)).toBe('https://shop.example');
      expect(await allowOrigin('https://evil.example', more)).toBeNull();
      expect(await allowOrigin('http://localhost:5173', more)).toBeNull();
    }
    const answer = await ask(`${ADMIN}/sessions`, {
      ...preflight,
      on,
      headers: { ...preflight.headers, origin: 'https://shop.example' },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-headers')).toBe('authorization');
  } finally {
    await on.remove();
  }
});

/** Everything that a raw connection gets until it is closed, and how long that took. */
async function raw(text: string): Promise<{ answer: string; ms: number }> {
  const began = performance.now();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(text));
  let answer = '';
  socket.on('data', (bytes) => (answer += bytes.toString()));
  await new Promise((resolve) => socket.on('error', resolve).on('close', resolve));
  return { answer, ms: performance.now() - began };
}

test('what is no HTTP gets JSON too, and slow headers are cut', async () => {
  const body = (text: string): unknown => JSON.parse(text.split('\r\n\r\n')[1] ?? '');
  const garbage = await raw('HELLO\r\n\r\n');
  expect(garbage.answer).toMatch(/^HTTP\/1.1 400 /);
  expect(body(garbage.answer)).toMatchObject({ success: false, error: { code: 'INVALID_PARAMETER' } });
  const long = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(long.answer).toMatch(/^HTTP\/1.1 431 /);
  expect(body(long.answer)).toMatchObject({ success: false, error: { code: 'PAYLOAD_TOO_LARGE' } });
  const slow = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\n');
  expect(slow.answer).toMatch(/^HTTP\/1.1 408 /);
  expect(slow.ms).toBeLessThan(6_500);
});
