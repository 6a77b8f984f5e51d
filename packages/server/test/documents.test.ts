/** The documents against public parsers, against the tables, and against what the built server really answers. */
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { Validator } from '@seriousme/openapi-schema-validator';
import { clientFrames, errorKinds, serverFrames } from '@switchboard/protocol';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { chromiumLaunch } from '../../../testing/chromium.ts';
import { describeWith } from '../../../testing/requires.ts';
import { startSwitchboard, type Switchboard } from '../../../testing/switchboard.ts';
import { type FuzzRequest, type Operation, requests, type Schema } from './support/document-fuzz.ts';

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
interface AsyncApi {
  readonly operations: Readonly<Record<string, { readonly action: string }>>;
  readonly components: { readonly messages: Readonly<Record<string, { readonly name: string }>> };
}

const RUNS = Number(process.env['DOCUMENT_FUZZ_RUNS'] ?? 25);
const SESSIONS = ['fuzz-1', 'fuzz-2', 'fuzz-3', 'fuzz-4'];
let server: Switchboard;
let openapi: OpenApi;
let asyncapi: AsyncApi;
let admin: string;
let user: string;
let ajv: Ajv2020;
/** The statuses that each operation was seen to answer. */
const seen = new Map<string, Set<number>>();

async function json<T>(path: string): Promise<T> {
  return (await (await fetch(server.url + path, { headers: { 'accept-language': 'en' } })).json()) as T;
}

beforeAll(async () => {
  server = await startSwitchboard({
    env: { RATE_LIMIT: 'off', MAX_ACTIVE_SESSIONS_PER_ADMIN: '1', FRAME_NAMES: 'new_admin_message=admin_message' },
  });
  admin = server.token({ userId: 7, roles: ['admin'] });
  user = server.token({ userId: 31, roles: ['user'] });
  openapi = await json('/openapi.json');
  asyncapi = await json('/asyncapi.json');
  ajv = new Ajv2020({
    strict: false,
    formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
  });
  ajv.addSchema(closed(openapi) as object, 'openapi');
  ajv.addSchema(closed(asyncapi) as object, 'asyncapi');
  for (const sessionId of SESSIONS) await openSession(sessionId);
});
afterAll(() => server.remove());

/** The same document, where no object may have more than it lists. */
function closed(node: unknown): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map(closed);
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  return copy['type'] === 'object' && copy['properties'] !== undefined
    ? { additionalProperties: false, ...copy }
    : copy;
}

async function openSession(sessionId: string): Promise<void> {
  const [ack] = await talk(
    user,
    '',
    [{ type: 'send_message', data: { sessionId, content: 'hello' } }],
    ['message_ack'],
  );
  expect(ack).toMatchObject({ type: 'message_ack' });
}

/** Says these frames on a connection of its own. @returns all frames that came, until one of this type */
async function talk(
  token: string,
  query: string,
  frames: readonly object[],
  until: readonly string[],
): Promise<{ type: string }[]> {
  const socket = new WebSocket(`${server.wsUrl}/chat?token=${token}${query}`);
  const heard: { type: string }[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(heard)}`)));
    socket.on('open', () => frames.forEach((frame) => socket.send(JSON.stringify(frame))));
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as { type: string };
      heard.push(frame);
      if (until.every((type) => heard.some((h) => h.type === type))) resolve();
    });
  });
  socket.removeAllListeners('close').close();
  return heard;
}

function follow<T extends { readonly $ref?: string }>(node: T): T {
  if (node.$ref === undefined) return node;
  const [, , group = '', name = ''] = node.$ref.split('/');
  return openapi.components[group]?.[name] as T;
}

const operations = (): [path: string, method: string, operation: Operation][] =>
  Object.entries(openapi.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  );

/** Sends a request of an operation, and checks that its answer is one of those in the document. */
async function send(
  template: string,
  method: string,
  { operationId, responses }: Operation,
  { path, headers, body }: FuzzRequest,
  on = server,
): Promise<number> {
  const response = await fetch(on.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  const { status } = response;
  const what = `${method} ${path} → ${status} ${text.slice(0, 500)}`;
  if (status >= 500) throw new Error(`a fault of the server: ${what}`);
  const answer = responses[status];
  if (!answer) throw new Error(`undocumented status: ${what}`);
  const { content } = follow(answer) as { content: Record<string, { schema: Schema }> };
  const [media = ''] = (response.headers.get('content-type') ?? '').split(';');
  if (!content[media]) throw new Error(`undocumented media type ${media}: ${what}`);
  const pointer = (...steps: string[]): string =>
    ['#', ...steps.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')))].join('/');
  const at = answer.$ref ?? pointer('paths', template, method, 'responses', String(status));
  const check = ajv.getSchema(`openapi${at}/content/${encodeURIComponent(media.replaceAll('/', '~1'))}/schema`);
  if (!check) throw new Error(`no schema at ${at}`);
  if (!check(media === 'application/json' ? JSON.parse(text) : text)) {
    throw new Error(`undocumented shape: ${what}\n${JSON.stringify(check.errors)}`);
  }
  seen.set(operationId, (seen.get(operationId) ?? new Set()).add(status));
  return status;
}

test('a public validator finds nothing wrong with the OpenAPI document, in either language', async () => {
  for (const language of ['zh', 'en']) {
    const response = await fetch(`${server.url}/openapi.json`, { headers: { 'accept-language': language } });
    expect(response.headers.get('vary')).toContain('Accept-Language');
    const result = await new Validator().validate((await response.json()) as Parameters<Validator['validate']>[0]);
    expect(result).toMatchObject({ valid: true });
  }
});

test('the parser of AsyncAPI finds nothing wrong with the document of the WebSocket, in either language', async () => {
  for (const language of ['zh', 'en']) {
    const response = await fetch(`${server.url}/asyncapi.json`, { headers: { 'accept-language': language } });
    const { document, diagnostics } = await new Parser().parse(await response.text());
    expect(diagnostics.filter(({ severity }) => severity <= 1)).toEqual([]);
    expect(document?.version()).toBe('3.0.0');
  }
});

test('the OpenAPI document lists the routes of the protocol, and no others', () => {
  const chapter = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
    .split('## 3 REST')[1]
    ?.split('\n## ')[0];
  const listed = [
    'GET /chat',
    'GET /healthz',
    'GET /readyz',
    'GET /metrics',
    'GET /openapi.json',
    'GET /asyncapi.json',
  ];
  for (const [, cell = '', who = ''] of (chapter ?? '').matchAll(/^\| (`(?:GET|POST) .*?) \| ([a-z, ]+) \|/gm)) {
    const [first = '', ...others] = [...cell.matchAll(/`([^`{]*(?:\{id\}[^`]*)?)`/g)].map(([, text = '']) => text);
    const whole = first.replace(/\?.*/, '').replace('{id}', '{sessionId}');
    const paths = [whole, ...others.map((text) => whole.replace(/\/\w+$/, text.slice(1)))];
    for (const side of who.split(', ')) {
      for (const prefix of side === 'admin' ? ['/api/admin/chat', '/admin/chat'] : ['/api/chat', '/chat']) {
        listed.push(...paths.map((path) => path.replace(' ', ` ${prefix}`)));
      }
    }
  }
  const documented = operations().map(([path, method]) => `${method.toUpperCase()} ${path}`);
  expect(documented.toSorted()).toEqual([...new Set(listed)].toSorted());
});

test('every operation has the errors of its codes, of their statuses, and a name of its own', () => {
  const all = operations();
  expect(new Set(all.map(([, , { operationId }]) => operationId)).size).toBe(all.length);
  for (const [, , { responses }] of all) {
    for (const [status, { $ref }] of Object.entries(responses)) {
      if ($ref === undefined) expect(status).toBe('200');
      else expect(errorKinds[$ref.split('/').at(-1) as keyof typeof errorKinds].status).toBe(Number(status));
    }
  }
});

test('the AsyncAPI document lists every frame, the renamed one by its name', () => {
  const of = (action: string): string[] =>
    Object.entries(asyncapi.operations).flatMap(([type, one]) => (one.action === action ? [type] : []));
  expect(of('receive').toSorted()).toEqual(Object.keys(clientFrames).toSorted());
  expect(of('send').toSorted()).toEqual(Object.keys(serverFrames).toSorted());
  const { messages } = asyncapi.components;
  expect(messages['new_admin_message']).toMatchObject({
    name: 'admin_message',
    payload: { properties: { type: { const: 'admin_message' } } },
  });
});

test('each change of a session answers as documented, below both prefixes', async () => {
  for (const [short, prefix] of ['/api/admin/chat', '/admin/chat'].entries()) {
    const id = `life-${short}`;
    await openSession(id);
    const act = async (who: string, tail: string, body?: object, at = prefix): Promise<void> => {
      const template = `${at}/sessions/{sessionId}/${tail}`;
      const operation = openapi.paths[template]?.['post'];
      if (!operation) throw new Error(`no ${template}`);
      const headers = { authorization: `Bearer ${who}`, 'content-type': 'application/json' };
      const path = template.replace('{sessionId}', id);
      const sent = { path, headers, body: body && JSON.stringify(body) };
      expect({ template, status: await send(template, 'post', operation, sent) }).toEqual({ template, status: 200 });
    };
    await act(admin, 'claim');
    await act(admin, 'transfer', { adminId: 8 });
    await act(admin, 'messages', { content: '你好', attachments: [{ url: 'https://example.org/a.png' }] });
    await act(user, 'rating', { score: 5, comment: '好' }, prefix.replace('/admin', ''));
    await act(user, 'close', undefined, prefix.replace('/admin', ''));
    await act(admin, 'reopen');
    await act(admin, 'assign', { adminId: 8 });
    await act(admin, 'close');
  }
});

test('no request, good or bad, gets an answer that is not in the document', async () => {
  for (const [template, method, operation] of operations()) {
    const { tags, security } = operation;
    const around = {
      follow,
      sessionIds: SESSIONS,
      token: tags[0] === 'admin' ? admin : user,
      otherTokens: [tags[0] === 'admin' ? user : server.token({ userId: 32 }), 'nonsense'],
    };
    await fc.assert(
      fc.asyncProperty(requests(template, operation, around), async (request) => {
        await send(template, method, operation, request);
      }),
      // What was answered before changes what is answered next: a smaller case proves nothing.
      { numRuns: security.length > 0 ? RUNS : 5, endOnFailure: true },
    );
    if (security.length > 0) {
      const path = template.replace('{sessionId}', SESSIONS[0] ?? '');
      await send(template, method, operation, { path, headers: {}, body: undefined });
      const headers = { authorization: `Bearer ${around.token}`, 'content-type': 'application/json' };
      if (method === 'get') await send(template, method, operation, { path, headers, body: undefined });
      else await send(template, method, operation, { path, headers, body: ' '.repeat(131_073) });
    }
  }
  const missing = operations().flatMap(([, method, { operationId, security }]) => {
    const sure = [
      ...(operationId === 'chat' ? [400] : [200]),
      ...(security.length > 0 ? [401] : []),
      ...(method === 'post' ? [413] : []),
    ];
    return sure.filter((status) => !seen.get(operationId)?.has(status)).map((status) => `${operationId} ${status}`);
  });
  expect(missing).toEqual([]);
}, 240_000);

test('what the document does not say is noticed', async () => {
  const path = '/api/admin/chat/sessions';
  const operation = openapi.paths[path]?.['get'];
  if (!operation) throw new Error('not documented');
  const request = { path, headers: { authorization: `Bearer ${admin}` }, body: undefined };
  const { 200: good, ...responses } = operation.responses;
  expect(good).toBeDefined();
  await expect(send(path, 'get', { ...operation, responses }, request)).rejects.toThrow('undocumented status');
  const { data } = (await (await fetch(server.url + path, { headers: request.headers })).json()) as {
    data: { sessions: object[] };
  };
  const check = ajv.getSchema('openapi#/components/schemas/Session');
  expect(check?.(data.sessions[0])).toBe(true);
  expect(check?.({ ...data.sessions[0], extra: 1 })).toBe(false);
});

test('who is too fast is told so as documented', async () => {
  const slow = await startSwitchboard({ env: { RATE_LIMIT: 'requests=1/5', JWT_SECRET: server.jwtSecret } });
  try {
    const path = '/api/chat/sessions/current';
    const operation = openapi.paths[path]?.['get'];
    if (!operation) throw new Error('not documented');
    const headers = { authorization: `Bearer ${user}` };
    let status = 200;
    for (let i = 0; i < 100 && status === 200; i++) {
      status = await send(path, 'get', operation, { path, headers, body: undefined }, slow);
    }
    expect(status).toBe(429);
  } finally {
    await slow.remove();
  }
});

test('frames on the wire are those of the document', async () => {
  const sessionId = 'frames';
  await openSession(sessionId);
  const answers = ['error', 'welcome', 'session_events', 'resumed', 'inbox_snapshot', 'message_ack', 'pong'];
  const heard = await talk(
    admin,
    '&type=admin',
    [
      { type: 'nonsense' },
      { type: 'hello', requestId: 'h' },
      { type: 'resume', data: { sessions: [{ sessionId, afterSeq: 0 }] } },
      { type: 'inbox' },
      { type: 'send_message', requestId: 1, data: { sessionId, content: 'hello', clientMessageId: 'c' } },
      { type: 'receipt', data: { sessionId, kind: 'read', upToSeq: 1 } },
      { type: 'auth_refresh', data: { token: admin } },
      { type: 'ping', data: { t: 1 } },
    ],
    answers,
  );
  for (const frame of heard) {
    const check = ajv.getSchema(`asyncapi#/components/messages/${frame.type}/payload`);
    if (!check) throw new Error(`undocumented frame: ${JSON.stringify(frame)}`);
    expect(check(frame), `${JSON.stringify(frame)} ${JSON.stringify(check.errors)}`).toBe(true);
  }
});

test('the pages are served with a policy that lets them load nothing from elsewhere', async () => {
  for (const path of [
    '/docs',
    '/docs/websocket',
    '/docs/docs.css',
    '/docs/docs.js',
    '/docs/schema.js',
    '/docs/words.js',
  ]) {
    const response = await fetch(server.url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).not.toMatch(/https?:\/\//);
  }
});

describeWith('chromium', 'the pages', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch(chromiumLaunch());
  });
  afterAll(() => browser.close());

  test.each([
    ['/docs#sendMessage', 'en-US', 'REST', 'Idempotency-Key'],
    ['/docs/websocket#resume', 'zh-CN', '客户端 → 服务器', 'afterSeq'],
  ])('%s in %s shows everything and asks nobody else', async (path, locale, words, deep) => {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => problems.push(message.text()));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) problems.push(request.url());
    });
    await page.goto(server.url + path);
    await page.locator('.card[open]').waitFor();
    const shown = await page.locator('.card').evaluateAll((cards) => cards.map(({ id }) => id));
    const expected = path.startsWith('/docs/websocket')
      ? Object.keys(asyncapi.operations)
      : operations().flatMap(([, , { operationId }]) => (operationId.endsWith('Short') ? [] : [operationId]));
    expect(shown.toSorted()).toEqual(expected.toSorted());
    const text = (await page.locator('body').textContent()) ?? '';
    expect(text).toContain(words);
    expect(text).toContain(deep);
    expect(text).not.toContain('[object');
    await page.fill('#index input', path.split('#')[1] === 'resume' ? 'resume' : 'claim');
    expect(await page.locator('.card:visible').count()).toBeLessThan(3);
    await context.close();
    expect(problems).toEqual([]);
  });
});
