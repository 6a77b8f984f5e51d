import { type ChatError, errorKinds, ID_PATTERN } from '@switchboard/protocol';
import type { FastifyRequest } from 'fastify';
import type { Chat } from '../domain/chat.ts';
import type { Clock } from '../domain/ports.ts';
import type { Log } from '../log.ts';
import { networkOf } from '../address.ts';
import { within } from './deadline.ts';

/** What an admin can ask for by REST, as the operation log names it. */
type AdminAction =
  | 'session.list'
  | 'session.read'
  | 'message.list'
  | 'message.send'
  | 'session.claim'
  | 'session.assign'
  | 'session.transfer'
  | 'session.close'
  | 'session.reopen'
  | 'stats.today'
  | 'operation.list';

declare module 'fastify' {
  interface FastifyContextConfig {
    action?: AdminAction;
  }
}

/** How long an answer waits for its row; the caller must get it even when the store hangs. */
const MOST_MS = 2_000;
const sessionIds = new RegExp(ID_PATTERN);

/** Writes refused admin requests to the operation log. (What succeeded is written with the change itself.) */
export class Refusals {
  readonly #chat: Pick<Chat, 'recordRefusal'>;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Who was already written down as too fast in this second. */
  readonly #tooFast = new Set<string>();
  #second = 0;

  constructor(chat: Pick<Chat, 'recordRefusal'>, clock: Clock, log: Log) {
    this.#chat = chat;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when the row is stored, or could not be: never rejects. */
  async record(request: FastifyRequest, error: ChatError): Promise<void> {
    // A fault of ours is no refusal; and when the store is away there is nowhere to write.
    if (errorKinds[error.code].status >= 500) return;
    const adminId = request.visitor?.account?.identity.id ?? null;
    const address = request.visitor?.address ?? '';
    if (error.code === 'RATE_LIMITED' && this.#repeats(adminId === null ? networkOf(address) : `account ${adminId}`)) {
      return;
    }
    const { sessionId } = (request.params ?? {}) as { sessionId?: string };
    const operation = {
      adminId,
      action: request.routeOptions.config.action ?? 'unknown',
      sessionId: sessionId !== undefined && sessionIds.test(sessionId) ? sessionId : null,
      outcome: error.code,
      address,
    };
    try {
      await within(MOST_MS, this.#chat.recordRefusal(operation));
    } catch (err) {
      this.#log.error({ err, operation, requestId: request.id }, 'refusal not written to the operation log');
    }
  }

  /** A flood of requests must not become a flood of writes: one row per caller and second is kept of it. */
  #repeats(caller: string): boolean {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#tooFast.clear();
    }
    if (this.#tooFast.has(caller)) return true;
    this.#tooFast.add(caller);
    return false;
  }
}
