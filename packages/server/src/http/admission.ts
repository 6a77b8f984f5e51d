import { ChatError, invalid } from '@switchboard/protocol';
import type { FastifyRequest } from 'fastify';
import { type AddressOf, networkOf } from '../address.ts';
import { type Authenticate, type Authenticated, findToken } from '../auth.ts';
import type { Caller } from '../domain/chat.ts';
import type { CallerLimits } from './caller-limits.ts';

/** Whom a route is for. `open` asks for no token. */
type Side = 'admin' | 'user' | 'open';

/** Who sent a request, found once, before anything else about it is looked at. */
interface Visitor {
  /** Network address. */
  readonly address: string;
  /** Null when no valid token was shown, or none was asked for. */
  readonly account: Authenticated | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until `Admission.admit` has looked. */
    visitor: Visitor | null;
  }
}

/** The checks that every request passes before its content matters, in this order: rate, token, role, address. */
export class Admission {
  readonly #authenticate: Authenticate;
  readonly #limits: CallerLimits | null;
  readonly #addressOf: AddressOf;

  /** @param limits null: no limit */
  constructor(authenticate: Authenticate, limits: CallerLimits | null, addressOf: AddressOf) {
    this.#authenticate = authenticate;
    this.#addressOf = addressOf;
    this.#limits = limits;
  }

  /** @throws ChatError RATE_LIMITED, UNAUTHORIZED, UNAVAILABLE, FORBIDDEN, INVALID_PARAMETER or NOT_FOUND */
  async admit(request: FastifyRequest, side: Side): Promise<void> {
    const address = this.#addressOf(request.raw);
    const identified = side === 'open' ? null : this.#identify(request);
    // The rate comes first, but whose rate it is only the token tells: what is wrong with the token waits.
    const account = identified && (await identified.catch(() => null));
    request.visitor = { address, account };
    const waitMs = this.#limits?.take(account ? `account ${account.identity.id}` : networkOf(address)) ?? 0;
    if (waitMs > 0) throw new ChatError('RATE_LIMITED', { retryAfterMs: waitMs });
    await identified;
    if (side === 'admin' && !account?.roles.has('admin')) throw new ChatError('FORBIDDEN');
    if (request.url !== request.originalUrl) {
      throw invalid('path', 'has a malformed escape', '含有格式错误的转义');
    }
    if (request.is404) throw new ChatError('NOT_FOUND');
  }

  async #identify(request: FastifyRequest): Promise<Authenticated> {
    const { url } = request;
    const token = findToken({
      authorization: request.headers.authorization,
      query: new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''),
      protocols: undefined,
    });
    if (token === null) throw new ChatError('UNAUTHORIZED');
    return this.#authenticate(token);
  }
}

/** The admitted sender of a request, acting on one side; any account may act as a user. */
export function callerOf(request: FastifyRequest, type: 'admin' | 'user'): Caller {
  const { visitor } = request;
  if (!visitor?.account) throw new ChatError('UNAUTHORIZED');
  const { identity } = visitor.account;
  return { actor: { type, id: identity.id }, identity, connection: null, address: visitor.address };
}
