import {
  constants,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
} from 'node:crypto';
import { ChatError } from '@switchboard/protocol';
import { describe, expect, test } from 'vitest';
import { algorithmsOf } from './auth-keys.ts';
import {
  type Authenticate,
  type Authenticated,
  createAuthenticate,
  findToken,
  type JwtSettings,
  mintToken,
} from './auth.ts';
import { usualClaims } from './claims.ts';

const SECRET = 'the secret of these tests, of more than 32 bytes';
const NOW = 1_755_000_000;
const clock = { now: () => NOW * 1000 };

const usual: Omit<JwtSettings, 'key'> = {
  claims: usualClaims,
  adminWhen: [],
  leewaySeconds: 0,
  issuer: null,
  audience: null,
};
const bySecret: JwtSettings = { ...usual, key: { kind: 'secret', secret: SECRET } };

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const foreignRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ed = generateKeyPairSync('ed25519');
const foreignEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const foreignEd = generateKeyPairSync('ed25519');

type Sign = (data: string) => Buffer;
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const hmac =
  (hash: string, secret: string | Uint8Array): Sign =>
  (data) =>
    createHmac(hash, secret).update(data).digest();
const asymmetric =
  (hash: string | null, key: KeyObject, more: object = {}): Sign =>
  (data) =>
    signWith(hash, Buffer.from(data), { key, ...more });
const ecdsa = (hash: string, key: KeyObject): Sign => asymmetric(hash, key, { dsaEncoding: 'ieee-p1363' });

const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const raw = (header: string, claims: string, sign: Sign): string => {
  const data = `${base64url(header)}.${base64url(claims)}`;
  return `${data}.${sign(data).toString('base64url')}`;
};
const token = (header: object, claims: unknown, sign: Sign): string =>
  raw(JSON.stringify(header), JSON.stringify(claims), sign);
const hs256 = (claims: unknown, header: object = {}): string =>
  token({ alg: 'HS256', typ: 'JWT', ...header }, claims, hmac('sha256', SECRET));
const good = { userId: 31, roles: ['user', 'admin'], exp: NOW + 60 };

function byPublicKey(key: KeyObject): JwtSettings {
  return { ...usual, key: { kind: 'public', key, algorithms: algorithmsOf(key) } };
}

/** What a token's claims come to under the secret. */
async function read(claims: object, settings: Partial<JwtSettings> = {}): Promise<Authenticated> {
  return (await createAuthenticate({ ...bySecret, ...settings }, clock))(hs256(claims));
}

async function refusal(promise: Promise<unknown>): Promise<ChatError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ChatError)) throw new Error('not refused by a ChatError', { cause: error });
  return error;
}

describe('signatures', () => {
  const algorithms: Record<string, [key: KeyObject, sign: Sign]> = {
    RS256: [rsa.publicKey, asymmetric('sha256', rsa.privateKey)],
    RS384: [rsa.publicKey, asymmetric('sha384', rsa.privateKey)],
    RS512: [rsa.publicKey, asymmetric('sha512', rsa.privateKey)],
    PS256: [rsa.publicKey, asymmetric('sha256', rsa.privateKey, pss)],
    PS384: [rsa.publicKey, asymmetric('sha384', rsa.privateKey, pss)],
    PS512: [rsa.publicKey, asymmetric('sha512', rsa.privateKey, pss)],
    ES256: [p256.publicKey, ecdsa('sha256', p256.privateKey)],
    ES384: [p384.publicKey, ecdsa('sha384', p384.privateKey)],
    ES512: [p521.publicKey, ecdsa('sha512', p521.privateKey)],
    EdDSA: [ed.publicKey, asymmetric(null, ed.privateKey)],
    Ed25519: [ed.publicKey, asymmetric(null, ed.privateKey)],
  };

  test('HS256 by the secret', async () => {
    const { identity, roles, expiresAt } = await read({ ...good, nickname: '小明', avatar: '/a.png' });
    expect(identity).toEqual({ id: 31, nickname: '小明', avatar: '/a.png' });
    expect([...roles].toSorted((a, b) => a.localeCompare(b))).toEqual(['admin', 'user']);
    expect(expiresAt).toBe((NOW + 60) * 1000);
  });

  test.for(Object.entries(algorithms))('%s by its public key, and by no other', async ([alg, [key, sign]]) => {
    const signed = token({ alg }, good, sign);
    expect((await (await createAuthenticate(byPublicKey(key), clock))(signed)).identity.id).toBe(31);
    for (const other of [
      foreignRsa.publicKey,
      rsa.publicKey,
      p256.publicKey,
      p384.publicKey,
      p521.publicKey,
      ed.publicKey,
    ]) {
      if (other === key) continue;
      const authenticate = await createAuthenticate(byPublicKey(other), clock);
      expect((await refusal(authenticate(signed))).code).toBe('UNAUTHORIZED');
    }
  });

  test('keys that cannot check tokens have no algorithms', () => {
    const { publicKey: short } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const { publicKey: bitcoin } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const { publicKey: ed448 } = generateKeyPairSync('ed448');
    const { publicKey: x25519 } = generateKeyPairSync('x25519');
    const { publicKey: rsaPss } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
    for (const key of [short, bitcoin, ed448, x25519, rsaPss]) expect(algorithmsOf(key)).toEqual([]);
    expect(algorithmsOf(createSecretKey(Buffer.alloc(32)))).toEqual([]);
  });
});

describe('tokens that are refused', () => {
  const pem = String(rsa.publicKey.export({ type: 'spki', format: 'pem' }));
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
  const jwk = foreignRsa.publicKey.export({ format: 'jwk' });
  const valid = hs256(good);
  const [header, claims, signature] = valid.split('.') as [string, string, string];
  const data = `${header}.${claims}`;
  const nothing: Sign = () => Buffer.alloc(0);
  const foreign = asymmetric('sha256', foreignRsa.privateKey);
  const own = hmac('sha256', SECRET);
  /** The next of the characters that decode to the same last byte. */
  const twin = signature.slice(0, -1) + String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1);

  const forged: Record<string, string> = {
    nothing: '',
    'one dot': '.',
    'two dots': '..',
    'two parts': data,
    'four parts': `${valid}.${signature}`,
    'five parts, as an encrypted one': `${header}..${claims}.${signature}.${signature}`,
    'an empty signature': `${data}.`,
    'an empty header': `.${claims}.${signature}`,
    'an empty payload': `${header}..${signature}`,
    'a cut signature': valid.slice(0, -1),
    'a signature with a byte more': `${data}.${Buffer.concat([Buffer.from(signature, 'base64url'), Buffer.alloc(1)]).toString('base64url')}`,
    'a signature written otherwise': `${data}.${twin}`,
    'a padded signature': `${valid}=`,
    'plain base64': `${data}.${Buffer.from(signature, 'base64url').toString('base64')}`,
    'a space before': ` ${valid}`,
    'a space after': `${valid} `,
    'a line break after': `${valid}\n`,
    'a space within the signature': `${data}.${signature.slice(0, 9)} ${signature.slice(9)}`,
    'a NUL after': `${valid}\0`,
    'the word Bearer': `Bearer ${valid}`,
    'letters of another script': valid.replace(/a/, 'а'),
    'a changed payload': `${header}.${base64url(JSON.stringify({ ...good, userId: 1 }))}.${signature}`,
    'a changed header': `${base64url('{"alg":"HS256"}')}.${claims}.${signature}`,
    'header and payload exchanged': `${claims}.${header}.${signature}`,
    'another token’s signature': `${data}.${hs256({ userId: 32 }).split('.')[2]}`,
    none: token({ alg: 'none' }, good, nothing),
    None: token({ alg: 'None' }, good, nothing),
    NONE: token({ alg: 'NONE' }, good, nothing),
    'none, signed': token({ alg: 'none' }, good, own),
    'none in a list': token({ alg: ['none'] }, good, own),
    'no algorithm': token({ typ: 'JWT' }, good, own),
    'an empty algorithm': token({ alg: '' }, good, own),
    'a null algorithm': token({ alg: null }, good, own),
    'a number for algorithm': token({ alg: 256 }, good, own),
    'hs256 in lower case': token({ alg: 'hs256' }, good, own),
    'a made-up algorithm': token({ alg: 'HS1' }, good, hmac('sha1', SECRET)),
    'an algorithm of the prototype': token({ alg: 'constructor' }, good, own),
    'HS384 by the right secret': token({ alg: 'HS384' }, good, hmac('sha384', SECRET)),
    'HS512 by the right secret': token({ alg: 'HS512' }, good, hmac('sha512', SECRET)),
    'HS256 that says RS256': token({ alg: 'RS256' }, good, own),
    'HS384’s hash under HS256': token({ alg: 'HS256' }, good, hmac('sha384', SECRET)),
    'the empty secret': token({ alg: 'HS256' }, good, hmac('sha256', '')),
    'a foreign secret': token({ alg: 'HS256' }, good, hmac('sha256', `${SECRET}!`)),
    'a part of the secret': token({ alg: 'HS256' }, good, hmac('sha256', SECRET.slice(0, 32))),
    'the RSA public key (PEM) as secret': token({ alg: 'HS256' }, good, hmac('sha256', pem)),
    'the same, trimmed': token({ alg: 'HS256' }, good, hmac('sha256', pem.trim())),
    'the RSA public key (DER) as secret': token({ alg: 'HS256' }, good, hmac('sha256', der)),
    'a foreign RSA key': token({ alg: 'RS256' }, good, foreign),
    'a foreign EC key': token({ alg: 'ES256' }, good, ecdsa('sha256', foreignEc.privateKey)),
    'ES256 with r and s of zero': token({ alg: 'ES256' }, good, () => Buffer.alloc(64)),
    'a foreign Ed25519 key': token({ alg: 'EdDSA' }, good, asymmetric(null, foreignEd.privateKey)),
    'kid of an empty file': token({ alg: 'HS256', kid: '/dev/null' }, good, hmac('sha256', '')),
    'kid that climbs': token(
      { alg: 'HS256', kid: '../../../../proc/sys/kernel/ostype' },
      good,
      hmac('sha256', 'Linux\n'),
    ),
    'kid of SQL': token({ alg: 'HS256', kid: "x' UNION SELECT 'key" }, good, hmac('sha256', 'key')),
    'kid as an object': token({ alg: 'HS256', kid: { $ne: '' } }, good, hmac('sha256', '')),
    jku: token({ alg: 'RS256', jku: 'http://127.0.0.1:9/keys.json', kid: '1' }, good, foreign),
    jwk: token({ alg: 'RS256', jwk }, good, foreign),
    x5u: token({ alg: 'RS256', x5u: 'http://127.0.0.1:9/cert.pem' }, good, foreign),
    x5c: token({ alg: 'RS256', x5c: [Buffer.from(der).toString('base64')] }, good, foreign),
    'an unknown critical header': hs256(good, { crit: ['exp2'], exp2: 1 }),
    'an empty list of critical headers': hs256(good, { crit: [] }),
    'an unencoded payload': hs256(good, { crit: ['b64'], b64: false }),
    compression: hs256(good, { zip: 'DEF', crit: ['zip'] }),
    'a header twice': raw('{"alg":"none","alg":"HS256"}', JSON.stringify(good), own),
    'a claim twice': raw('{"alg":"HS256"}', '{"userId":31,"userId":31}', own),
    'a claim twice, once escaped': raw('{"alg":"HS256"}', '{"userId":31,"\\u0075serId":1}', own),
    'a nested claim twice': raw('{"alg":"HS256"}', '{"userId":31,"a":[{"b":1,"b":2}]}', own),
    'a header that is a list': raw('["HS256"]', JSON.stringify(good), own),
    'a header that is no JSON': raw('alg: HS256', JSON.stringify(good), own),
    'a header with a BOM': raw('\uFEFF{"alg":"HS256"}', JSON.stringify(good), own),
    'claims that are no JSON': raw('{"alg":"HS256"}', 'userId=31', own),
    'claims with a comma too many': raw('{"alg":"HS256"}', '{"userId":31,}', own),
    'claims that are no UTF-8': (() => {
      const broken = `${header}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}`;
      return `${broken}.${own(broken).toString('base64url')}`;
    })(),
    'claims that are a list': hs256([good]),
    'claims that are null': hs256(null),
    'claims that are a text': hs256('userId'),
    'claims that are a number': hs256(31),
    'claims nested 5,000 deep': raw('{"alg":"HS256"}', `${'['.repeat(2_500)}${']'.repeat(2_500)}`, own),
    'more than 8,192 characters': hs256({ ...good, padding: 'x'.repeat(7_000) }),
    expired: hs256({ ...good, exp: NOW - 1 }),
    'expired this very second': hs256({ ...good, exp: NOW }),
    'expired in 1970': hs256({ ...good, exp: 0 }),
    'expired before': hs256({ ...good, exp: -1e300 }),
    'not valid yet': hs256({ ...good, nbf: NOW + 1 }),
    'valid in another age': hs256({ ...good, nbf: 1e300 }),
    'exp as a text': hs256({ ...good, exp: String(NOW + 60) }),
    'exp null': hs256({ ...good, exp: null }),
    'exp true': hs256({ ...good, exp: true }),
    'exp a list': hs256({ ...good, exp: [NOW + 60] }),
    'nbf as a text': hs256({ ...good, nbf: '0' }),
    'iat as a text': hs256({ ...good, iat: 'now' }),
  };

  test('there are at least 40 forged ones', () => {
    expect(new Set(Object.values(forged)).size).toBeGreaterThanOrEqual(80);
  });

  test.for(Object.entries(forged))('%s', async ([, forgery]) => {
    for (const settings of [bySecret, ...[rsa, p256, ed].map(({ publicKey }) => byPublicKey(publicKey))]) {
      const authenticate = await createAuthenticate(settings, clock);
      const error = await refusal(authenticate(forgery));
      expect(error.code).toBe('UNAUTHORIZED');
      if (forgery.length > 9) expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain(forgery);
    }
  });

  test('issuer and audience, once they are asked for', async () => {
    const authenticate = await createAuthenticate(
      { ...bySecret, issuer: 'https://a.example', audience: 'chat' },
      clock,
    );
    const right = { ...good, iss: 'https://a.example', aud: ['shop', 'chat'] };
    expect((await authenticate(hs256(right))).identity.id).toBe(31);
    for (const wrong of [
      { iss: undefined },
      { iss: 'https://b.example' },
      { iss: ['https://a.example'] },
      { iss: 'https://a.example/' },
      { iss: null },
      { aud: undefined },
      { aud: 'shop' },
      { aud: [] },
      { aud: { chat: true } },
      { aud: 'Chat' },
      { aud: [['chat']] },
    ]) {
      expect((await refusal(authenticate(hs256({ ...right, ...wrong })))).code).toBe('UNAUTHORIZED');
    }
  });

  test('a prototype is out of reach, and stays clean', async () => {
    const authenticate = await createAuthenticate(bySecret, clock);
    const polluted = raw(
      '{"alg":"HS256"}',
      '{"userId":31,"__proto__":{"roles":["admin"],"x":1},"constructor":{"prototype":{"x":1}}}',
      own,
    );
    expect([...(await authenticate(polluted)).roles]).toEqual(['user']);
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});

test('claims of the wrong kind make a token invalid', async () => {
  for (const wrong of [{}, { userId: 'x' }, { userId: 31, roles: 1 }, { userId: 31, nickname: {} }]) {
    expect((await refusal(read(wrong))).code).toBe('UNAUTHORIZED');
  }
});

describe('times', () => {
  const at = async (claims: object, leewaySeconds: number): Promise<Authenticated | null> =>
    read({ userId: 31, ...claims }, { leewaySeconds }).catch(() => null);

  test('hold to the second, give or take the leeway', async () => {
    expect(await at({ exp: NOW + 1 }, 0)).not.toBeNull();
    expect(await at({ exp: NOW }, 0)).toBeNull();
    expect(await at({ exp: NOW - 4 }, 5)).not.toBeNull();
    expect(await at({ exp: NOW - 5 }, 5)).toBeNull();
    expect(await at({ nbf: NOW }, 0)).not.toBeNull();
    expect(await at({ nbf: NOW + 1 }, 0)).toBeNull();
    expect(await at({ nbf: NOW + 5 }, 5)).not.toBeNull();
    expect(await at({ nbf: NOW + 6 }, 5)).toBeNull();
  });

  test('a token ends when it would be refused, leeway included', async () => {
    expect((await at({ exp: NOW - 4 }, 5))?.expiresAt).toBe((NOW + 1) * 1000);
    expect((await at({}, 5))?.expiresAt).toBeNull();
  });

  test('an end that no date can hold is no end', async () => {
    for (const exp of [8.64e12 + 1, 1e15, 1e300]) expect((await at({ exp }, 0))?.expiresAt).toBeNull();
    const infinite = raw('{"alg":"HS256"}', '{"userId":31,"exp":1e999}', hmac('sha256', SECRET));
    expect((await (await createAuthenticate(bySecret, clock))(infinite)).expiresAt).toBeNull();
  });
});

describe('where a token is found', () => {
  const find = (authorization?: string, query = '', protocols?: string): string | null => {
    try {
      return findToken({ authorization, query: new URLSearchParams(query), protocols });
    } catch (error) {
      expect((error as ChatError).code).toBe('UNAUTHORIZED');
      return 'refused';
    }
  };

  test.for<[authorization: string | undefined, query: string, protocols: string | undefined, found: string | null]>([
    [undefined, '', undefined, null],
    ['Bearer a.b.c', '', undefined, 'a.b.c'],
    ['bearer a.b.c', '', undefined, 'a.b.c'],
    ['BEARER   a.b.c', '', undefined, 'a.b.c'],
    ['Bearer', '', undefined, 'refused'],
    ['Bearer ', '', undefined, 'refused'],
    ['Bearer a.b.c d', '', undefined, 'refused'],
    ['Bearer\ta.b.c', '', undefined, 'refused'],
    ['Bearer a.b.c, Bearer d.e.f', '', undefined, 'refused'],
    ['Bearer', 'token=q', undefined, 'refused'],
    ['Bearer h', 'token=q', 'bearer, p', 'h'],
    ['', 'token=q', undefined, 'q'],
    ['Basic YTpi', '', undefined, null],
    ['Basic YTpi', 'token=q', undefined, 'q'],
    ['Bearerx a', '', undefined, null],
    ['a.b.c', '', undefined, null],
    [undefined, 'token=q&type=admin', undefined, 'q'],
    [undefined, 'token=', undefined, null],
    [undefined, 'token', undefined, null],
    [undefined, 'token=a&token=b', undefined, 'refused'],
    [undefined, 'token=a&token=a', undefined, 'refused'],
    [undefined, 'token=&token=a', undefined, 'refused'],
    [undefined, 'token[]=a', undefined, null],
    [undefined, 'Token=a', undefined, null],
    [undefined, 'token=a%20b', undefined, 'a b'],
    [undefined, 'token=q', 'bearer, p', 'q'],
    [undefined, 'token=', 'bearer, p', 'p'],
    [undefined, '', 'bearer, p', 'p'],
    [undefined, '', 'bearer,p', 'p'],
    [undefined, '', 'chat, bearer, p', 'p'],
    [undefined, '', 'bearer, p, chat', 'p'],
    [undefined, '', 'bearer', null],
    [undefined, '', 'bearer, ', null],
    [undefined, '', 'Bearer, p', null],
    [undefined, '', 'chat', null],
    [undefined, '', '', null],
  ])('header %j, query %j, subprotocols %j: %j', ([authorization, query, protocols, found]) => {
    expect(find(authorization, query, protocols)).toBe(found);
  });
});

describe('tokens that we make', () => {
  const claims = { userId: 31, roles: ['user', 'admin'], nickname: '小明', expiresInSeconds: 60 } as const;

  test('are good under the same settings, whatever claims are called', async () => {
    for (const names of [usualClaims, { userId: 'a.id', roles: 'a.roles', nickname: 'a.b.name', avatar: 'a.b.face' }]) {
      const settings = { ...bySecret, claims: names, issuer: 'https://a.example', audience: 'chat' };
      const authenticate = await createAuthenticate(settings, clock);
      const { identity, roles, expiresAt } = await authenticate(await mintToken(settings, claims, clock));
      expect(identity).toEqual({ id: 31, nickname: '小明', avatar: '' });
      expect(roles.size).toBe(2);
      expect(expiresAt).toBe((NOW + 60) * 1000);
    }
  });

  test('need the secret', () => {
    expect(() => mintToken(byPublicKey(rsa.publicKey), claims, clock)).toThrow('JWT_SECRET');
  });
});

test('many checks at once keep their callers apart', async () => {
  const authenticate: Authenticate = await createAuthenticate(byPublicKey(p256.publicKey), clock);
  const sign = ecdsa('sha256', p256.privateKey);
  const ids = Array.from({ length: 200 }, (_, i) => i + 1);
  const found = await Promise.all(ids.map((userId) => authenticate(token({ alg: 'ES256' }, { userId }, sign))));
  expect(found.map(({ identity }) => identity.id)).toEqual(ids);
});
