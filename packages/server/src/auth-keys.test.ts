import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChatError } from '@switchboard/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Authenticate, createAuthenticate } from './auth.ts';
import { usualClaims } from './claims.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const pair = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const [first, second, stranger] = [pair(), pair(), pair()];
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });

const jwk = (kid: string | undefined, key: KeyObject, more: object = {}): object => ({
  ...key.export({ format: 'jwk' }),
  kid,
  ...more,
});
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(kid: string | undefined, key: KeyObject, header: object = {}): string {
  const data = `${part({ alg: 'ES256', kid, ...header })}.${part({ userId: 31 })}`;
  return `${data}.${sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function hs256(kid: string, secret: string): string {
  const data = `${part({ alg: 'HS256', kid })}.${part({ userId: 31 })}`;
  return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`;
}

let now: number;
let fetches: number;
let keys: unknown;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let authenticate: Authenticate;
let stop: () => Promise<void>;

const giveKeys = (_: IncomingMessage, response: ServerResponse): void => {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(keys));
};

beforeEach(async () => {
  now = 1_755_000_000_000;
  fetches = 0;
  keys = { keys: [jwk('first', first.publicKey)] };
  answer = giveKeys;
  const server = createServer((request, response) => {
    fetches++;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  authenticate = await createAuthenticate(
    { key: { kind: 'jwks', url }, claims: usualClaims, adminWhen: [], leewaySeconds: 0, issuer: null, audience: null },
    { now: () => now },
  );
});
afterEach(() => stop());

/** How a token is answered: the account, or the code of the error. */
async function outcome(given: string): Promise<number | string> {
  try {
    return (await authenticate(given)).identity.id;
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    if (error.code === 'UNAVAILABLE') expect(error.retryAfterMs).toBeGreaterThan(0);
    return error.code;
  }
}

/** Time goes on, and asks again, until the fetches that go on behind our backs have helped. */
async function eventually(given: string, wanted: number | string): Promise<void> {
  const ask = (): Promise<number | string> => {
    now += 5_000;
    return outcome(given);
  };
  await expect.poll(ask, { interval: 5 }).toBe(wanted);
}

describe('a key set at an address', () => {
  test('is fetched once, for the first token', async () => {
    expect(fetches).toBe(0);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(token('first', first.privateKey))));
    expect(new Set(outcomes)).toEqual(new Set([31]));
    expect(fetches).toBe(1);
  });

  test('gives its own keys’ tokens through, and no others', async () => {
    keys = {
      keys: [
        jwk('first', first.publicKey),
        jwk('rsa', rsa.publicKey),
        jwk('weak', weak.publicKey),
        jwk('enc', second.publicKey, { use: 'enc' }),
        { kty: 'oct', kid: 'oct', k: part({}) },
        { kty: 'XX', kid: 'odd' },
      ],
    };
    const byRsa = (kid: string, key: KeyObject): string => {
      const data = `${part({ alg: 'RS256', kid })}.${part({ userId: 31 })}`;
      return `${data}.${sign('sha256', Buffer.from(data), key).toString('base64url')}`;
    };
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    expect(await outcome(byRsa('rsa', rsa.privateKey))).toBe(31);
    const pem = String(first.publicKey.export({ type: 'spki', format: 'pem' }));
    for (const wrong of [
      token('first', stranger.privateKey),
      token('rsa', first.privateKey),
      token('first', first.privateKey, { alg: 'RS256' }),
      token('first', first.privateKey, { alg: 'none' }),
      token('enc', second.privateKey),
      byRsa('weak', weak.privateKey),
      byRsa('first', rsa.privateKey),
      hs256('oct', '{}'),
      hs256('first', pem),
      hs256('first', JSON.stringify(jwk('first', first.publicKey))),
      token('stranger', stranger.privateKey, { jwk: stranger.publicKey.export({ format: 'jwk' }) }),
      token('stranger', stranger.privateKey, { jku: 'http://127.0.0.1:9/jwks.json' }),
    ]) {
      expect(await outcome(wrong)).toBe('UNAUTHORIZED');
    }
  });

  test('serves tokens that name no key, while it has but one that fits', async () => {
    expect(await outcome(token(undefined, first.privateKey))).toBe(31);
    expect(await outcome(token(undefined, stranger.privateKey))).toBe('UNAUTHORIZED');
  });
});

describe('rotation', () => {
  test('a new key is found as soon as a token names it', async () => {
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    keys = { keys: [jwk('first', first.publicKey), jwk('second', second.publicKey)] };
    expect(await outcome(token('second', second.privateKey))).toBe('UNAUTHORIZED');
    now += 5_000;
    expect(await outcome(token('second', second.privateKey))).toBe(31);
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    expect(fetches).toBe(2);
  });

  test('a key that was taken back stops to serve within ten minutes', async () => {
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    keys = { keys: [jwk('second', second.publicKey)] };
    now += 10 * MINUTE;
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    now += 1;
    expect(await outcome(token('first', first.privateKey))).toBe('UNAUTHORIZED');
    expect(await outcome(token('second', second.privateKey))).toBe(31);
    expect(fetches).toBe(2);
  });

  test('tokens that name no key of ours cost one fetch in five seconds', async () => {
    for (let i = 0; i < 100; i++) {
      expect(await outcome(token(`made-up ${i}`, stranger.privateKey))).toBe('UNAUTHORIZED');
      now += 100;
    }
    expect(fetches).toBe(2);
  });

  test('a clock that is set back does not end the renewal', async () => {
    expect(await outcome(token('first', first.privateKey))).toBe(31);
    keys = { keys: [jwk('second', second.publicKey)] };
    now -= HOUR;
    expect(await outcome(token('second', second.privateKey))).toBe(31);
  });
});

describe('an outage', () => {
  const failures: Record<string, typeof answer> = {
    'a 500': (_, response) => void response.writeHead(500).end('{"keys":[]}'),
    'a 404': (_, response) => void response.writeHead(404).end('not here'),
    'a redirect': (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
    'no JSON': (_, response) => void response.end('<html>'),
    'no key set': (_, response) => void response.end('{"keys":{}}'),
    null: (_, response) => void response.end('null'),
    'a line that breaks off': (request) => void request.socket.destroy(),
    'a body that breaks off': (_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"keys":');
      setTimeout(() => response.destroy(), 5);
    },
  };

  test.for(Object.entries(failures))(
    'at the first token (%s) is no fault of the token, and passes',
    async ([, fail]) => {
      answer = fail;
      const good = token('first', first.privateKey);
      expect(await outcome(good)).toBe('UNAVAILABLE');
      expect(await outcome(token('first', stranger.privateKey))).toBe('UNAVAILABLE');
      expect(fetches).toBe(1);
      answer = giveKeys;
      now += 5_000;
      await eventually(good, 31);
      expect(fetches).toBe(2);
    },
  );

  test.for(Object.entries(failures))('later (%s) leaves the known keys in force for a day', async ([, fail]) => {
    const good = token('first', first.privateKey);
    expect(await outcome(good)).toBe(31);
    answer = fail;
    now += 11 * MINUTE;
    expect(await outcome(good)).toBe(31);
    expect(await outcome(token('first', stranger.privateKey))).toBe('UNAUTHORIZED');
    // A key that we do not know may be a new one.
    expect(await outcome(token('second', second.privateKey))).toBe('UNAVAILABLE');
    now += 23 * HOUR;
    expect(await outcome(good)).toBe(31);
    now += HOUR;
    expect(await outcome(good)).toBe('UNAVAILABLE');
    answer = giveKeys;
    await eventually(good, 31);
  });

  test('that answers nothing makes only the first wait', async () => {
    const good = token('first', first.privateKey);
    expect(await outcome(good)).toBe(31);
    const held: ServerResponse[] = [];
    answer = (_, response) => void held.push(response);
    now += 11 * MINUTE;
    const waiting = outcome(good);
    await expect.poll(() => held.length).toBe(1);
    held[0]?.writeHead(503).end();
    expect(await waiting).toBe(31);
    for (let i = 0; i < 20; i++) {
      now += 5_000;
      expect(await Promise.race([outcome(good), sleep(1_000)])).toBe(31);
    }
    await expect.poll(() => held.length).toBe(2);
  });

  test('of a server that is gone altogether', async () => {
    const good = token('first', first.privateKey);
    await stop();
    expect(await outcome(good)).toBe('UNAVAILABLE');
  });
});
