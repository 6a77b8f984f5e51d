import { ChatError, limits } from '@switchboard/protocol';
import {
  createRemoteJWKSet, errors, importSPKI, importX509, type JWTPayload, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions, SignJWT,
} from 'jose';
import { createPublicKey } from 'node:crypto';
import type { Clock } from './domain/ports.ts';
import type { Identity } from './domain/session.ts';

/** How tokens are checked, and what their claims are called. */
export interface JwtSettings {
  readonly key:
    | { readonly kind: 'secret'; readonly secret: string }
    | { readonly kind: 'public'; readonly pem: string }
    | { readonly kind: 'jwks'; readonly url: string };
  readonly claims: ClaimNames;
  /** A token that any of these fits is an admin's, whatever its roles say. */
  readonly adminWhen: readonly AdminRule[];
  readonly leewaySeconds: number;
  readonly issuer: string | null;
  readonly audience: string | null;
}

/** Names of claims; dots go into nested ones. */
export interface ClaimNames {
  readonly userId: string;
  readonly roles: string;
  readonly nickname: string;
  readonly avatar: string;
}

export interface AdminRule {
  readonly claim: string;
  readonly how: 'equals' | 'contains';
  readonly value: string;
}

/** Who a valid token speaks for. */
export interface Authenticated {
  readonly identity: Identity;
  readonly roles: ReadonlySet<'user' | 'admin'>;
  /** When the token ends; milliseconds UTC, null for never. */
  readonly expiresAt: number | null;
}

/** @throws ChatError UNAUTHORIZED; UNAVAILABLE when the keys cannot be fetched */
export type Authenticate = (token: string) => Promise<Authenticated>;

const TOKEN_CHARACTERS = 8_192;
const JWKS_TIMEOUT_MS = 5_000;

/**
 * Makes the check of tokens. Algorithms are pinned by the kind of key: a public key never serves as an HMAC secret
 * (RFC 8725, 2.1), and `none` is no algorithm.
 * @throws when a PEM key cannot be read
 */
export async function createAuthenticate(settings: JwtSettings, clock: Clock): Promise<Authenticate> {
  const { key, algorithms } = await verificationKey(settings.key);
  const fixed: JWTVerifyOptions = {
    algorithms,
    clockTolerance: settings.leewaySeconds,
    ...(settings.issuer === null ? {} : { issuer: settings.issuer }),
    ...(settings.audience === null ? {} : { audience: settings.audience }),
  };
  return async (token) => {
    if (token.length > TOKEN_CHARACTERS) throw new ChatError('UNAUTHORIZED');
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, key as JWTVerifyGetKey, { ...fixed, currentDate: new Date(clock.now()) }));
    } catch (error) {
      throw new ChatError(isOutage(error) ? 'UNAVAILABLE' : 'UNAUTHORIZED', isOutage(error) ? { retryAfterMs: 2_000, cause: error } : {});
    }
    return account(payload, settings);
  };
}

async function verificationKey(key: JwtSettings['key']): Promise<{ key: unknown; algorithms: string[] }> {
  switch (key.kind) {
    case 'secret':
      return { key: new TextEncoder().encode(key.secret), algorithms: ['HS256'] };
    case 'public': {
      const algorithms = algorithmsOf(key.pem);
      const read = key.pem.includes('BEGIN CERTIFICATE') ? importX509 : importSPKI;
      // One RSA key serves several algorithms, but an imported key only one: it is imported for each.
      const keys = new Map(await Promise.all(algorithms.map(async (name) => [name, await read(key.pem, name)] as const)));
      const choose: JWTVerifyGetKey = (header) => {
        const found = keys.get(header.alg);
        if (!found) throw new errors.JOSEAlgNotAllowed('algorithm not allowed');
        return found;
      };
      return { key: choose, algorithms };
    }
    case 'jwks':
      return {
        key: createRemoteJWKSet(new URL(key.url), { timeoutDuration: JWKS_TIMEOUT_MS, cooldownDuration: 5_000 }),
        algorithms: [...RSA, 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
      };
  }
}

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** The algorithms that fit a key's own type. */
function algorithmsOf(pem: string): string[] {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey(pem);
  if (asymmetricKeyType === 'rsa') return RSA;
  const curve = CURVES[asymmetricKeyDetails?.namedCurve ?? ''];
  if (asymmetricKeyType === 'ec' && curve) return [curve];
  if (asymmetricKeyType === 'ed25519') return ['EdDSA'];
  throw new Error(`JWT_PUBLIC_KEY is of a type that cannot check tokens: ${asymmetricKeyType}`);
}

/** Not the token's fault: the keys could not be had. */
function isOutage(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout) return true;
  // jose says nothing more specific of an answer that is no 200 or no JSON; a network failure is a TypeError of fetch.
  return error instanceof TypeError || (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC');
}

function account(payload: JWTPayload, { claims, adminWhen }: JwtSettings): Authenticated {
  return {
    identity: {
      id: accountId(claim(payload, claims.userId), payload.sub),
      nickname: shownText(claim(payload, claims.nickname), limits.nicknameCharacters),
      avatar: shownText(claim(payload, claims.avatar), limits.avatarCharacters),
    },
    roles: roles(payload, claims.roles, adminWhen),
    expiresAt: payload.exp === undefined ? null : payload.exp * 1000,
  };
}

/** A claim by its own name, or by dots into nested ones. Only own properties: a token cannot reach a prototype. */
function claim(payload: object, name: string): unknown {
  if (Object.hasOwn(payload, name)) return (payload as Record<string, unknown>)[name];
  let here: unknown = payload;
  for (const step of name.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string, unknown>)[step];
  }
  return here;
}

/** The claim if there is one, else a numeric `sub`. */
function accountId(value: unknown, sub: string | undefined): number {
  const given = value ?? sub;
  const number = typeof given === 'string' && /^[1-9]\d{0,9}$/.test(given) ? Number(given) : given;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > limits.id) {
    throw new ChatError('UNAUTHORIZED');
  }
  return number;
}

/** `roles` (an array) or `role` (one word); none means user. Words of the host's own that mean nothing here are passed over. */
function roles(payload: JWTPayload, name: string, adminWhen: readonly AdminRule[]): ReadonlySet<'user' | 'admin'> {
  const given = claim(payload, name) ?? payload['role'] ?? [];
  const words: unknown[] = Array.isArray(given) ? given : [given];
  if (!words.every((word) => typeof word === 'string')) throw new ChatError('UNAUTHORIZED');
  const found = new Set(words.filter((word): word is 'user' | 'admin' => word === 'user' || word === 'admin'));
  if (adminWhen.some((rule) => fits(claim(payload, rule.claim), rule))) found.add('admin');
  if (found.size === 0) found.add('user');
  return found;
}

function fits(value: unknown, rule: AdminRule): boolean {
  if (rule.how === 'equals') return ['string', 'number', 'boolean'].includes(typeof value) && String(value) === rule.value;
  const words: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(/\s+/) : [];
  return words.includes(rule.value);
}

/** A text to show: of the wrong type it is refused, too long it is cut, and halves of characters are dropped. */
function shownText(value: unknown, most: number): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new ChatError('UNAUTHORIZED');
  const clean = value.toWellFormed().replaceAll('\uFFFD', '').replaceAll('\0', '');
  return [...clean].slice(0, most).join('');
}

/**
 * The token of a request, from whichever place it came in: the header first, then the query, then the subprotocol.
 * @throws ChatError UNAUTHORIZED when a place holds something else than one token
 */
export function findToken(from: {
  authorization: string | undefined;
  query: URLSearchParams;
  protocols: string | undefined;
}): string | null {
  if (from.authorization !== undefined) {
    const token = /^Bearer +([^\s]+)$/i.exec(from.authorization)?.[1];
    if (token === undefined) throw new ChatError('UNAUTHORIZED');
    return token;
  }
  const inQuery = from.query.getAll('token');
  if (inQuery.length > 1) throw new ChatError('UNAUTHORIZED');
  if (inQuery[0] !== undefined && inQuery[0] !== '') return inQuery[0];
  const [scheme, token] = (from.protocols ?? '').split(',').map((part) => part.trim());
  return scheme === 'bearer' && token ? token : null;
}

/** What a token that we make ourselves says. */
export interface TokenClaims {
  readonly userId: number;
  readonly roles: readonly ('user' | 'admin')[];
  readonly nickname?: string;
  readonly avatar?: string;
  readonly expiresInSeconds?: number;
}

/** Makes a token for trying things out: HS256, so only where the secret is known. */
export function mintToken(settings: JwtSettings, claims: TokenClaims, clock: Clock): Promise<string> {
  if (settings.key.kind !== 'secret') throw new Error('tokens can only be made with JWT_SECRET');
  const { userId, roles: granted, nickname, avatar, expiresInSeconds } = claims;
  const names = settings.claims;
  const now = Math.floor(clock.now() / 1000);
  const payload = {
    ...nested(names.userId, userId),
    ...nested(names.roles, granted),
    ...(nickname === undefined ? {} : nested(names.nickname, nickname)),
    ...(avatar === undefined ? {} : nested(names.avatar, avatar)),
  };
  const token = new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuedAt(now);
  if (settings.issuer !== null) token.setIssuer(settings.issuer);
  if (settings.audience !== null) token.setAudience(settings.audience);
  if (expiresInSeconds !== undefined) token.setExpirationTime(now + expiresInSeconds);
  return token.sign(new TextEncoder().encode(settings.key.secret));
}

function nested(name: string, value: unknown): Record<string, unknown> {
  const [first = name, ...rest] = name.split('.');
  return { [first]: rest.length === 0 ? value : nested(rest.join('.'), value) };
}
