import { ChatError, limits } from '@switchboard/protocol';
import type { Authenticate, Authenticated } from '../auth.ts';
import { readClaims, usualClaims } from '../claims.ts';
import { within } from '../http/deadline.ts';
import type { Log } from '../log.ts';

/** Who a token of the host's speaks for. */
export interface HostAccount {
  /** 1 to 2147483647. */
  readonly userId: number;
  /** `user`, `admin` or both; other words mean nothing here. None: `user`. */
  readonly roles?: readonly string[] | string | undefined;
  readonly nickname?: string | null | undefined;
  readonly avatar?: string | null | undefined;
  /** When the token ends, as a Date or in milliseconds since 1970. Connections are closed then. None: never. */
  readonly expiresAt?: Date | number | null | undefined;
}

/**
 * The host's own check of tokens. It gives null for one that it does not accept. What it throws counts as an outage,
 * and callers are told to try again, unless it is an error that says 401 or 403 or comes from a JWT library.
 */
export type HostAuthenticate = (
  token: string,
) => HostAccount | null | undefined | Promise<HostAccount | null | undefined>;

const TOKEN_CHARACTERS = 8_192;
const ANSWER_WITHIN_MS = 10_000;
/** A moment of 1973 in milliseconds: whatever is less was meant in seconds. */
const LEAST_MS = 100_000_000_000;

/** The host's check as the rest of the server knows it. */
export function hostAuthenticate(check: HostAuthenticate, log: Log): Authenticate {
  return async (token) => {
    if (token.length > TOKEN_CHARACTERS) throw new ChatError('UNAUTHORIZED');
    let account: HostAccount | null | undefined;
    try {
      account = await within(ANSWER_WITHIN_MS, (async () => check(token))());
    } catch (cause) {
      if (isRefusal(cause)) throw new ChatError('UNAUTHORIZED');
      log.error({ err: cause }, "the host's authenticate failed; its callers are told to try again");
      throw new ChatError('UNAVAILABLE', { retryAfterMs: 2_000, cause });
    }
    if (account === null || account === undefined) throw new ChatError('UNAUTHORIZED');
    return authenticated(account);
  };
}

/** @throws TypeError when the host said something that cannot be: a fault of its code, not of the caller */
function authenticated({ userId, roles, nickname, avatar, expiresAt = null }: HostAccount): Authenticated {
  const ends = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt;
  if (ends !== null && !(Number.isFinite(ends) && ends >= LEAST_MS)) {
    throw new TypeError('authenticate gave an expiresAt that is neither a Date nor in milliseconds since 1970');
  }
  try {
    return {
      ...readClaims({ userId, roles, nickname, avatar }, { claims: usualClaims, adminWhen: [] }),
      expiresAt: ends,
    };
  } catch {
    throw new TypeError(
      `authenticate gave no account: userId must be an integer from 1 to ${limits.id}, roles words, nickname and avatar texts`,
    );
  }
}

/** JWT libraries throw for a bad token, and so do guards of web frameworks. */
function isRefusal(thrown: unknown): boolean {
  const { name, code, status, statusCode } = (thrown ?? {}) as Record<string, unknown>;
  if ([status, statusCode].some((s) => s === 401 || s === 403)) return true;
  if (typeof name === 'string' && /^(JsonWebToken|TokenExpired|NotBefore)Error$/.test(name)) return true;
  return (
    typeof code === 'string' && /^ERR_(JW[EST]_|JWKS_NO_MATCHING_KEY|JOSE_(ALG_NOT_ALLOWED|NOT_SUPPORTED))/.test(code)
  );
}
