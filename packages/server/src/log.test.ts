import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { createLog } from './log.ts';

const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VySWQiOjMxfQ.c2lnbmF0dXJlLWNhbmFyeQ';

/** What the log writes while `act` runs, as one text and as records. */
function written(act: (log: ReturnType<typeof createLog>) => void): { text: string; record: Record<string, unknown> } {
  let text = '';
  act(createLog('trace', { write: (line: string) => void (text += line) }));
  const line = text.split('\n')[0] ?? '';
  return { text, record: line === '' ? {} : JSON.parse(line) };
}

test('a record is one line of JSON with time, level as a word, and message', () => {
  const { text, record } = written((log) => log.info({ url: 'http://127.0.0.1:8787' }, 'listening'));
  expect(text).toMatch(/^\{.*\}\n$/);
  expect(record).toMatchObject({ level: 'info', msg: 'listening', url: 'http://127.0.0.1:8787' });
  expect(record['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('what a text holds cannot forge a record', () => {
  const { text } = written((log) => log.info('first\n{"level":"info","msg":"forged"}\u001b[31m'));
  expect(text.trimEnd().split('\n')).toHaveLength(1);
  expect(text).not.toContain('\u001b');
});

describe('secrets', () => {
  const cases: [name: string, secret: string, act: (log: ReturnType<typeof createLog>) => void][] = [
    ['a field', 'opaque-canary', (log) => log.info({ token: 'opaque-canary' })],
    ['a header', 'opaque-canary', (log) => log.info({ req: { headers: { authorization: 'Basic opaque-canary' } } })],
    ['a cookie', 'opaque-canary', (log) => log.info({ headers: { cookie: 'a=opaque-canary' } })],
    ['a subprotocol', 'opaque', (log) => log.info({ headers: { 'sec-websocket-protocol': 'bearer, opaque' } })],
    ['a message', 'c2lnbmF0', (log) => log.info(`got ${JWT} from somebody`)],
    ['a JWT anywhere', 'c2lnbmF0', (log) => log.info({ a: { b: { c: { d: [{ e: `x ${JWT}` }] } } } })],
    ['a cut JWT', 'eyJ1c2Vy', (log) => log.info(JWT.slice(0, 60))],
    ['an opaque token in a URL', 'canary-123', (log) => log.info({ url: '/chat?type=admin&token=canary-123&x=1' })],
    ['a Bearer header in a text', 'canary', (log) => log.info('Authorization: Bearer canary-0123456789-0123')],
    ['an error', 'c2lnbmF0', (log) => log.error(new Error(`bad token ${JWT}`))],
    ['a cause', 'hunter2', (log) => log.error({ err: new Error('x', { cause: new Error('redis://:hunter2@h') }) })],
    ['a connection string', 'hunter2', (log) => log.error(new Error('connect mysql://root:hunter2@db:3306/chat'))],
    ['an unencoded password', 'hunt', (log) => log.error(new Error('mysql://root:hunt/er@2"x@db:3306/chat'))],
    ['a child', 'hunter2', (log) => log.child({ db: 'redis://u:hunter2@h' }).warn('x')],
    ['an http address', 'hunter2', (log) => log.warn('GET https://u:hunter2@idp.example/jwks failed')],
    [
      'a private key',
      'MIIcanary',
      (log) => log.error('-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----'),
    ],
  ];
  test.for(cases)('in %s are masked', ([, secret, act]) => {
    const { text, record } = written(act);
    expect(text).toContain('***');
    expect(text).not.toContain(secret);
    expect(record['level']).toBeDefined();
  });

  test("of a driver's error the SQL and its values are left out", () => {
    const error = Object.assign(new Error('duplicate'), { sql: "INSERT 'said in confidence'", code: 'ER_DUP_ENTRY' });
    const { text, record } = written((log) => log.error(error));
    expect(text).not.toContain('confidence');
    expect(record['err']).toMatchObject({ code: 'ER_DUP_ENTRY' });
  });

  test('harmless text stays as it is', () => {
    const texts = [
      'the bearer token is missing',
      'GET https://idp.example:8443/.well-known/jwks.json?x=a@b failed',
      'mail to someone@example.com',
      'sqlite:./data/switchboard.db',
    ];
    for (const text of texts) expect(written((log) => log.info(text)).record['msg']).toBe(text);
  });

  test('a long hostile line costs little', () => {
    for (const part of ['eyJaaaaaaaa.', 'mysql://', '://a:', '?token=', 'Bearer ', '-----BEGIN ']) {
      const began = performance.now();
      written((log) => log.info(part.repeat(20_000)));
      expect(performance.now() - began).toBeLessThan(1_000);
    }
  });
});

test('an error keeps what helps: type, code, stack, causes', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const error = new TypeError('store away', { cause: new AggregateError([refused], 'all failed') });
  const { record } = written((log) => log.error({ err: error }, 'no'));
  expect(record['err']).toMatchObject({
    type: 'TypeError',
    message: 'store away',
    stack: expect.stringContaining('log.test.ts'),
    cause: { type: 'AggregateError', errors: [{ code: 'ECONNREFUSED' }] },
  });
});

test('causes that go round end', () => {
  const error = new Error('round');
  error.cause = error;
  expect(written((log) => log.error(error)).text).toContain('round');
});

test('silent is silent', () => {
  let text = '';
  createLog('silent', { write: (line: string) => void (text += line) }).fatal('x');
  expect(text).toBe('');
});

test('without a destination it writes to stdout', () => {
  const script = `import { createLog } from ${JSON.stringify(new URL('log.ts', import.meta.url).href)}; createLog('info').info('hi')`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toMatchObject({ msg: 'hi' });
});
