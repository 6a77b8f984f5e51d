import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { base, faultOf, SECRET } from '../test/support/config-fault.ts';
import { environment, readConfig } from './config.ts';
import { settings } from './settings.ts';

const RSA_PEM = String(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }),
);

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

describe('secrets from files', () => {
  test('one line break at the end, or none, is not part of the secret', () => {
    for (const text of [SECRET, `${SECRET}\n`, `${SECRET}\r\n`]) {
      expect(readConfig({ JWT_SECRET_FILE: fileOf('secret', text) }).jwt.key).toEqual({
        kind: 'secret',
        secret: SECRET,
      });
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
    expect(faultOf({ ...base, DATABASE_URL_FILE: fileOf('wrong', 'hunter22') }, ['hunter22']).variable).toBe(
      'DATABASE_URL',
    );
  });

  test('a value and a file contradict each other; an empty one of them does not count', () => {
    const file = fileOf('other', `${SECRET} of another kind`);
    expect(faultOf({ JWT_SECRET: SECRET, JWT_SECRET_FILE: file }).variable).toBe('JWT_SECRET');
    expect(readConfig({ JWT_SECRET: '', JWT_SECRET_FILE: file }).jwt.key).toMatchObject({
      secret: `${SECRET} of another kind`,
    });
    expect(readConfig({ JWT_SECRET: SECRET, JWT_SECRET_FILE: '' }).jwt.key).toMatchObject({ secret: SECRET });
  });

  test('only secrets come from files', () => {
    expect(readConfig({ ...base, PORT_FILE: fileOf('port', '1') }).port).toBe(8787);
  });
});

describe('the environment', () => {
  test('is read by the names of the list, and by no others', () => {
    const asked = new Set<string>();
    const spy = new Proxy<Record<string, string>>(
      { ...base },
      {
        get(target, name: string) {
          asked.add(name);
          return target[name];
        },
      },
    );
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
