import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { type JWTPayload, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { hmacCheck } from './auth-hmac.ts';

const SECRET = 'the secret of these tests, of more than 32 bytes';
const NOW = 1_755_000_000;
const options = {
  algorithms: ['HS256'],
  clockTolerance: 5,
  issuer: 'https://a.example',
  audience: 'chat',
  currentDate: new Date(NOW * 1000),
};

const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const sign = (data: string): string => createHmac('sha256', SECRET).update(data).digest('base64url');
const signed = (header: string, claims: string): string => {
  const data = `${base64url(header)}.${base64url(claims)}`;
  return `${data}.${sign(data)}`;
};
const good = { userId: 31, iss: 'https://a.example', aud: 'chat', exp: NOW + 60 };

/** Whether a text is the one that base64url makes of what it decodes to: a decoder that forgives takes others, too. */
const isCanonical = (text: string): boolean => Buffer.from(text, 'base64url').toString('base64url') === text;

type Verdict = JWTPayload | 'refused' | 'not ours';

function short(check: ReturnType<typeof hmacCheck>, token: string): Verdict {
  try {
    return check(token, options) ?? 'not ours';
  } catch {
    return 'refused';
  }
}

async function jose(token: string): Promise<Verdict> {
  try {
    return (await jwtVerify(token, new TextEncoder().encode(SECRET), options)).payload;
  } catch {
    return 'refused';
  }
}

const plain = [
  '{"alg":"HS256"}',
  '{"alg":"HS256","typ":"JWT"}',
  '{"typ":"JWT","alg":"HS256"}',
  '{"alg":"HS256","kid":"1"}',
];
const strange = [
  '{"alg": "HS256"}',
  '{"alg":"HS256","alg":"HS256"}',
  '{"alg":"none","alg":"HS256"}',
  '{"alg":"HS256","crit":["exp"],"exp":1}',
  '{"alg":"HS256","crit":["b64"],"b64":true}',
  '{"alg":"HS256","crit":["b64"],"b64":false}',
  '{"alg":"HS256","b64":false}',
  '{"alg":"HS256","zip":"DEF"}',
  '{"alg":"HS256","__proto__":{"crit":["x"]}}',
  '{"alg":"HS512"}',
  '{"alg":"none"}',
  '{"alg":"hs256"}',
  '{"alg":["HS256"]}',
  '{"typ":"JWT"}',
  '["HS256"]',
  '"HS256"',
  'null',
  '31',
  'alg: HS256',
  '\uFEFF{"alg":"HS256"}',
];

test.for(plain)('takes %s upon itself', (header) => {
  expect(short(hmacCheck(SECRET), signed(header, JSON.stringify(good)))).toEqual(good);
});

test.for(strange)('leaves %s to jose, also behind a token that was good', (header) => {
  const check = hmacCheck(SECRET);
  check(signed('{"alg":"HS256"}', JSON.stringify(good)), options);
  expect(short(check, signed(header, JSON.stringify(good)))).toBe('not ours');
});

test('a header written in another way than the one is left to jose', () => {
  const [header, claims] = signed('{"alg":"HS256","kid":"12"}', JSON.stringify(good)).split('.') as [string, string];
  // The last character holds bits that belong to no byte; a decoder that forgives passes over them, and over one too many.
  for (const other of [
    `${header.slice(0, -1)}${String.fromCharCode(header.charCodeAt(header.length - 1) + 1)}`,
    `${header}AAAAA`,
  ]) {
    if (isCanonical(other)) continue;
    expect(short(hmacCheck(SECRET), `${other}.${claims}.${sign(`${other}.${claims}`)}`)).toBe('not ours');
  }
  const latin = Buffer.from('{"alg":"HS256","kid":"\xff"}', 'latin1').toString('base64url');
  expect(short(hmacCheck(SECRET), `${latin}.${claims}.${sign(`${latin}.${claims}`)}`)).toBe('not ours');
});

test('of the texts that decode to the right signature, only the canonical one is taken', () => {
  const token = signed('{"alg":"HS256"}', JSON.stringify(good));
  const bytes = (text: string): Buffer => Buffer.from(text.slice(text.lastIndexOf('.') + 1), 'base64url');
  const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
  // The last letter holds two bits that belong to no byte.
  const same = letters
    .map((letter) => token.slice(0, -1) + letter)
    .filter((other) => bytes(other).equals(bytes(token)));
  expect(same).toHaveLength(4);
  for (const other of same) expect(short(hmacCheck(SECRET), other)).toEqual(other === token ? good : 'refused');
});

test('never says anything else than jose', async () => {
  const moment = fc.oneof(
    fc.integer({ min: NOW - 8, max: NOW + 8 }),
    fc.constantFrom<unknown>(undefined, null, 'x', true, [NOW], 1e300, -1e300, 0.5),
  );
  const claims = fc.oneof(
    fc
      .record({
        iss: fc.constantFrom<unknown>(good.iss, good.iss, good.iss, undefined, 'x', [good.iss]),
        aud: fc.constantFrom<unknown>('chat', 'chat', ['shop', 'chat'], undefined, [], 'Chat', { chat: 1 }),
        exp: moment,
        nbf: moment,
        iat: moment,
      })
      .map((value) => JSON.stringify({ userId: 31, ...value })),
    fc.constant(JSON.stringify(good)),
    fc.constantFrom('null', '[]', '31', '{', '', '\uFEFF{}', `{"iss":"x",${JSON.stringify(good).slice(1)}`),
    fc.json(),
  );
  // What is done to a token that was signed: nothing, mostly.
  const spoil = fc.oneof(
    { weight: 4, arbitrary: fc.constant((token: string) => token) },
    fc
      .tuple(fc.nat(), fc.constantFrom('A', 'Q', 'g', 'w', '_', '-', '9', 'z'))
      .map(([at, letter]) => (token: string) => {
        const place = at % token.length;
        return token[place] === '.' ? token : token.slice(0, place) + letter + token.slice(place + 1);
      }),
    fc.constant((token: string) => token.slice(0, -1)),
    fc.constant((token: string) => `${token}A`),
  );
  const check = hmacCheck(SECRET);
  const seen = { good: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...plain, ...plain, ...strange),
      claims,
      spoil,
      async (header, payload, change) => {
        const token = change(signed(header, payload));
        // The caller lets nothing else pass.
        fc.pre(/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token));
        const verdict = short(check, token);
        if (verdict === 'not ours') return;
        // Of the texts that decode to the right signature, jose takes all and we take the canonical one.
        expect(isCanonical(token.split('.')[2] ?? '') ? await jose(token) : 'refused').toEqual(verdict);
        seen[verdict === 'refused' ? 'refused' : 'good']++;
      },
    ),
    { numRuns: 3_000 },
  );
  expect(Math.min(seen.good, seen.refused)).toBeGreaterThan(100);
});
