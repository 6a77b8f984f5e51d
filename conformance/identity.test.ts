import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bootHere, useServer } from './boot.ts';
import { encode, newId, signHs256 } from './house.ts';
import { refusalOf } from './peer.ts';
import type { DataOf } from './peer.ts';
import { visit } from './scenes.ts';

const { house, server } = useServer();

const now = (): number => Math.floor(Date.now() / 1000);
const codeOf = (text: string): string => (JSON.parse(text) as { error: DataOf<'error'> }).error.code;

type Sign = (data: string) => Buffer;

function jwt(header: object, claims: object, seal: Sign): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${seal(signed).toString('base64url')}`;
}

describe('where a token comes from', () => {
  test('R2.1 a WebSocket takes a token by query, header or subprotocol', async () => {
    for (const by of ['query', 'header', 'subprotocol'] as const) {
      const peer = await house.user(newId(), { by });
      await peer.say('hello');
      expect(peer.socket.protocol).toBe(by === 'subprotocol' ? 'bearer' : '');
    }
  });

  test('R2.1 REST takes a token by header or query', async () => {
    const token = house.adminToken(newId());
    expect((await house.rest('/admin/chat', token).request('GET', '/sessions')).status).toBe(200);
    expect((await house.rest('/admin/chat', null).request('GET', `/sessions?token=${token}`)).status).toBe(200);
    const lower = await house.rest('/admin/chat', null).request('GET', '/sessions', undefined, {
      authorization: `bearer ${token}`,
    });
    expect(lower.status).toBe(200);
  });
});

describe('what a token says', () => {
  const answer = (claims: object) =>
    house.rest('/api/chat', house.token({ ...claims })).request('GET', '/sessions/current');

  test('R2.2 the account is userId, or else a numeric sub', async () => {
    for (const [claims, id] of [
      [{ userId: 41 }, 41],
      [{ sub: '42' }, 42],
      [{ userId: 43, sub: '99' }, 43],
      [{ userId: 44, sub: 'somebody@example.com' }, 44],
      [{ userId: 2_147_483_647 }, 2_147_483_647],
    ] as const) {
      const peer = await house.connect(house.token(claims));
      const { sessionId } = await peer.say('who am I?');
      expect((await house.adminRest(newId()).session(sessionId)).userId).toBe(id);
    }
    for (const claims of [
      {},
      { userId: null },
      { userId: 0 },
      { userId: -31 },
      { userId: 31.5 },
      { userId: 2_147_483_648 },
      { userId: true },
      { userId: [31] },
      { userId: {} },
      { userId: 'abc', sub: '31' },
      { userId: '31 OR 1=1' },
      { sub: 'somebody@example.com' },
      { sub: '0' },
      { sub: '' },
      { id: 31 },
    ]) {
      expect({ claims, status: (await answer(claims)).status }).toEqual({ claims, status: 401 });
    }
  });

  test('R2.3 roles is a list, role one word, and neither means user', async () => {
    const isAdmin = async (claims: object): Promise<boolean> => {
      const token = house.token({ userId: newId(), ...claims });
      const { status } = await house.rest('/admin/chat', token).request('GET', '/sessions');
      expect([200, 403]).toContain(status);
      const upgraded = await house.connect(token, { query: { type: 'admin' } }).then(
        () => true,
        () => false,
      );
      expect(upgraded).toBe(status === 200);
      return status === 200;
    };
    for (const claims of [
      { roles: ['admin'] },
      { roles: ['user', 'admin'] },
      { role: 'admin' },
      { roles: ['vip', 'admin'] },
    ]) {
      expect({ claims, admin: await isAdmin(claims) }).toEqual({ claims, admin: true });
    }
    for (const claims of [
      {},
      { roles: ['user'] },
      { role: 'user' },
      { roles: [] },
      { roles: ['Admin', 'ADMIN', 'administrator', 'admin '] },
      { role: 'superadmin' },
      { type: 'admin' },
      { isAdmin: true },
      { admin: true },
    ]) {
      expect({ claims, admin: await isAdmin(claims) }).toEqual({ claims, admin: false });
    }
  });

  test('R2.4 nickname and avatar are shown, and a token without them takes nothing away', async () => {
    const rest = house.adminRest(newId());
    const [named, nameless] = [newId(), newId()];
    const user = await house.connect(
      house.token({ userId: named, nickname: '小王 😀', avatar: 'https://example.com/a' }),
    );
    const { sessionId } = await user.say('hello');
    expect((await rest.session(sessionId)).userInfo).toEqual({
      userId: named,
      nickname: '小王 😀',
      avatar: 'https://example.com/a',
    });
    await (await house.connect(house.token({ userId: named }))).say('again');
    expect((await rest.session(sessionId)).userInfo.nickname).toBe('小王 😀');
    await (await house.connect(house.token({ userId: named, nickname: '王' }))).say('renamed');
    expect((await rest.session(sessionId)).userInfo).toMatchObject({ nickname: '王', avatar: 'https://example.com/a' });
    const other = await (await house.connect(house.token({ userId: nameless }))).say('hello');
    const admin = await house.admin(newId());
    // Whoever gets it: asked by REST at this moment, it may still be nobody's.
    await admin.expectFrame(
      'session_status_changed',
      (data) => data.sessionId === other.sessionId && data.status === 'active',
    );
    expect((await rest.session(other.sessionId)).userInfo).toEqual({
      userId: nameless,
      nickname: `用户${nameless}`,
      avatar: '',
    });
  });
});

describe('tokens that are refused', () => {
  const right = { userId: 31, roles: ['user', 'admin'], exp: now() + 3600 };
  const wrong = (): Record<string, string> => {
    const secret = server().jwtSecret;
    const hmac =
      (hash: string, key: string): Sign =>
      (data) =>
        createHmac(hash, key).update(data).digest();
    const good = signHs256(secret, right);
    const [header, , signature] = good.split('.') as [string, string, string];
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { privateKey: foreign } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const nothing: Sign = () => Buffer.alloc(0);
    return {
      'expired (R2.5)': signHs256(secret, { ...right, exp: now() - 10 }),
      'expired for long': signHs256(secret, { ...right, exp: 1 }),
      'not valid yet (R2.5)': signHs256(secret, { ...right, nbf: now() + 600 }),
      'exp as a text': signHs256(secret, { ...right, exp: String(now() + 3600) }),
      'nbf as a text': signHs256(secret, { ...right, nbf: 'now' }),
      'a foreign secret': signHs256('x'.repeat(64), right),
      'an empty secret': signHs256('', right),
      none: jwt({ alg: 'none', typ: 'JWT' }, right, nothing),
      None: jwt({ alg: 'None' }, right, nothing),
      'none with a signature': jwt({ alg: 'none' }, right, hmac('sha256', secret)),
      'no algorithm': jwt({ typ: 'JWT' }, right, hmac('sha256', secret)),
      HS384: jwt({ alg: 'HS384' }, right, hmac('sha384', secret)),
      HS512: jwt({ alg: 'HS512' }, right, hmac('sha512', secret)),
      RS256: jwt({ alg: 'RS256' }, right, (data) => sign('sha256', Buffer.from(data), privateKey)),
      'RS256 with its key inside': jwt({ alg: 'RS256', jwk: privateKey.export({ format: 'jwk' }) }, right, (data) =>
        sign('sha256', Buffer.from(data), privateKey),
      ),
      ES256: jwt({ alg: 'ES256' }, right, (data) => sign('sha256', Buffer.from(data), foreign)),
      'an unknown critical header': jwt({ alg: 'HS256', crit: ['x'], x: 1 }, right, hmac('sha256', secret)),
      'changed claims': `${header}.${encode({ ...right, userId: 1 })}.${signature}`,
      'a changed header': `${encode({ alg: 'HS256', typ: 'JWT', kid: '1' })}.${good.split('.')[1]}.${signature}`,
      'no signature': `${good.split('.').slice(0, 2).join('.')}.`,
      'two parts': good.split('.').slice(0, 2).join('.'),
      'a cut signature': good.slice(0, -4),
      'four parts': `${good}.x`,
      'something else': 'abc',
      'a password': 'admin:admin',
      'claims that are no object': jwt({ alg: 'HS256' }, [31], hmac('sha256', secret)),
      'roles of numbers': signHs256(secret, { ...right, roles: [1] }),
      'roles as an object': signHs256(secret, { ...right, roles: { admin: true } }),
      'very long': signHs256(secret, { ...right, padding: 'x'.repeat(9_000) }),
    };
  };

  test('R2.5 R2.6 R2.9 by the handshake of either side', async () => {
    for (const [name, token] of Object.entries(wrong())) {
      for (const query of [{}, { type: 'admin', role: 'admin' }]) {
        const { status, text } = await refusalOf(house.connect(token, { query }));
        expect([name, status, codeOf(text)]).toEqual([name, 401, 'UNAUTHORIZED']);
        expect(text).not.toContain(token);
      }
    }
  });

  test('R2.5 R2.6 R2.10 by REST of either side', async () => {
    for (const [name, token] of Object.entries(wrong())) {
      for (const [prefix, path] of [
        ['/api/admin/chat', '/sessions'],
        ['/admin/chat', '/stats/today'],
        ['/api/chat', '/sessions/current'],
      ] as const) {
        const { status, error, text } = await house.rest(prefix, token).request('GET', path);
        expect([name, status, error.code]).toEqual([name, 401, 'UNAUTHORIZED']);
        expect(text).not.toContain(token);
      }
    }
  });

  test('R2.9 R2.10 no token at all, or no bearer’s', async () => {
    expect((await refusalOf(house.connect('', { by: 'nothing' }))).status).toBe(401);
    expect((await refusalOf(house.connect('', { by: 'query' }))).status).toBe(401);
    const basic = { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` };
    expect((await refusalOf(house.connect('', { by: 'nothing', headers: basic }))).status).toBe(401);
    const bare = house.rest('/admin/chat', null);
    for (const headers of [{}, basic, { authorization: 'Bearer' }, { authorization: '' }]) {
      expect((await bare.request('GET', '/sessions', undefined, headers)).status).toBe(401);
    }
  });

  test('R2.5 a token that is good goes on being good: exp and nbf around now', async () => {
    const token = house.token({ userId: 31, exp: now() + 60, nbf: now() - 60, iat: now() - 60 });
    await (await house.connect(token)).say('hello');
  });
});

describe('sides', () => {
  test('R2.9 a user’s token is no admin’s: 403 at the handshake, and no connection', async () => {
    for (const query of [{ type: 'admin' }, { type: 'admin', role: 'admin' }]) {
      const { status, text } = await refusalOf(house.connect(house.userToken(newId()), { query }));
      expect([status, codeOf(text)]).toEqual([403, 'FORBIDDEN']);
    }
    expect((await house.adminRest(newId()).stats()).onlineAdmins).toBe(0);
  });

  test('R2.10 a user’s token is refused on every admin path, whatever else is wrong', async () => {
    const { sessionId, userId } = await visit(house);
    const before = await house.adminRest(newId()).session(sessionId);
    for (const prefix of ['/api/admin/chat', '/admin/chat']) {
      for (const [token, wanted] of [
        [house.userToken(userId), 403],
        [house.userToken(newId()), 403],
        ['not-a-token', 401],
        [null, 401],
      ] as const) {
        const rest = house.rest(prefix, token);
        for (const id of [sessionId, 'session_nobody', 'not%20an%20id', '%zz']) {
          const paths: [string, string, unknown?][] = [
            ['GET', '/sessions'],
            ['GET', '/sessions?page=0'],
            ['GET', `/sessions/${id}`],
            ['GET', `/sessions/${id}/messages`],
            ['POST', `/sessions/${id}/messages`, { content: 'x' }],
            ['POST', `/sessions/${id}/messages`, '{'],
            ['POST', `/sessions/${id}/messages`, { content: 'x', adminId: 31 }],
            ['POST', `/sessions/${id}/claim`],
            ['POST', `/sessions/${id}/assign`, { adminId: 31 }],
            ['POST', `/sessions/${id}/transfer`, {}],
            ['POST', `/sessions/${id}/close`],
            ['POST', `/sessions/${id}/reopen`],
            ['GET', '/stats/today'],
            ['GET', '/operation-logs'],
            ['GET', '/nothing-here'],
            ['DELETE', '/sessions'],
            ['GET', ''],
          ];
          for (const [method, path, body] of paths) {
            const { status } = await rest.request(method, path, body);
            expect([method, path, status]).toEqual([method, path, wanted]);
          }
        }
      }
    }
    const { isOnline: _, ...after } = await house.adminRest(newId()).session(sessionId);
    expect(before).toMatchObject(after);
  });

  test('R2.13 nobody can speak for another', async () => {
    const { user, userId, sessionId } = await visit(house);
    expect(await user.sayRefused({ content: 'x', senderInfo: { userId: newId() } })).toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(await user.sayRefused({ content: 'x', senderInfo: { userId, userType: 'admin' } })).toMatchObject({
      code: 'FORBIDDEN',
    });
    expect((await house.adminRest(newId()).messages(sessionId)).totalCount).toBe(1);
  });

  test('R2.12 R2.11 the type decides, and a token of admins alone is good for both', async () => {
    const id = newId();
    const token = house.token({ userId: id, roles: ['admin'] });
    const [asUser, asAdmin] = [await house.connect(token), await house.connect(token, { query: { type: 'admin' } })];
    const { sessionId } = await asUser.say('hello');
    await asAdmin.expectFrame('new_user_message');
    await asAdmin.say('hello yourself', { sessionId });
    await asUser.expectFrame('new_admin_message');
  });
});

describe('keys of other kinds', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed = generateKeyPairSync('ed25519');
  const claims = () => ({ userId: 31, roles: ['admin'], exp: now() + 3600 });
  const spki = (key: KeyObject): string => String(key.export({ type: 'spki', format: 'pem' }));
  const tokens: Record<string, (kid?: object) => string> = {
    RS256: (kid) => jwt({ alg: 'RS256', ...kid }, claims(), (d) => sign('sha256', Buffer.from(d), rsa.privateKey)),
    PS256: (kid) =>
      jwt({ alg: 'PS256', ...kid }, claims(), (d) =>
        sign('sha256', Buffer.from(d), {
          key: rsa.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        }),
      ),
    ES256: (kid) =>
      jwt({ alg: 'ES256', ...kid }, claims(), (d) =>
        sign('sha256', Buffer.from(d), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
      ),
    EdDSA: (kid) => jwt({ alg: 'EdDSA', ...kid }, claims(), (d) => sign(null, Buffer.from(d), ed.privateKey)),
  };

  for (const [name, key, fitting] of [
    ['RSA', rsa.publicKey, ['RS256', 'PS256']],
    ['EC', ec.publicKey, ['ES256']],
    ['Ed25519', ed.publicKey, ['EdDSA']],
  ] as const) {
    test(`R2.7 JWT_PUBLIC_KEY takes the signatures of its own key alone (${name})`, async () => {
      const pem = spki(key);
      const { house: here } = await bootHere({ env: { JWT_SECRET: undefined, JWT_PUBLIC_KEY: pem } });
      for (const [algorithm, make] of Object.entries(tokens)) {
        const { status } = await here.rest('/admin/chat', make()).request('GET', '/sessions');
        const wanted = (fitting as readonly string[]).includes(algorithm) ? 200 : 401;
        expect([algorithm, status]).toEqual([algorithm, wanted]);
      }
      for (const secret of [pem, pem.trim(), pem.replaceAll('\n', '\\n'), '']) {
        const { status } = await here.rest('/admin/chat', signHs256(secret, claims())).request('GET', '/sessions');
        expect(status).toBe(401);
      }
    });
  }

  test('R2.7 JWKS_URL takes the signatures of the keys that it names', async () => {
    const keys = Object.entries({ rsa, ec, ed }).map(([kid, { publicKey }]) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
    }));
    const web = createServer((_, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void web.close());
    const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/jwks.json`;
    const { house: here } = await bootHere({ env: { JWT_SECRET: undefined, JWKS_URL: url } });
    const status = async (token: string): Promise<number> =>
      (await here.rest('/admin/chat', token).request('GET', '/sessions')).status;
    expect(await status(tokens['RS256']?.({ kid: 'rsa' }) ?? '')).toBe(200);
    expect(await status(tokens['ES256']?.({ kid: 'ec' }) ?? '')).toBe(200);
    expect(await status(tokens['EdDSA']?.({ kid: 'ed' }) ?? '')).toBe(200);
    expect(await status(tokens['RS256']?.({ kid: 'ec' }) ?? '')).toBe(401);
    expect(await status(tokens['RS256']?.({ kid: 'unknown' }) ?? '')).toBe(401);
    expect(await status(signHs256(JSON.stringify(keys[0]), claims(), { alg: 'HS256', kid: 'rsa' }))).toBe(401);
    const peer = await here.connect(tokens['ES256']?.({ kid: 'ec' }) ?? '', { query: { type: 'admin' } });
    await peer.close();
  });

  test('R2.8 claims may have other names', async () => {
    const { house: here } = await bootHere({
      env: {
        JWT_CLAIM_USER_ID: 'account.id',
        JWT_CLAIM_ROLES: 'realm.roles',
        JWT_CLAIM_NICKNAME: 'name',
        JWT_CLAIM_AVATAR: 'picture',
        JWT_ADMIN_WHEN: 'isStaff=true,scope~chat:admin',
      },
    });
    const user = await here.connect(here.token({ account: { id: 77 }, name: '王', picture: 'https://example.com/w' }));
    const { sessionId } = await user.say('hello');
    const admin = here.rest('/admin/chat', here.token({ account: { id: 78 }, realm: { roles: ['admin'] } }));
    expect((await admin.session(sessionId)).userInfo).toEqual({
      userId: 77,
      nickname: '王',
      avatar: 'https://example.com/w',
    });
    for (const [more, wanted] of [
      [{ isStaff: true }, 200],
      [{ scope: 'chat:read chat:admin' }, 200],
      [{ scope: 'chat:administrators' }, 403],
      [{ isStaff: false }, 403],
      [{}, 403],
    ] as const) {
      const rest = here.rest('/admin/chat', here.token({ account: { id: 79 }, ...more }));
      expect((await rest.request('GET', '/sessions')).status).toBe(wanted);
    }
    expect((await here.rest('/admin/chat', here.token({ userId: 1 })).request('GET', '/sessions')).status).toBe(401);
  });
});
