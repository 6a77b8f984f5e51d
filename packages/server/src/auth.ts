import type { KeyObject } from 'node:crypto';
import { ChatError } from '@switchboard/protocol';
import { type CryptoKey, type JWTPayload, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions, SignJWT } from 'jose';
import { hmacCheck } from './auth-hmac.ts';
import { KeysAwayError, publicKeyAlgorithms, remoteKeys } from './auth-keys.ts';
import { type Account, type ClaimRules, readClaims } from './claims.ts';
import type { Clock } from './domain/ports.ts';

/** How tokens are checked, and how their claims are read. */
export interface JwtSettings extends ClaimRules {
  readonly key:
    | { readonly kind: 'secret'; readonly secret: string }
    | { readonly kind: 'public'; readonly key: KeyObject; readonly algorithms: readonly string[] }
    | { readonly kind: 'jwks'; readonly url: string };
  readonly leewaySeconds: number;
  readonly issuer: string | null;
  readonly audience: string | null;
}

export interface Authenticated extends Account {
  /** When the token ends, leeway included; milliseconds UTC, null for never. */
  readonly expiresAt: number | null;
}

/** @throws ChatError UNAUTHORIZED; UNAVAILABLE when the keys cannot be fetched */
export type Authenticate = (token: string) => Promise<Authenticated>;

const TOKEN_CHARACTERS = 8_192;
/** The latest moment that a Date can hold: who ends later never ends. */
const LAST_MS = 8.64e15;

/**
 * Makes the check of tokens. Algorithms are pinned by the kind of key: a public key never serves as an HMAC secret
 * (RFC 8725, 2.1), and `none` is no algorithm.
 */
export async function createAuthenticate(settings: JwtSettings, clock: Clock): Promise<Authenticate> {
  const { leewaySeconds, issuer, audience } = settings;
  const { key, algorithms } = await verificationKey(settings.key, clock);
  const fixed: JWTVerifyOptions = {
    algorithms: [...algorithms],
    clockTolerance: leewaySeconds,
    ...(issuer === null ? {} : { issuer }),
    ...(audience === null ? {} : { audience }),
  };
  const checkHmac = settings.key.kind === 'secret' ? hmacCheck(settings.key.secret) : null;
  const verify = async (token: string): Promise<JWTPayload> => {
    try {
      if (!isCompact(token)) throw new TypeError('not three parts of base64url');
      const options = { ...fixed, currentDate: new Date(clock.now()) };
      const [header, claims] = token.split('.', 2) as [string, string];
      let payload = checkHmac?.(token, options) ?? null;
      if (!payload) {
        // jose takes a key and a way to choose one, but has no single type for both.
        const verified = await jwtVerify(token, key as JWTVerifyGetKey, options);
        if (repeatsName(header, verified.protectedHeader)) throw new TypeError('a name twice');
        payload = verified.payload;
      }
      if (repeatsName(claims, payload)) throw new TypeError('a name twice');
      return payload;
    } catch (error) {
      if (error instanceof KeysAwayError) throw new ChatError('UNAVAILABLE', { retryAfterMs: 2_000, cause: error });
      throw new ChatError('UNAUTHORIZED');
    }
  };
  return async (token) => {
    const payload = await verify(token);
    const endsAt = payload.exp === undefined ? Infinity : (payload.exp + leewaySeconds) * 1000;
    return { ...readClaims(payload, settings), expiresAt: endsAt > LAST_MS ? null : endsAt };
  };
}

async function verificationKey(
  key: JwtSettings['key'],
  clock: Clock,
): Promise<{ key: CryptoKey | KeyObject | JWTVerifyGetKey; algorithms: readonly string[] }> {
  switch (key.kind) {
    case 'secret': {
      const bytes = new TextEncoder().encode(key.secret);
      // Imported once: jose would do so for every token.
      const hmac = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
      return { key: hmac, algorithms: ['HS256'] };
    }
    case 'public':
      return key;
    case 'jwks':
      return { key: remoteKeys(key.url, clock), algorithms: publicKeyAlgorithms };
  }
}

/** Three parts of base64url, the signature written in the only way it can be: decoders forgive more than that. */
function isCompact(token: string): boolean {
  if (token.length > TOKEN_CHARACTERS) return false;
  const signature = /^[\w-]+\.[\w-]+\.([\w-]+)$/.exec(token)?.[1];
  return signature !== undefined && Buffer.from(signature, 'base64url').toString('base64url') === signature;
}

/**
 * True when an object in a part of a token has a name twice: two readers of it may see two things (RFC 7519, 4).
 * @param read what we saw in it
 */
function repeatsName(part: string, read: object): boolean {
  const json = Buffer.from(part, 'base64url').toString();
  // Most are written as we would write them, and a name that stood twice would not be written twice.
  if (JSON.stringify(read) === json) return false;
  const written = [...json.matchAll(/"(?:[^"\\]|\\.)*"\s*(:?)/g)].filter(([, colon]) => colon === ':').length;
  return written !== countNames(JSON.parse(json));
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, inner) => sum + countNames(inner), own);
}

/**
 * The token of a request, from whichever place it came in: the header first, then the query, then the subprotocols.
 * An `Authorization` of another scheme is somebody else's, such as a proxy's.
 * @throws ChatError UNAUTHORIZED when a place holds something else than one token
 */
export function findToken(from: {
  authorization: string | undefined;
  query: URLSearchParams;
  protocols: string | undefined;
}): string | null {
  const { authorization = '', query, protocols = '' } = from;
  if (/^bearer(\s|$)/i.test(authorization)) {
    const token = /^bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw new ChatError('UNAUTHORIZED');
    return token;
  }
  const inQuery = query.getAll('token');
  if (inQuery.length > 1) throw new ChatError('UNAUTHORIZED');
  if (inQuery[0]) return inQuery[0];
  const offered = protocols.split(',').map((name) => name.trim());
  return (offered.includes('bearer') && offered[offered.indexOf('bearer') + 1]) || null;
}

/** What a token that we make ourselves says. */
export interface TokenClaims {
  readonly userId: number;
  readonly roles: readonly ('user' | 'admin')[];
  readonly nickname: string;
  readonly expiresInSeconds: number;
}

/** Makes a token for trying things out: HS256, so only where the secret is known. */
export function mintToken(settings: JwtSettings, claims: TokenClaims, clock: Clock): Promise<string> {
  if (settings.key.kind !== 'secret') throw new Error('tokens can only be made with JWT_SECRET');
  const names = settings.claims;
  const now = Math.floor(clock.now() / 1000);
  const payload = { [names.userId]: claims.userId, [names.roles]: claims.roles, [names.nickname]: claims.nickname };
  const token = new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuedAt(now);
  if (settings.issuer !== null) token.setIssuer(settings.issuer);
  if (settings.audience !== null) token.setAudience(settings.audience);
  token.setExpirationTime(now + claims.expiresInSeconds);
  return token.sign(new TextEncoder().encode(settings.key.secret));
}
