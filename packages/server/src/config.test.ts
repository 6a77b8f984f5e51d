import { type ChildProcess, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Config, ConfigError, environment, readConfig } from './config.ts';
import { settings } from './settings.ts';

const SECRET = 'a secret of these tests with more than 32 bytes';
const base = { JWT_SECRET: SECRET };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchboard-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** The fault that readConfig finds; every one is one line that names the setting and holds none of these texts. */
function faultOf(env: Record<string, string>, never: readonly string[] = []): ConfigError {
  try {
    readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).toMatch(/^[\x20-\x7e…]+$/);
    expect(error.message.startsWith(error.variable)).toBe(true);
    expect(error.message).toContain('Example: ');
    expect(error.message.length).toBeLessThan(400);
    for (const text of [SECRET, ...never]) expect(error.message).not.toContain(text);
    return error;
  }
  throw new Error(`not refused: ${JSON.stringify(env)}`);
}

const pem = (type: 'rsa' | 'ec' | 'ed25519', options: object = {}): string =>
  String(generateKeyPairSync(type as 'rsa', options as { modulusLength: number }).publicKey.export({ type: 'spki', format: 'pem' }));
const RSA_PEM = pem('rsa', { modulusLength: 2048 });
/** Self-signed, CN=switchboard-test, of a key that nobody has any more. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBjDCCATOgAwIBAgIUH6FUCLSUkl0baHxNbLaANLdHOm4wCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQc3dpdGNoYm9hcmQtdGVzdDAgFw0yNjExMjMwNDQyMzNaGA8y
MTI2MTAzMDA0NDIzM1owGzEZMBcGA1UEAwwQc3dpdGNoYm9hcmQtdGVzdDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABAc1sQOJv1EpQCkXK8OVs8viAQQG/2EsMd45
aYe+bVJUMxJqcd3vs8PCpI4FCjJt4GEnbnG8J3Q8m8rhdlyCJZWjUzBRMB0GA1Ud
DgQWBBQWezSpP8gOehug0bdOrzvd0eyQ/jAfBgNVHSMEGDAWgBQWezSpP8gOehug
0bdOrzvd0eyQ/jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIDtu
gNEzkt4J6CnZVEqxVVdUXQZ+3h9WqYEh8adv9R7cAiANem+D5Ji0sza+LpKsq3VD
vo4EB8CA0KDWXsOOUgQOvQ==
-----END CERTIFICATE-----`;

test('without any setting: demo mode, with the usual values', () => {
  const { jwt, ...config } = readConfig({ DATA_DIR: join(folder, 'usual') });
  expect(config).toEqual({
    host: '127.0.0.1',
    port: 8787,
    database: { kind: 'sqlite', file: './data/switchboard.db' },
    redisUrl: null,
    demo: true,
    businessZone: 'Asia/Shanghai',
    allowedOrigins: null,
    logLevel: 'info',
    rateLimit: { frames: { perSecond: 50, burst: 200 }, requests: { perSecond: 100, burst: 300 } },
    frameNames: {},
    maxActiveSessionsPerAdmin: 10,
    adminOfflineGraceSeconds: 30,
    databaseWaitSeconds: 30,
    trustProxy: false,
  });
  expect(jwt).toEqual({
    key: { kind: 'secret', secret: expect.any(String) },
    claims: { userId: 'userId', roles: 'roles', nickname: 'nickname', avatar: 'avatar' },
    adminWhen: [],
    leewaySeconds: 0,
    issuer: null,
    audience: null,
  });
});

describe('values that are taken', () => {
  const mysql = (options: object): Partial<Config> => ({ database: { kind: 'mysql', options: options as never } });
  const sqlite = (file: string): Partial<Config> => ({ database: { kind: 'sqlite', file } });
  const local = { host: 'localhost', port: 3306, user: 'u', password: '', database: 'shop' };

  test.for<[name: string, value: string, wanted: Partial<Config>]>([
    ['PORT', '0', { port: 0 }],
    ['PORT', '65535', { port: 65_535 }],
    ['PORT', '', { port: 8787 }],
    ['HOST', '', { host: '0.0.0.0' }],
    ['HOST', '10.1.2.3', { host: '10.1.2.3' }],
    ['HOST', '::', { host: '::' }],
    ['HOST', '[::1]', { host: '::1' }],
    ['HOST', 'fe80::1%eth0', { host: 'fe80::1%eth0' }],
    ['HOST', 'chat_1.internal', { host: 'chat_1.internal' }],
    ['DATABASE_URL', '', sqlite('./data/switchboard.db')],
    ['DATABASE_URL', 'sqlite:./a.db', sqlite('./a.db')],
    ['DATABASE_URL', 'sqlite:a.db', sqlite('a.db')],
    ['DATABASE_URL', 'sqlite:/var/a.db', sqlite('/var/a.db')],
    ['DATABASE_URL', 'sqlite:///var/a.db', sqlite('/var/a.db')],
    ['DATABASE_URL', 'sqlite://./a.db', sqlite('./a.db')],
    ['DATABASE_URL', 'sqlite://data/a.db', sqlite('data/a.db')],
    ['DATABASE_URL', 'sqlite:../数据/聊天.db', sqlite('../数据/聊天.db')],
    ['DATABASE_URL', 'sqlite:C:\\data\\a.db', sqlite('C:\\data\\a.db')],
    ['DATABASE_URL', 'sqlite::memory:', sqlite(':memory:')],
    ['DATABASE_URL', 'sqlite://:memory:', sqlite(':memory:')],
    ['DATABASE_URL', 'mysql://u@localhost/shop', mysql(local)],
    ['DATABASE_URL', 'mysql://u@localhost:3307/shop', mysql({ ...local, port: 3307 })],
    ['DATABASE_URL', 'mysql://u:p%40%2F%3A%23%25@localhost/shop', mysql({ ...local, password: 'p@/:#%' })],
    ['DATABASE_URL', 'mysql://%E7%94%A8:%E5%AF%86@localhost/%E5%BA%97', mysql({ ...local, user: '用', password: '密', database: '店' })],
    ['DATABASE_URL', 'mysql://u@[::1]/shop', mysql({ ...local, host: '::1' })],
    ['DATABASE_URL', 'mysql://u@localhost/shop?socketPath=/run/mysqld.sock', mysql({ user: 'u', password: '', database: 'shop', socketPath: '/run/mysqld.sock' })],
    ['DATABASE_URL', 'mysql://u@localhost/shop?socketPath=%2Frun%2Fmy%20sql.sock', mysql({ user: 'u', password: '', database: 'shop', socketPath: '/run/my sql.sock' })],
    ['DATABASE_URL', 'mysql://u@localhost/shop?socketPath=', mysql(local)],
    ['REDIS_URL', 'redis://127.0.0.1:6379', { redisUrl: 'redis://127.0.0.1:6379' }],
    ['REDIS_URL', 'rediss://:pass@redis.example:6380/2', { redisUrl: 'rediss://:pass@redis.example:6380/2' }],
    ['REDIS_URL', 'redis://[::1]/', { redisUrl: 'redis://[::1]/' }],
    ['REDIS_URL', '', { redisUrl: null }],
    ['TZ_BUSINESS', 'UTC', { businessZone: 'UTC' }],
    ['TZ_BUSINESS', 'America/Argentina/Buenos_Aires', { businessZone: 'America/Argentina/Buenos_Aires' }],
    ['ALLOWED_ORIGINS', '*', { allowedOrigins: ['*'] }],
    ['ALLOWED_ORIGINS', 'https://a.example, http://b.example:8080 ,', { allowedOrigins: ['https://a.example', 'http://b.example:8080'] }],
    ['ALLOWED_ORIGINS', 'http://[::1]:3000', { allowedOrigins: ['http://[::1]:3000'] }],
    ['ALLOWED_ORIGINS', 'capacitor://localhost', { allowedOrigins: ['capacitor://localhost'] }],
    ['ALLOWED_ORIGINS', 'https://xn--fiq228c.example', { allowedOrigins: ['https://xn--fiq228c.example'] }],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((logLevel): [string, string, Partial<Config>] => ['LOG_LEVEL', logLevel, { logLevel }]),
    ['RATE_LIMIT', 'off', { rateLimit: null }],
    ['RATE_LIMIT', 'frames=1/2', { rateLimit: { frames: { perSecond: 1, burst: 2 }, requests: { perSecond: 100, burst: 300 } } }],
    ['RATE_LIMIT', 'requests=3/4, frames=1/2', { rateLimit: { frames: { perSecond: 1, burst: 2 }, requests: { perSecond: 3, burst: 4 } } }],
    ['FRAME_NAMES', 'new_admin_message=admin_message', { frameNames: { new_admin_message: 'admin_message' } }],
    ['FRAME_NAMES', 'message_ack=ack, error=chat.error', { frameNames: { message_ack: 'ack', error: 'chat.error' } }],
    ['FRAME_NAMES', 'error=error', { frameNames: { error: 'error' } }],
    ['MAX_ACTIVE_SESSIONS_PER_ADMIN', '1', { maxActiveSessionsPerAdmin: 1 }],
    ['ADMIN_OFFLINE_GRACE_SECONDS', '0', { adminOfflineGraceSeconds: 0 }],
    ['DATABASE_WAIT_SECONDS', '3600', { databaseWaitSeconds: 3_600 }],
    ['TRUST_PROXY', 'true', { trustProxy: true }],
    ['TRUST_PROXY', 'false', { trustProxy: false }],
    ['TRUST_PROXY', '10.0.0.0/8', { trustProxy: '10.0.0.0/8' }],
    ['TRUST_PROXY', 'loopback, 192.168.1.1 ,fd00::/8', { trustProxy: 'loopback,192.168.1.1,fd00::/8' }],
  ])('%s=%s', ([name, value, wanted]) => {
    expect(readConfig({ ...base, [name]: value })).toMatchObject(wanted);
  });

  test.for<[name: string, value: string, wanted: Partial<Config['jwt']>]>([
    ['JWT_LEEWAY_SECONDS', '600', { leewaySeconds: 600 }],
    ['JWT_ISSUER', 'https://login.example', { issuer: 'https://login.example' }],
    ['JWT_AUDIENCE', 'chat', { audience: 'chat' }],
    ['JWT_CLAIM_USER_ID', 'account.id', { claims: { userId: 'account.id', roles: 'roles', nickname: 'nickname', avatar: 'avatar' } }],
    ['JWT_CLAIM_ROLES', 'https://shop.example/roles', { claims: { userId: 'userId', roles: 'https://shop.example/roles', nickname: 'nickname', avatar: 'avatar' } }],
    ['JWT_ADMIN_WHEN', 'isAdmin=true', { adminWhen: [{ claim: 'isAdmin', how: 'equals', value: 'true' }] }],
    ['JWT_ADMIN_WHEN', 'a.b=x=y, scope~chat:admin', { adminWhen: [{ claim: 'a.b', how: 'equals', value: 'x=y' }, { claim: 'scope', how: 'contains', value: 'chat:admin' }] }],
  ])('%s=%s', ([name, value, wanted]) => {
    expect(readConfig({ ...base, [name]: value }).jwt).toMatchObject(wanted);
  });

  test.for<[what: string, text: string, algorithms: string[]]>([
    ['RSA', RSA_PEM, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['RSA with \\n for line breaks', RSA_PEM.replaceAll('\n', '\\n'), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['RSA with CRLF and spaces around', `\r\n ${RSA_PEM.replaceAll('\n', '\r\n')} `, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['RSA in PKCS #1', String(createPublicKey(RSA_PEM).export({ type: 'pkcs1', format: 'pem' })), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['P-256', pem('ec', { namedCurve: 'P-256' }), ['ES256']],
    ['P-384', pem('ec', { namedCurve: 'P-384' }), ['ES384']],
    ['P-521', pem('ec', { namedCurve: 'P-521' }), ['ES512']],
    ['Ed25519', pem('ed25519'), ['EdDSA', 'Ed25519']],
    ['a certificate', CERTIFICATE, ['ES256']],
  ])('JWT_PUBLIC_KEY: %s', ([, text, algorithms]) => {
    const { demo, host, jwt } = readConfig({ JWT_PUBLIC_KEY: text });
    expect([demo, host]).toEqual([false, '0.0.0.0']);
    expect(jwt.key).toMatchObject({ kind: 'public', algorithms });
  });

  test('JWKS_URL, and keys in production', () => {
    const url = 'https://login.example/.well-known/jwks.json?tenant=1';
    expect(readConfig({ JWKS_URL: url, NODE_ENV: 'production' })).toMatchObject({ demo: false, jwt: { key: { kind: 'jwks', url } } });
    expect(readConfig({ ...base, NODE_ENV: 'production' }).jwt.key).toEqual({ kind: 'secret', secret: SECRET });
    const chinese = '密'.repeat(11);
    expect(readConfig({ JWT_SECRET: chinese }).jwt.key).toEqual({ kind: 'secret', secret: chinese });
  });

  test('every example', () => {
    for (const { name, example } of settings) {
      if (name === 'JWT_SECRET' || name === 'JWT_PUBLIC_KEY') continue;
      const key = name === 'JWKS_URL' ? {} : base;
      expect(() => readConfig({ ...key, [name]: example })).not.toThrow();
    }
  });
});

describe('values that are refused', () => {
  const whole = ['-1', '1.5', ' 1', '1 ', '0x10', '1e3', 'abc', '９', 'NaN', 'Infinity', '99999999999999999999', '+1', '--'];
  const frames = ['send_message', 'new_user_message', 'session_status_changed', 'hello', 'welcome', 'ping', 'pong', 'heartbeat', 'resumed', 'session_events'];

  test.for<[name: string, values: readonly string[]]>([
    ['PORT', [...whole, '65536']],
    ['HOST', ['http://localhost', '0.0.0.0:8787', '[::1]:8787', '256.1.1.1', '1.2.3', 'a b', 'localhost\nPORT=1', '::g', '*', '/run/chat.sock', 'a..b', '.']],
    ['DATABASE_URL', [
      'postgres://u:hunter22@h/d', 'mysql:u:hunter22@h/d', 'MYSQL://u:hunter22@h/d', 'sqlite:', 'sqlite://', 'sqlite:  ', 'sqlite:./data/', 'sqlite:a\\', 'sqlite:a\0b', 'sqlite:a.db?mode=ro', './data/a.db', 'mysql://',
      'mysql://h/d', 'mysql://:hunter22@h/d', 'mysql://u:hunter22@h', 'mysql://u:hunter22@h/', 'mysql://u:hunter22@/d', 'mysql://u:hunter22@h/d/e', 'mysql://u:hunter22@h/d%2Fe',
      'mysql://u:hunter22@h:99999/d', 'mysql://u:hunter22@h:x/d', 'mysql://u:hunter22#x@h/d', 'mysql://u:hunter22/x@h/d', 'mysql://u:12/hunter22@h/d', 'mysql://u:12?hunter22@h/d', 'mysql://u:hunter22@h/d#hunter22',
      'mysql://u:x@y/z?hunter22@h/d', 'mysql://u:hunter22%@h/d', 'mysql://u:hunter22%zz@h/d', 'mysql://u:hunter22@h/%ff', 'mysql://u:hunter22@h/d?ssl=true', 'mysql://u:hunter22@h/d?socketPath=/s&hunter22=1', 'mysql://u:hunter22 @ h/d',
    ]],
    ['REDIS_URL', ['127.0.0.1:6379', 'http://:hunter22@h', 'redis:', 'redis://', 'redis:///0', 'redis://:hunter22@h/db', 'redis://:hunter22@h/0/1', 'redis://:hunter22@h:x', 'redis://:hunter22/@h/0', 'redis+tls://:hunter22@h']],
    ['JWT_SECRET', ['short', 'x'.repeat(31), '密'.repeat(10), 'a-long-random-text-of-32-bytes-or-more']],
    ['JWT_PUBLIC_KEY', [
      'hunter22', '-----BEGIN PUBLIC KEY-----', RSA_PEM.slice(0, 200), RSA_PEM.replace(/[A-Za-z]{4}/g, 'AAAA'), RSA_PEM.replaceAll('PUBLIC', 'RSA PUBLIC'),
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      String(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })),
      String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' })),
      pem('rsa', { modulusLength: 1024 }), pem('ec', { namedCurve: 'secp256k1' }), RSA_PEM.replaceAll('\n', ''), `"${RSA_PEM}"`,
    ]],
    ['JWKS_URL', ['login.example/jwks.json', '/jwks.json', 'file:///etc/passwd', 'ftp://h/jwks.json', 'https://', 'https://u:hunter22@h/jwks.json', 'https://hunter22@h/jwks.json', 'data:application/json,{}']],
    ...['JWT_CLAIM_USER_ID', 'JWT_CLAIM_ROLES', 'JWT_CLAIM_NICKNAME', 'JWT_CLAIM_AVATAR'].map((name): [string, string[]] => [name, ['a b', '.', 'a.', '.a', 'a..b', 'a[0]', '$.a', 'a\nb', '用户']]),
    ['JWT_ADMIN_WHEN', ['isAdmin', 'isAdmin=', '=true', '~x', 'is admin=true', 'isAdmin:true', 'a=b,c', '{"a":1}']],
    ['JWT_LEEWAY_SECONDS', [...whole, '601']],
    ['TZ_BUSINESS', ['Mars/Olympus', '+08:00', '8', 'GMT+8', 'Asia/Shanghai ', 'Asia/Shanghai\n', '北京']],
    ['ALLOWED_ORIGINS', ['shop.example', 'https://shop.example/', 'https://shop.example/path', 'https://Shop.example', 'https://shop.example:443', 'https://u:p@shop.example', 'https://*.shop.example', 'https://a.example https://b.example', 'null', 'https://', 'https://店.example', 'https://a.example,b.example', '**', 'file:///']],
    ['LOG_LEVEL', ['INFO', 'verbose', 'warning', 'off', '30']],
    ['RATE_LIMIT', ['on', 'OFF', '0', '50/200', 'frames=50', 'frames=0/1', 'frames=1/0', 'frames=-1/1', 'frames=1/1.5', 'frames=12345678/1', 'messages=1/1', 'frames=1/1;requests=1/1', 'off,frames=1/1']],
    ['FRAME_NAMES', [
      'new_admin_message', 'new_admin_message=', '=x', 'new_user_message=x', 'send_message=x', 'constructor=x', '__proto__=x', 'error=a b', `error=${'x'.repeat(65)}`, 'error=a,error=b', 'error=a,message_ack=a',
      'message_ack=new_admin_message', 'error=message_ack,message_ack=error', ...frames.map((frame) => `message_ack=${frame}`),
    ]],
    ['MAX_ACTIVE_SESSIONS_PER_ADMIN', [...whole, '0', '100001']],
    ['ADMIN_OFFLINE_GRACE_SECONDS', [...whole, '86401']],
    ['DATABASE_WAIT_SECONDS', [...whole, '3601']],
    ['TRUST_PROXY', ['yes', 'TRUE', '1', '2', 'deadbeef', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/', '10.0.0/8', '::/129', 'fe80::1%eth0', 'proxy.internal', '10.0.0.1;10.0.0.2', 'true,10.0.0.1', ',']],
  ])('%s', ([name, values]) => {
    const key = /^JW(T_(SECRET|PUBLIC_KEY)|KS_URL)$/.test(name) ? {} : base;
    for (const value of values) {
      const secrets = ['hunter22', ...(name === 'JWT_SECRET' ? [] : name === 'JWT_PUBLIC_KEY' ? [value.slice(30)] : [])].filter((text) => text !== '');
      expect([value, faultOf({ ...key, [name]: value }, secrets).variable]).toEqual([value, name]);
    }
  });

  test('no line quotes a secret that is too short', () => {
    expect(faultOf({ JWT_SECRET: 'too-short-to-show' }, ['too-short-to-show']).message).toContain('17 bytes');
  });

  test('more than one key', () => {
    const keys = { JWT_SECRET: SECRET, JWT_PUBLIC_KEY: RSA_PEM, JWKS_URL: 'https://login.example/jwks.json' };
    for (const left of Object.keys(keys) as (keyof typeof keys)[]) {
      const { [left]: _, ...two } = keys;
      expect(faultOf(two).variable).toBe('JWT_SECRET');
    }
    expect(faultOf(keys).variable).toBe('JWT_SECRET');
  });
});

describe('secrets from files', () => {
  test('one line break at the end, or none, is not part of the secret', () => {
    for (const text of [SECRET, `${SECRET}\n`, `${SECRET}\r\n`]) {
      expect(readConfig({ JWT_SECRET_FILE: fileOf('secret', text) }).jwt.key).toEqual({ kind: 'secret', secret: SECRET });
    }
    const database = readConfig({ ...base, DATABASE_URL_FILE: fileOf('database', 'mysql://u:p@h/d\n') }).database;
    expect(database).toMatchObject({ kind: 'mysql', options: { password: 'p' } });
    expect(readConfig({ ...base, REDIS_URL_FILE: fileOf('redis', 'redis://h\n') }).redisUrl).toBe('redis://h');
    expect(readConfig({ JWT_PUBLIC_KEY_FILE: fileOf('pem', RSA_PEM) }).jwt.key.kind).toBe('public');
  });

  test('a file that is empty, missing or no file ends the start: never demo mode instead', () => {
    for (const file of [fileOf('empty', ''), fileOf('blank', ' \n'), join(folder, 'missing'), folder]) {
      expect(faultOf({ JWT_SECRET_FILE: file }).message).toContain('JWT_SECRET_FILE');
    }
  });

  test('a value that is wrong is not quoted', () => {
    expect(faultOf({ JWT_SECRET_FILE: fileOf('short', 'hunter22') }, ['hunter22']).variable).toBe('JWT_SECRET');
    expect(faultOf({ ...base, DATABASE_URL_FILE: fileOf('wrong', 'hunter22') }, ['hunter22']).variable).toBe('DATABASE_URL');
  });

  test('a value and a file contradict each other; an empty one of them does not count', () => {
    const file = fileOf('other', `${SECRET} of another kind`);
    expect(faultOf({ JWT_SECRET: SECRET, JWT_SECRET_FILE: file }).variable).toBe('JWT_SECRET');
    expect(readConfig({ JWT_SECRET: '', JWT_SECRET_FILE: file }).jwt.key).toMatchObject({ secret: `${SECRET} of another kind` });
    expect(readConfig({ JWT_SECRET: SECRET, JWT_SECRET_FILE: '' }).jwt.key).toMatchObject({ secret: SECRET });
  });

  test('only secrets come from files', () => {
    expect(readConfig({ ...base, PORT_FILE: fileOf('port', '1') }).port).toBe(8787);
  });
});

describe('demo mode', () => {
  const secretOf = (config: Config): string => (config.jwt.key.kind === 'secret' ? config.jwt.key.secret : '');

  test('makes a secret once, which its owner alone can read, and keeps it', () => {
    const dir = join(folder, 'a', 'deep', 'folder');
    const first = secretOf(readConfig({ DATA_DIR: dir }));
    expect(Buffer.byteLength(first)).toBeGreaterThanOrEqual(48);
    expect(statSync(join(dir, 'demo-secret')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dir, 'demo-secret'), 'utf8')).toBe(first);
    chmodSync(join(dir, 'demo-secret'), 0o644);
    expect(secretOf(readConfig({ DATA_DIR: dir }))).toBe(first);
    expect(statSync(join(dir, 'demo-secret')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['demo-secret']);
    expect(secretOf(readConfig({ DATA_DIR: join(folder, 'another') }))).not.toBe(first);
  });

  test('makes nothing while another setting is wrong, nor when a key is set', () => {
    const dir = join(folder, 'untouched');
    faultOf({ DATA_DIR: dir, JWT_LEEWAY_SECONDS: 'x' });
    faultOf({ DATA_DIR: dir, TRUST_PROXY: 'x' });
    readConfig({ ...base, DATA_DIR: dir });
    expect(existsSync(dir)).toBe(false);
  });

  test('ends the start when the secret cannot be kept, or is none', () => {
    const dir = join(folder, 'damaged');
    mkdirSync(dir);
    writeFileSync(join(dir, 'demo-secret'), 'hunter22');
    expect(faultOf({ DATA_DIR: dir }, ['hunter22']).variable).toBe('DATA_DIR');
    expect(faultOf({ DATA_DIR: fileOf('no-folder', '') }).variable).toBe('DATA_DIR');
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, 'demo-secret'), { recursive: true });
    expect(faultOf({ DATA_DIR: taken }).variable).toBe('DATA_DIR');
    expect(readdirSync(taken)).toEqual(['demo-secret']);
  });

  test.for(['127.0.0.1', '127.1.2.3', 'localhost', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])('listens on %s', (host) => {
    expect(readConfig({ HOST: host, DATA_DIR: join(folder, 'loopback') }).demo).toBe(true);
  });

  test.for(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'fe80::1', '::2', 'example.com', 'localhost.example.com', '127.0.0.1.example.com', '::ffff:10.0.0.1'])('does not listen on %s', (host) => {
    const dir = join(folder, 'not-loopback');
    expect(faultOf({ HOST: host, DATA_DIR: dir }).variable).toBe('JWT_SECRET');
    expect(existsSync(dir)).toBe(false);
  });

  test('is refused in production', () => {
    const dir = join(folder, 'production');
    for (const env of [{}, { HOST: '127.0.0.1' }, { JWT_SECRET: '', JWKS_URL: '' }]) {
      const { message, variable } = faultOf({ ...env, NODE_ENV: 'production', DATA_DIR: dir });
      expect(variable).toBe('JWT_SECRET');
      expect(message).toMatch(/NODE_ENV=production.*JWT_PUBLIC_KEY.*JWKS_URL/);
    }
    expect(existsSync(dir)).toBe(false);
  });

  test('processes that start first at once find one secret', async () => {
    const code = `import(${JSON.stringify(new URL('config-key.ts', import.meta.url).href)}).then(({ demoSecret }) => {
      process.stdin.once('data', () => process.stdout.write(demoSecret(process.argv[1]), () => process.exit()));
      process.stdout.write('ready ');
    });`;
    const tsx = import.meta.resolve('tsx');
    const children: ChildProcess[] = [];
    onTestFinished(() => children.forEach((child) => child.kill('SIGKILL')));
    const dir = join(folder, 'at-once');
    const start = (): { child: ChildProcess; ready: Promise<unknown>; said: () => string } => {
      const child = spawn(process.execPath, ['--import', tsx, '-e', code, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      return { child, ready: once(child.stdout, 'data'), said: () => text };
    };
    const starts = Array.from({ length: 4 }, start);
    await Promise.all(starts.map(({ ready }) => ready));
    const ends = starts.map(({ child }) => once(child, 'close'));
    for (const { child } of starts) child.stdin?.write('go\n');
    await Promise.all(ends);
    const secrets = starts.map(({ said }) => said().replace('ready ', ''));
    expect(secrets[0]?.length).toBeGreaterThanOrEqual(48);
    expect(new Set(secrets).size).toBe(1);
    expect(readdirSync(dir)).toEqual(['demo-secret']);
  }, 30_000);
});

describe('the environment', () => {
  test('is read by the names of the list, and by no others', () => {
    const asked = new Set<string>();
    const spy = new Proxy<Record<string, string>>({ ...base }, {
      get(target, name: string) {
        asked.add(name);
        return target[name];
      },
    });
    readConfig(spy);
    const files = settings.filter(({ secret }) => secret).map(({ name }) => `${name}_FILE`);
    const names = [...asked].filter((name) => !name.endsWith('_FILE') || files.includes(name));
    const sorted = (list: string[]): string[] => list.toSorted((a, b) => a.localeCompare(b));
    expect(sorted(names)).toEqual(sorted([...settings.map(({ name }) => name), ...files]));
  });

  test('takes a .env file in the working folder, after what is set already', () => {
    const before = process.cwd();
    const dir = join(folder, 'dotenv');
    mkdirSync(dir);
    onTestFinished(() => {
      process.chdir(before);
      delete process.env['SWITCHBOARD_TEST_A'];
      delete process.env['SWITCHBOARD_TEST_B'];
    });
    process.chdir(dir);
    expect(environment()['SWITCHBOARD_TEST_A']).toBeUndefined();
    process.env['SWITCHBOARD_TEST_B'] = 'set';
    writeFileSync(join(dir, '.env'), 'SWITCHBOARD_TEST_A="from the file"\nSWITCHBOARD_TEST_B=from the file\n');
    const { SWITCHBOARD_TEST_A: a, SWITCHBOARD_TEST_B: b } = environment();
    expect([a, b]).toEqual(['from the file', 'set']);
    rmSync(join(dir, '.env'));
    mkdirSync(join(dir, '.env'));
    expect(() => environment()).toThrow('.env cannot be read');
  });
});
