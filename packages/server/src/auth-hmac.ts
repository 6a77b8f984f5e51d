import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { type JWTClaimVerificationOptions, type JWTPayload, UnsecuredJWT } from 'jose';

/** A header that says `none`: with it jose reads claims whose signature we have checked ourselves. */
const NO_SIGNATURE = Buffer.from('{"alg":"none"}').toString('base64url');
/** What a header may say without there being more to look at: the last two change nothing of how a token is checked. */
const PLAIN = new Set(['alg', 'typ', 'kid']);

/**
 * Checks a token of three parts of base64url. @returns null when its header asks for more than an HS256 signature: then
 * jose decides, as it does of every other kind of token.
 * @throws when the signature or the claims are not good
 */
export type CheckHmac = (token: string, options: JWTClaimVerificationOptions) => JWTPayload | null;

/**
 * The short way for tokens under a secret. jose checks signatures by WebCrypto, in another thread: that takes several
 * times as long, and when everybody comes back at once it is much of what a connection costs. The claims are jose's.
 */
export function hmacCheck(secret: string): CheckHmac {
  const key = createSecretKey(secret, 'utf8');
  /** The header of a token that was good: nearly all have the same. */
  let known = '';
  return (token, options) => {
    const [header, claims, signature] = token.split('.') as [string, string, string];
    if (header !== known && !isPlain(header)) return null;
    const expected = createHmac('sha256', key).update(`${header}.${claims}`).digest('base64url');
    if (!same(signature, expected)) throw new Error('another signature');
    known = header;
    return UnsecuredJWT.decode(`${NO_SIGNATURE}.${claims}.`, options).payload;
  };
}

/** Whether a header is written in the only way it can be, and says HS256 and nothing that matters besides. */
function isPlain(header: string): boolean {
  const json = Buffer.from(header, 'base64url').toString();
  if (Buffer.from(json).toString('base64url') !== header) return false;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return false;
  }
  // Written out again it is the same: so no name stands in it twice.
  if (typeof value !== 'object' || value === null || JSON.stringify(value) !== json) return false;
  return 'alg' in value && value.alg === 'HS256' && Object.keys(value).every((name) => PLAIN.has(name));
}

/** Compared as texts, so that a signature which only decodes to the right bytes is another one. */
function same(given: string, expected: string): boolean {
  const a = Buffer.from(given, 'latin1');
  const b = Buffer.from(expected, 'latin1');
  return a.length === b.length && timingSafeEqual(a, b);
}
