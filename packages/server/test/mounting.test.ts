/** Switchboard inside a host's HTTP server: what it takes, what it leaves alone, whom it believes, how it ends. */
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { createSwitchboard } from '../src/index.ts';
import { hostWith, listening, mounted, people } from './mounting-host.ts';

const SESSIONS = '/api/admin/chat/sessions';

test('handler and upgrade serve beside routes and WebSockets of the host', async () => {
  const switchboard = await mounted();
  const host = await hostWith((request, response) => {
    switchboard.handler(request, response, () => response.end(`host ${request.url}`));
  });
  const echo = new WebSocketServer({ noServer: true });
  echo.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${String(data)}`)));
  host.server.on('upgrade', (request, socket, head) => {
    if (switchboard.upgrade(request, socket, head)) return;
    echo.handleUpgrade(request, socket, head, (opened) => echo.emit('connection', opened, request));
  });

  for (const prefix of ['/api/admin/chat', '/admin/chat']) {
    expect(await host.get(`${prefix}/sessions`, 'anna')).toMatchObject({ status: 200, json: { success: true } });
  }
  for (const prefix of ['/api/chat', '/chat']) {
    expect(await host.get(`${prefix}/sessions/current`, 'lilei')).toMatchObject({
      status: 200,
      json: { success: true },
    });
  }
  // The host may have pages of its own at these, and Switchboard's pages for operators are for its own port.
  for (const path of [
    '/',
    '/chat',
    '/chat/',
    '/chat?x=1',
    '/api/chat',
    '/admin/chat',
    '/chatter/x',
    '/healthz',
    '/metrics',
  ]) {
    expect((await host.get(path)).text).toBe(`host ${path}`);
  }

  const own = await host.connect('/live');
  own.socket.send('x');
  await own.text((text) => text === 'echo x');
  for (const path of ['/chat', '/api/chat']) {
    const user = await host.connect(`${path}?token=lilei`);
    user.say('你好');
    expect((await user.frame('message_ack')).data.status).toBe('sent');
  }
  expect(switchboard.serves({ url: '/chat/x', headers: {} } as IncomingMessage)).toBe(true);
  expect(switchboard.serves({ url: '/chat', headers: { upgrade: 'websocket' } } as unknown as IncomingMessage)).toBe(
    true,
  );
  expect(switchboard.serves({ url: '/chat', headers: {} } as IncomingMessage)).toBe(false);
  expect(switchboard.serves({ url: '/live', headers: { upgrade: 'websocket' } } as unknown as IncomingMessage)).toBe(
    false,
  );
});

test('attach goes before listeners that answer everything, and can be taken off again', async () => {
  const switchboard = await mounted();
  const server = createServer((request, response) => response.end(`host ${request.url}`));
  const detach = switchboard.attach(server);
  // Refuses upgrades to all paths but its own.
  const echo = new WebSocketServer({ server, path: '/live' });
  echo.on('connection', (socket) => socket.send('welcome'));
  const host = await listening(server);

  expect((await host.get(SESSIONS, 'anna')).status).toBe(200);
  expect((await host.get('/hello')).text).toBe('host /hello');
  const user = await host.connect('/chat?token=lilei');
  user.say('hi');
  await user.frame('message_ack');
  await (await host.connect('/live')).text((text) => text === 'welcome');
  await expect(host.connect('/other')).rejects.toThrow('refused with 400');

  detach();
  expect((await host.get(SESSIONS, 'anna')).text).toBe(`host ${SESSIONS}`);
  expect(Object.hasOwn(server, 'emit')).toBe(false);
  expect(server.listenerCount('upgrade')).toBe(1);
});

test('upgrades that nobody wants stay ordinary requests of a host without WebSockets', async () => {
  const server = createServer((request, response) => response.end(`host ${request.url}`));
  (await mounted()).attach(server);
  (await mounted({ prefix: '/second' })).attach(server);
  const host = await listening(server);
  await expect(host.connect('/live')).rejects.toThrow('refused with 200');
  const socket = connect((host.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET /page HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  let text = '';
  for await (const part of socket) text += String(part);
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*host \/page/);
  for (const prefix of ['', '/second']) await host.connect(`${prefix}/chat?token=lilei`);
});

test('a prefix stands before all paths, whether a router cuts it off or not', async () => {
  const switchboard = await mounted({ prefix: '/support/v1' });
  const host = await hostWith((request, response) => {
    // As Express does for what is mounted at a path.
    Object.assign(request, { originalUrl: request.url });
    request.url = request.url?.replace(/^\/support/, '') ?? '/';
    switchboard.handler(request, response, () => response.end('host'));
  });
  host.server.on('upgrade', (request, socket, head) => {
    if (!switchboard.upgrade(request, socket, head)) socket.destroy();
  });
  expect((await host.get(`/support/v1${SESSIONS}`, 'anna')).status).toBe(200);
  expect((await host.get(SESSIONS, 'anna')).text).toBe('host');
  await host.connect('/support/v1/chat?token=lilei');
  await expect(host.connect('/chat?token=lilei')).rejects.toThrow();
});

test.for([
  ['an object', (text: string): unknown => JSON.parse(text)],
  ['a text', (text: string): unknown => text],
  ['bytes', (text: string): unknown => Buffer.from(text)],
] as const)('a body that a parser of the host has read already is taken from it as %s', async ([, parsed]) => {
  const switchboard = await mounted();
  const host = await hostWith((request, response) => {
    let text = '';
    request.on('data', (part) => (text += String(part)));
    request.on('end', () => {
      if (text !== '') Object.assign(request, { body: parsed(text) });
      // 'end' has been told to everybody only after this.
      setImmediate(() => switchboard.handler(request, response));
    });
  });
  await switchboard.as({ side: 'user', userId: 31 }).send({ sessionId: 's1', content: 'hi' });
  const path = `${SESSIONS}/s1/messages`;
  expect(await host.post(path, 'anna', { content: '您好 👋' })).toMatchObject({
    status: 200,
    json: { data: { status: 'sent' } },
  });
  expect((await host.get(path, 'anna')).json.data.messages.at(-1).content).toBe('您好 👋');
  expect((await host.post(path, 'anna', { content: 5 })).json.error.details.field).toBe('content');
});

test("the host's own check of tokens decides", async () => {
  const lines: object[] = [];
  const note = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const jwtError = Object.assign(new Error('jwt expired'), { name: 'TokenExpiredError' });
  const joseError = Object.assign(new Error('signature'), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
  const answers: Record<string, () => unknown> = {
    ok: () => people['anna'],
    none: () => undefined,
    jsonwebtoken: () => {
      throw jwtError;
    },
    jose: () => Promise.reject(joseError),
    guard: () => {
      throw Object.assign(new Error('no'), { status: 403 });
    },
    outage: () => Promise.reject(new Error('the accounts database is away')),
    wrongId: () => ({ userId: 'abc' }),
    seconds: () => ({ userId: 7, roles: ['admin'], expiresAt: 1_900_000_000 }),
    word: () => ({ userId: 7, roles: 'admin' }),
  };
  const switchboard = await mounted({
    authenticate: (token) => answers[token]?.() as null,
    logger: { debug: note, info: () => undefined, warn: note, error: note },
  });
  const host = await hostWith((request, response) => switchboard.handler(request, response));
  const status = async (token: string): Promise<number> => (await host.get(SESSIONS, token)).status;

  expect([await status('ok'), await status('word')]).toEqual([200, 200]);
  for (const refused of ['none', 'unknown', 'jsonwebtoken', 'jose', 'guard']) expect(await status(refused)).toBe(401);
  expect(await status('outage')).toBe(503);
  expect(lines).toContainEqual(
    expect.objectContaining({ err: expect.objectContaining({ message: 'the accounts database is away' }) }),
  );
  for (const wrong of ['wrongId', 'seconds']) expect(await status(wrong)).toBe(500);
  expect(JSON.stringify(lines)).toMatch(/userId must be an integer.*expiresAt that is neither a Date/);
});

test('a connection ends when the account does', async () => {
  const expiresAt = new Date(Date.now() + 900);
  const switchboard = await mounted({ authenticate: () => ({ userId: 31, expiresAt }) });
  const server = createServer();
  switchboard.attach(server);
  const host = await listening(server);
  const line = await host.connect('/chat?token=x');
  expect(await line.closed).toBe(4001);
});

test("the host's logger gets fields and message, without secrets", async () => {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const writer =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields: fields as Record<string, unknown>, message });
    };
  const logger = {
    level: 'debug',
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
  };
  const secret = 'a-secret-of-more-than-32-bytes-for-this-test';
  const switchboard = await mounted({ JWT_SECRET: secret, logger });
  const host = await hostWith((request, response) => switchboard.handler(request, response));
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOjF9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
  await host.get(`${SESSIONS}?token=${token}`);
  await vi.waitFor(() =>
    expect(lines.find(({ message }) => message === 'request')?.fields).toMatchObject({
      status: 401,
      route: `${SESSIONS}`,
    }),
  );
  expect(JSON.stringify(lines)).not.toMatch(/eyJ|a-secret-of/);
});

test('two in one process know nothing of each other, and touch nothing of the process', async () => {
  const listeners = (): unknown => process.eventNames().map((name) => [name, process.listenerCount(name)]);
  const before = listeners();
  vi.stubEnv('PORT', 'wrong');
  vi.stubEnv('DATABASE_URL', 'wrong');
  const exit = vi.spyOn(process, 'exit');
  const [one, two] = [await mounted(), await mounted({ logger: undefined })];
  const server = createServer((_request, response) => response.end('host'));
  one.attach(server);
  const host = await listening(server);
  const other = await hostWith((request, response) => two.handler(request, response));
  const line = await host.connect('/chat?token=lilei');
  line.say('only here');
  await line.frame('message_ack');

  expect((await host.get(SESSIONS, 'anna')).json.data.totalCount).toBe(1);
  expect((await other.get(SESSIONS, 'anna')).json.data.totalCount).toBe(0);
  expect(await one.metrics()).toContain('switchboard_messages_stored_total{sender="user"} 1');
  expect(await two.metrics()).not.toContain('switchboard_messages_stored_total{sender="user"} 1');
  expect(listeners()).toEqual(before);
  await one.close();
  expect((await host.get(SESSIONS, 'anna')).text).toBe('host');
  expect((await other.get(SESSIONS, 'anna')).status).toBe(200);
  expect(exit).not.toHaveBeenCalled();
  vi.unstubAllEnvs();
});

test('close answers what is in flight, tells sockets to come back, and lets the host end by itself', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const switchboard = await mounted({
    authenticate: async (token) => {
      if (token === 'slow') await held;
      return people['anna'] ?? null;
    },
  });
  const host = await hostWith((request, response) => {
    if (!switchboard.handler(request, response)) response.end('host');
  });
  host.server.on('upgrade', (request, socket, head) => void switchboard.upgrade(request, socket, head));
  const line = await host.connect('/chat?token=anna&type=admin');
  const slow = host.get(SESSIONS, 'slow');
  await vi.waitFor(async () => expect(await count(host.server)).toBeGreaterThan(1));
  const closing = switchboard.close();
  expect(switchboard.close()).toBe(closing);
  expect(await line.closed).toBe(1012);
  expect(await host.get(SESSIONS, 'anna')).toMatchObject({
    status: 503,
    json: { error: { code: 'UNAVAILABLE', retryable: true } },
  });
  release();
  expect((await slow).status).toBe(200);
  await closing;
  await expect(switchboard.ready()).rejects.toThrow();
});

function count(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, found) => (error ? reject(error) : resolve(found))),
  );
}

const authenticate = (): null => null;

test.for([
  [{}, 'JWT_SECRET must be given'],
  [{ JWT_SECRET: 'short' }, 'JWT_SECRET has 5 bytes'],
  [{ authenticate, PORT: 70_000 }, 'PORT'],
  [{ authenticate, database: 'postgres://x' }, 'DATABASE_URL'],
  [{ authenticate, database: { query: () => undefined } }, 'neither a URL nor a pool'],
  [{ authenticate, loger: false }, 'there is no option loger'],
  [{ authenticate, prefix: 'support/' }, 'prefix must begin with /'],
] as const)('%j is refused: %s', async ([options, fault]) => {
  await expect(createSwitchboard(options as never)).rejects.toThrow(fault);
});
