import { ChatError, invalid } from '@switchboard/protocol';
import type { Caller } from './chat.ts';
import { Collector } from './collector.ts';
import { requireOwner } from './decide.ts';
import type { Bus, CaughtUp, Clock, LogPlace, Store } from './ports.ts';
import type { Receipt, ReceiptResult } from './receipts.ts';
import type { SessionState } from './session.ts';

export interface FollowingParts {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  /** How long questions are collected when thousands of clients come back at once. */
  readonly pause: () => Promise<void>;
}

/** Clocks of nodes and of the store may differ by so much before an inbox could miss something; it only costs repeats. */
const INBOX_MARGIN_MS = 60_000;
const TOGETHER = 500;

/**
 * What a client needs to stay in step with session logs: reading on from a place, the newest place of each log, and
 * saying how far messages have got. Questions of many connections are put to the store together.
 */
export class Following {
  readonly #parts: FollowingParts;
  readonly #logs: Collector<LogPlace, CaughtUp | null>;
  readonly #heads: Collector<string, number>;
  readonly #receipts: Collector<Receipt, ReceiptResult>;

  constructor(parts: FollowingParts) {
    this.#parts = parts;
    const { store, pause } = parts;
    this.#logs = new Collector(TOGETHER, (places) => store.logs(places), pause);
    this.#heads = new Collector(TOGETHER * 2, async (ids) => {
      const heads = await store.heads([...new Set(ids)]);
      return ids.map((id) => heads.get(id) ?? 0);
    });
    this.#receipts = new Collector(TOGETHER, (receipts) => store.storeReceipts(receipts));
  }

  /**
   * The session and the next stretch of its log.
   * @throws ChatError SESSION_NOT_FOUND, FORBIDDEN, UNAVAILABLE
   */
  async read(caller: Caller, place: LogPlace): Promise<CaughtUp> {
    const found = await this.#logs.ask(place);
    if (!found) throw new ChatError('SESSION_NOT_FOUND');
    if (caller.actor.type === 'user') requireOwner(found.session, caller.actor);
    return found;
  }

  /** The newest seq of each of these sessions; 0 for one that does not exist. */
  async heads(sessionIds: Iterable<string>): Promise<Map<string, number>> {
    const ids = [...sessionIds];
    const heads = await Promise.all(ids.map((id) => this.#heads.ask(id)));
    return new Map(ids.map((id, i) => [id, heads[i] as number]));
  }

  /** For an admin: the sessions that are open, or that something happened in since a moment (milliseconds UTC). */
  async inbox(caller: Caller, since: number | null): Promise<readonly SessionState[]> {
    if (caller.actor.type !== 'admin') throw new ChatError('FORBIDDEN');
    return this.#parts.store.inbox(since === null ? null : since - INBOX_MARGIN_MS);
  }

  /**
   * The caller says that everything up to a place has been delivered to or read by them. Going back is ignored.
   * @throws ChatError SESSION_NOT_FOUND, FORBIDDEN, or INVALID_PARAMETER for a place that does not exist yet
   */
  async acknowledge(
    caller: Caller,
    kind: 'delivered' | 'read',
    { sessionId, upToSeq }: { sessionId: string; upToSeq: number },
  ): Promise<void> {
    const { bus, clock } = this.#parts;
    const { type, id } = caller.actor;
    const readSeq = kind === 'read' ? upToSeq : 0;
    const result = await this.#receipts.ask({
      sessionId,
      readerType: type,
      readerId: id,
      deliveredSeq: upToSeq,
      readSeq,
    });
    if (result.fault !== null) throw receiptError(result.fault);
    if (!result.changed) return;
    bus.publish({
      sessionId,
      userId: result.userId,
      adminId: result.adminId,
      status: 'active',
      user: { id: result.userId, nickname: '', avatar: '' },
      events: [],
      origin: caller.connection,
      receipt: { ...result.changed, kind, at: clock.now() },
    });
  }
}

function receiptError(fault: 'unknown' | 'foreign' | 'beyond'): ChatError {
  switch (fault) {
    case 'unknown':
      return new ChatError('SESSION_NOT_FOUND');
    case 'foreign':
      return new ChatError('FORBIDDEN');
    case 'beyond':
      return invalid('data.upToSeq', "is beyond the session's newest event", '超出了会话的最新事件');
  }
}
