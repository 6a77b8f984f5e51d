/** Pages of which origins may connect, and read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Switchboard } from '../testing/switchboard.ts';
import { boot, useServer } from './boot.ts';
import { House, newId } from './house.ts';
import { refusalOf } from './peer.ts';

async function expectIn(house: House, origin: string | undefined): Promise<void> {
  const headers = origin === undefined ? {} : { origin };
  const peer = await house.user(newId(), { headers });
  await peer.say('hello');
  const answer = await house.adminRest(newId()).request('GET', '/sessions', undefined, headers);
  expect(answer.status).toBe(200);
}

async function expectOut(house: House, origin: string): Promise<void> {
  for (const type of ['user', 'admin']) {
    const token = house.token({ userId: newId(), roles: ['user', 'admin'] });
    const refusal = await refusalOf(house.connect(token, { headers: { origin }, query: { type } }));
    expect([origin, refusal.status]).toEqual([origin, 403]);
    expect((JSON.parse(refusal.text) as { error: { code: string } }).error.code).toBe('FORBIDDEN');
  }
}

async function mayRead(house: House, origin: string): Promise<boolean> {
  const { headers } = await house.adminRest(newId()).request('GET', '/sessions', undefined, { origin });
  const allowed = headers.get('access-control-allow-origin');
  expect([null, origin]).toContain(allowed);
  const preflight = await fetch(`${house.url}/api/admin/chat/sessions`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });
  expect(preflight.headers.get('access-control-allow-origin')).toBe(allowed);
  return allowed === origin;
}

const strangers = (own: string): string[] => [
  'https://evil.example',
  'null',
  `${own}.evil.example`,
  own.replace('http:', 'https:').replace(/:\d+$/, ''),
  'file://',
  'chrome-extension://abc',
  'not an origin',
  own.replace('127.0.0.1', '127.0.0.1.evil.example'),
];

describe('without ALLOWED_ORIGINS', () => {
  const { house } = useServer();

  test('R4.2 R13.43 the server’s own origin may connect, and who sends none; strangers may not', async () => {
    await expectIn(house, undefined);
    await expectIn(house, house.url);
    for (const origin of strangers(house.url)) await expectOut(house, origin);
    // Another port of this machine is another origin.
    await expectOut(house, 'http://127.0.0.1:1');
    await expectOut(house, 'http://localhost:3000');
  });

  test('R3.30 strangers’ pages may not read', async () => {
    for (const origin of strangers(house.url)) expect([origin, await mayRead(house, origin)]).toEqual([origin, false]);
  });
});

describe('with ALLOWED_ORIGINS', () => {
  const listed = ['https://shop.example.com', 'http://intranet:8080'];
  const { house } = useServer(() => ({ env: { ALLOWED_ORIGINS: listed.join(', ') } }));

  test('R4.2 R13.43 R3.30 those that are listed may connect and read, exactly', async () => {
    for (const origin of listed) {
      await expectIn(house, origin);
      expect(await mayRead(house, origin)).toBe(true);
    }
    await expectIn(house, undefined);
    for (const origin of [
      ...strangers(house.url),
      'http://shop.example.com',
      'https://shop.example.com:444',
      'https://shop.example.com.evil.example',
      'https://evil-shop.example.com',
      'https://shopXexample.com',
      'https://SHOP.example.com/',
      'http://intranet',
    ]) {
      await expectOut(house, origin);
      expect([origin, await mayRead(house, origin)]).toEqual([origin, false]);
    }
  });
});

describe('in demo mode', () => {
  let server: Switchboard;
  beforeAll(async () => {
    server = await boot({ env: { JWT_SECRET: undefined } });
  });
  afterAll(() => server.remove());

  test('R4.2 R3.30 pages on this machine may connect and read', async () => {
    const jwtSecret = readFileSync(join(server.folder, 'data', 'demo-secret'), 'utf8').trim();
    const house = new House(() => ({ url: server.url, jwtSecret }));
    for (const origin of [house.url, 'http://localhost:3000', 'http://127.0.0.1:5173', 'http://[::1]:80']) {
      await expectIn(house, origin);
    }
    expect(await mayRead(house, 'http://localhost:3000')).toBe(true);
    for (const origin of [
      'https://evil.example',
      'http://localhost.evil.example',
      'http://127.0.0.2.evil.example',
      'null',
    ]) {
      await expectOut(house, origin);
      expect([origin, await mayRead(house, origin)]).toEqual([origin, false]);
    }
    await house.calm();
  });
});
