import { type ChildProcess, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { base, faultOf, SECRET } from '../test/support/config-fault.ts';
import { type Config, readConfig } from './config.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchboard-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const pem = (type: 'rsa' | 'ec' | 'ed25519', options: object = {}): string =>
  String(
    generateKeyPairSync(type as 'rsa', options as { modulusLength: number }).publicKey.export({
      type: 'spki',
      format: 'pem',
    }),
  );
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

describe('keys', () => {
  test.for<[what: string, text: string, algorithms: string[]]>([
    ['RSA', RSA_PEM, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    [
      'RSA with \\n for line breaks',
      RSA_PEM.replaceAll('\n', '\\n'),
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ],
    [
      'RSA with CRLF and spaces around',
      `\r\n ${RSA_PEM.replaceAll('\n', '\r\n')} `,
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ],
    [
      'RSA in PKCS #1',
      String(createPublicKey(RSA_PEM).export({ type: 'pkcs1', format: 'pem' })),
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ],
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
    expect(readConfig({ JWKS_URL: url, NODE_ENV: 'production' })).toMatchObject({
      demo: false,
      jwt: { key: { kind: 'jwks', url } },
    });
    expect(readConfig({ ...base, NODE_ENV: 'production' }).jwt.key).toEqual({ kind: 'secret', secret: SECRET });
    const chinese = '密'.repeat(11);
    expect(readConfig({ JWT_SECRET: chinese }).jwt.key).toEqual({ kind: 'secret', secret: chinese });
  });

  test.for<[name: string, values: readonly string[]]>([
    ['JWT_SECRET', ['short', 'x'.repeat(31), '密'.repeat(10), 'a-long-random-text-of-32-bytes-or-more']],
    [
      'JWT_PUBLIC_KEY',
      [
        'hunter22',
        '-----BEGIN PUBLIC KEY-----',
        RSA_PEM.slice(0, 200),
        RSA_PEM.replace(/[A-Za-z]{4}/g, 'AAAA'),
        RSA_PEM.replaceAll('PUBLIC', 'RSA PUBLIC'),
        '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
        String(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })),
        String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' })),
        pem('rsa', { modulusLength: 1024 }),
        pem('ec', { namedCurve: 'secp256k1' }),
        RSA_PEM.replaceAll('\n', ''),
        `"${RSA_PEM}"`,
      ],
    ],
    [
      'JWKS_URL',
      [
        'login.example/jwks.json',
        '/jwks.json',
        'file:///etc/passwd',
        'ftp://h/jwks.json',
        'https://',
        'https://u:hunter22@h/jwks.json',
        'https://hunter22@h/jwks.json',
        'data:application/json,{}',
      ],
    ],
  ])('%s is refused', ([name, values]) => {
    for (const value of values) {
      // Whatever it is, it may have been meant to be a secret.
      const secrets = name === 'JWT_PUBLIC_KEY' ? ['hunter22', value.slice(30)] : ['hunter22'];
      const { variable } = faultOf(
        { [name]: value },
        secrets.filter((text) => text !== ''),
      );
      expect([value, variable]).toEqual([value, name]);
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
    writeFileSync(join(folder, 'no-folder'), '');
    expect(faultOf({ DATA_DIR: join(folder, 'no-folder') }).variable).toBe('DATA_DIR');
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, 'demo-secret'), { recursive: true });
    expect(faultOf({ DATA_DIR: taken }).variable).toBe('DATA_DIR');
    expect(readdirSync(taken)).toEqual(['demo-secret']);
  });

  test.for(['127.0.0.1', '127.1.2.3', 'localhost', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])(
    'listens on %s',
    (host) => {
      expect(readConfig({ HOST: host, DATA_DIR: join(folder, 'loopback') }).demo).toBe(true);
    },
  );

  test.for([
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    'fe80::1',
    '::2',
    'example.com',
    'localhost.example.com',
    '127.0.0.1.example.com',
    '::ffff:10.0.0.1',
  ])('does not listen on %s', (host) => {
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
