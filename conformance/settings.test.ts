/** Settings that are wrong, and settings that change something. */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { freePort } from '../testing/free-port.ts';
import { freshFolder } from '../testing/run-folder.ts';
import { bootHere, runToEnd, useServer } from './boot.ts';
import { newId } from './house.ts';
import type { FrameType } from './peer.ts';
import { staff, visit } from './scenes.ts';

/** One telling value of each, since a start takes a second. */
const wrong: Readonly<Record<string, string>> = {
  PORT: '65536',
  DATABASE_URL: 'postgres://u:p@localhost/db',
  REDIS_URL: 'http://localhost',
  JWT_SECRET: 'x'.repeat(31),
  JWT_PUBLIC_KEY: '-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----',
  JWKS_URL: 'ftp://example.com/jwks',
  TZ_BUSINESS: 'Mars/Olympus',
  ALLOWED_ORIGINS: 'https://ok.example,https://shop.example.com/path',
  LOG_LEVEL: 'loud',
  RATE_LIMIT: 'frames=0/0',
  FRAME_NAMES: 'new_user_message=x',
  MAX_ACTIVE_SESSIONS_PER_ADMIN: '1.5',
  ADMIN_OFFLINE_GRACE_SECONDS: '-1',
};

describe('a bad setting', () => {
  for (const [name, value] of Object.entries(wrong)) {
    test(`R1.7 ${name} ends the start with one line that names it`, async () => {
      const port = await freePort();
      const file = join(freshFolder('half'), 'chat.db');
      const another = name === 'JWT_PUBLIC_KEY' || name === 'JWKS_URL' ? { JWT_SECRET: undefined } : {};
      const { code, output } = await runToEnd({
        databaseUrl: `sqlite:${file}`,
        port,
        env: { ...another, [name]: value },
      });
      const lines = output.split('\n').filter((line) => line !== '');
      expect({ code, lines }).toEqual({ code: 2, lines: [expect.stringContaining(name)] });
      expect(lines[0]).toMatch(/example/i);
      expect(lines[0]).not.toMatch(/\bat .*\.[jt]s/);
      // A secret is not repeated, not even a bad one.
      if (name === 'JWT_SECRET') expect(lines[0]).not.toContain(value);
      expect(existsSync(file)).toBe(false);
      if (name !== 'PORT') expect(await answers(port)).toBe(false);
    });
  }

  test('R1.7 a port that is taken, or a host that is not here, is said as plainly', async () => {
    const { server } = await bootHere();
    const taken = await runToEnd({ port: server.port });
    expect([taken.code, taken.output]).toEqual([2, expect.stringMatching(/PORT/)]);
    const elsewhere = await runToEnd({ env: { HOST: '192.0.2.1' } });
    expect([elsewhere.code, elsewhere.output]).toEqual([2, expect.stringMatching(/HOST/)]);
  });

  test('R1.6 production without a key', async () => {
    const { code, output } = await runToEnd({ env: { JWT_SECRET: undefined, NODE_ENV: 'production' } });
    expect(code).toBe(2);
    expect(output.trim().split('\n')).toEqual([expect.stringMatching(/JWT_SECRET.*production/)]);
    const { house } = await bootHere({ env: { NODE_ENV: 'production' } });
    await (await house.user(newId())).say('with a key it starts');
  });

  test('R1.5 demo mode anywhere but on loopback', async () => {
    const { code, output } = await runToEnd({ env: { JWT_SECRET: undefined, HOST: '0.0.0.0' } });
    expect([code, output.trim().split('\n')]).toEqual([2, [expect.stringContaining('JWT_SECRET')]]);
  });
});

const named = [
  'PORT',
  'HOST',
  'DATABASE_URL',
  'REDIS_URL',
  'JWT_SECRET',
  'JWT_PUBLIC_KEY',
  'JWKS_URL',
  'TZ_BUSINESS',
  'ALLOWED_ORIGINS',
  'LOG_LEVEL',
  'RATE_LIMIT',
  'FRAME_NAMES',
  'MAX_ACTIVE_SESSIONS_PER_ADMIN',
  'ADMIN_OFFLINE_GRACE_SECONDS',
];

test('R1.13 R1.3 --help lists every setting, with its default', async () => {
  const { code, output } = await runToEnd({ args: ['--help'] });
  expect(code).toBe(0);
  for (const name of named) expect(output).toMatch(new RegExp(`\\b${name}\\b`));
  expect(output).toMatch(/PORT.*8787/);
  expect(output).toMatch(/TZ_BUSINESS.*Asia\/Shanghai/);
});

test('R1.13 .env.example lists every setting', () => {
  const example = readFileSync(fileURLToPath(new URL('../.env.example', import.meta.url)), 'utf8');
  for (const name of named) expect(example).toMatch(new RegExp(`^#? ?${name}=`, 'm'));
});

describe('FRAME_NAMES', () => {
  const names: Record<string, FrameType> = { admin_message: 'new_admin_message', ack: 'message_ack', oops: 'error' };
  const setting = Object.entries(names).map(([to, from]) => `${from}=${to}`);
  const { house } = useServer(() => ({ env: { FRAME_NAMES: setting.join(',') } }));

  test('R1.11 frames get the names that a front end expects, and keep their shapes', async () => {
    const user = await house.user(newId(), { names });
    const { sessionId } = await user.say('hello');
    await house.adminRest(newId()).reply(sessionId, { content: 'hello' });
    const { data } = await user.expectFrame('new_admin_message');
    expect(data.message).toMatchObject({ content: 'hello', senderType: 'admin' });
    await user.fence();
    const types = user.texts.map((text) => (JSON.parse(text) as { type: string }).type);
    expect(types).toEqual(['ack', 'session_status_changed', 'admin_message', 'oops']);
  });
});

describe('MAX_ACTIVE_SESSIONS_PER_ADMIN', () => {
  test('R6.7 is 10 unless it is set', async () => {
    const { house } = await bootHere();
    const { adminId } = await staff(house);
    for (let i = 0; i < 11; i += 1) await visit(house);
    const stats = await house.adminRest(adminId).stats();
    expect(stats).toMatchObject({ activeSessions: 10, waitingSessions: 1 });
  });
});

describe('LOG_LEVEL and logs', () => {
  test('R1.1 R1.14 the ready line is written at every level, and little else at a high one', async () => {
    const { house, server } = await bootHere({ env: { LOG_LEVEL: 'error' }, readyTimeoutMs: 10_000 });
    await visit(house);
    expect(server.records).toHaveLength(1);
  });

  test('R1.14 logs are JSON, one record a line', async () => {
    const { house, server } = await bootHere({ env: { LOG_LEVEL: 'trace' } });
    await visit(house);
    await house.adminRest(newId()).refused('GET', '/sessions?page=0');
    await server.stop();
    const lines = server.stdout.split('\n').filter((line) => line !== '');
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ level: expect.anything(), msg: expect.any(String) });
  });
});

/** Whether anybody listens there. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
