import type {
  ListSessionsQuery,
  Message,
  MessagesQuery,
  OperationLog,
  Pagination,
  SentMessageType,
  Session,
  SessionPagination,
} from '@switchboard/protocol';
import { ChatError, checkMessageTexts, checkText, conflict, invalid } from '@switchboard/protocol';
import type { Command, Operation, Outcome } from './command.ts';
import { requireOwner } from './decide.ts';
import { Collector } from './collector.ts';
import type {
  Appended,
  Bus,
  Clock,
  MessageRange,
  OpenSession,
  Presence,
  RepeatKey,
  SessionSummary,
  Store,
} from './ports.ts';
import { samePayload } from './same-payload.ts';
import type { Actor, ChatMessage, Identity } from './session.ts';
import { SYSTEM } from './session.ts';
import { type TodayStats, todayStats } from './statistics.ts';
import { cursorAt, iso, messageView, pagination, placeAt, sessionView } from './views.ts';

/** Who calls, and how they came in. */
export interface Caller {
  readonly actor: Actor;
  readonly identity: Identity;
  /** The connection's id; null for REST. What an admin changes by REST goes to the operation log. */
  readonly connection: string | null;
  /** Network address, for the operation log. */
  readonly address: string;
}

export interface SendInput {
  readonly sessionId: string | null;
  readonly content: string;
  readonly messageType: SentMessageType;
  readonly attachments: readonly unknown[];
  readonly clientMessageId: string | null;
}

export interface ChatParts {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly presence: Presence;
  readonly newId: (prefix: 'msg' | 'session') => string;
  /** IANA zone that "today" means. */
  readonly businessZone: string;
  /** Called after an admin got free or a session began to wait. */
  readonly capacityChanged: () => void;
}

/** Questions put to the store at once. */
const TOGETHER = 200;

/**
 * Everything that can be done with the chat, with every rule and every permission. WebSocket, REST and a program that
 * embeds Switchboard are thin callers of it. Methods throw ChatError; what else they throw is a fault of the server.
 */
export class Chat {
  readonly #parts: ChatParts;
  readonly #openSessions: Collector<number, OpenSession>;
  readonly #repeats: Collector<RepeatKey, ChatMessage | null>;

  constructor(parts: ChatParts) {
    this.#parts = parts;
    const { store } = parts;
    this.#openSessions = new Collector(TOGETHER, (userIds) => store.openSessions(userIds));
    this.#repeats = new Collector(TOGETHER, (keys) => store.repeatedMessages(keys));
  }

  /**
   * Sends a message. `settle` is called once: after the message is durable, or with the error.
   * @returns a promise only when the session had to be looked up first: until it resolves, no later message of the same
   * sender may be passed in, or it could overtake this one. It never rejects.
   */
  send(caller: Caller, input: SendInput, settle: (appended: Appended) => void): Promise<void> | undefined {
    if (input.sessionId !== null) {
      this.#append(caller, input, input.sessionId, settle);
      return undefined;
    }
    if (caller.actor.type === 'admin') {
      settle({ error: invalid('sessionId', 'is required on an admin connection', '管理员发送消息时不能缺少') });
      return undefined;
    }
    return this.#sessionFor(caller.actor.id, input).then(
      (sessionId) => this.#append(caller, input, sessionId, settle),
      (error: unknown) => settle({ error }),
    );
  }

  /** `send` for callers who wait: resolves once the message is durable. */
  sendAndWait(caller: Caller, input: SendInput): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const settle = (appended: Appended): void => {
        if (appended.outcome) resolve(appended.outcome);
        else reject(appended.error as Error);
      };
      void this.send(caller, input, settle);
    });
  }

  async claim(caller: Caller, sessionId: string): Promise<Session> {
    return this.#change(caller, 'session.claim', { ...this.#base(sessionId), kind: 'claim', by: admin(caller) });
  }

  async assign(caller: Caller, sessionId: string, adminId: number): Promise<Session> {
    const command = { ...this.#base(sessionId), kind: 'assign', by: admin(caller), adminId } as const;
    return this.#change(caller, 'session.assign', command);
  }

  async transfer(caller: Caller, sessionId: string, adminId: number): Promise<Session> {
    const command = { ...this.#base(sessionId), kind: 'transfer', by: admin(caller), adminId } as const;
    return this.#change(caller, 'session.transfer', command);
  }

  /** By an admin, or by the session's user. */
  async close(caller: Caller, sessionId: string): Promise<Session> {
    return this.#change(caller, 'session.close', { ...this.#base(sessionId), kind: 'close', by: caller.actor });
  }

  async reopen(caller: Caller, sessionId: string): Promise<Session> {
    return this.#change(caller, 'session.reopen', { ...this.#base(sessionId), kind: 'reopen', by: admin(caller) });
  }

  async rate(caller: Caller, sessionId: string, score: number, comment: string): Promise<Session> {
    checkText(comment, 'comment');
    const command = { ...this.#base(sessionId), kind: 'rate', by: caller.actor, score, comment } as const;
    return this.#change(caller, 'session.rate', command);
  }

  /** Puts an admin's active sessions back to waiting: their grace is over. */
  async releaseAll(adminId: number): Promise<void> {
    for (const sessionId of await this.#parts.store.activeSessionsOf(adminId)) {
      await this.#run({ ...this.#base(sessionId), kind: 'release', by: SYSTEM, adminId }, null);
    }
  }

  /** Gives a waiting session to whoever is free. False when it still waits because nobody is. */
  async autoAssign(sessionId: string): Promise<boolean> {
    const outcome = await this.#run({ ...this.#base(sessionId), kind: 'auto_assign', by: SYSTEM }, null);
    return outcome.session.status !== 'waiting';
  }

  async sessions(
    caller: Caller,
    query: ListSessionsQuery,
  ): Promise<{ sessions: Session[]; totalCount: number; pagination: SessionPagination }> {
    admin(caller);
    const { page = 1, pageSize = 10, cursor } = query;
    if (cursor !== undefined && query.page !== undefined) {
      throw invalid('cursor', 'cannot be combined with page', '不能与 page 同时使用');
    }
    const status = query.status === 'pending' ? 'waiting' : (query.status ?? 'all');
    const { items, total } =
      cursor === undefined
        ? await this.#parts.store.sessions({ status, page, pageSize })
        : // One more than asked tells whether more follow.
          await this.#parts.store.sessions({ status, after: placeAt(cursor), pageSize: pageSize + 1 });
    const shown = items.slice(0, pageSize);
    const paging = pagination(page, pageSize, total);
    if (cursor !== undefined) paging.hasMore = items.length > pageSize;
    const last = shown.at(-1);
    const nextCursor = paging.hasMore && last ? cursorAt(last.session) : null;
    return { sessions: await this.#views(shown), totalCount: total, pagination: { ...paging, nextCursor } };
  }

  /** A session, for an admin or for its own user. */
  async session(caller: Caller, sessionId: string): Promise<Session> {
    const [view] = await this.#views([await this.#readable(caller, sessionId)]);
    return view as Session;
  }

  /** The user's newest session that is not closed. */
  async currentSession(caller: Caller): Promise<Session | null> {
    const summary = await this.#parts.store.openSessionOf(caller.actor.id);
    return summary ? ((await this.#views([summary]))[0] ?? null) : null;
  }

  /** A session's messages, oldest first, for an admin or for its own user. Page 1 is the newest page. */
  async messages(
    caller: Caller,
    sessionId: string,
    query: MessagesQuery,
  ): Promise<{ messages: Message[]; totalCount: number; pagination: Pagination }> {
    const { page = 1, pageSize = 20, beforeSeq, afterSeq } = query;
    if (beforeSeq !== undefined && afterSeq !== undefined) {
      throw invalid('afterSeq', 'cannot be combined with beforeSeq', '不能与 beforeSeq 同时使用');
    }
    const { session } = await this.#readable(caller, sessionId);
    const total = session.messageCount;
    let range: MessageRange = { page, pageSize };
    // One more than asked tells whether more follow, without counting.
    if (beforeSeq !== undefined) range = { beforeSeq, pageSize: pageSize + 1 };
    if (afterSeq !== undefined) range = { afterSeq, pageSize: pageSize + 1 };
    const found = await this.#parts.store.messages(session, range);
    const more = found.length > pageSize;
    const shown = !more ? found : beforeSeq === undefined ? found.slice(0, pageSize) : found.slice(1);
    const paging = pagination(page, pageSize, total);
    if (beforeSeq !== undefined || afterSeq !== undefined) paging.hasMore = more;
    return { messages: shown.map(messageView), totalCount: total, pagination: paging };
  }

  async todayStats(caller: Caller): Promise<TodayStats> {
    admin(caller);
    const { store, clock, businessZone } = this.#parts;
    return todayStats(store, clock.now(), businessZone);
  }

  async operations(
    caller: Caller,
    page: number,
    pageSize: number,
  ): Promise<{ logs: OperationLog[]; totalCount: number; pagination: Pagination }> {
    admin(caller);
    const { items, total } = await this.#parts.store.operations(page, pageSize);
    const logs = items.map(({ at, ...operation }) => ({ ...operation, createdAt: iso(at) }));
    return { logs, totalCount: total, pagination: pagination(page, pageSize, total) };
  }

  /** Writes a refused admin request to the operation log. */
  async recordRefusal(operation: Omit<Operation, 'at'>): Promise<void> {
    await this.#parts.store.recordOperations([{ ...operation, at: this.#parts.clock.now() }]);
  }

  #append(caller: Caller, input: SendInput, sessionId: string, settle: (appended: Appended) => void): void {
    const { store, clock, newId } = this.#parts;
    let command: Command;
    try {
      checkMessageTexts(input, caller.connection === null ? '' : 'data');
      command = {
        kind: 'message',
        sessionId,
        at: clock.now(),
        by: caller.actor,
        identity: caller.identity,
        operation: this.#operation(caller, 'message.send', sessionId),
        messageId: newId('msg'),
        content: input.content,
        messageType: input.messageType,
        attachments: input.attachments,
        clientMessageId: input.clientMessageId,
      };
    } catch (error) {
      settle({ error });
      return;
    }
    store.append(command, (appended) => {
      // The sender is told first, then the others: an ack must not wait for anybody's socket.
      settle(appended);
      if (appended.outcome) this.#publish(appended.outcome, caller.connection);
    });
  }

  /**
   * Where a message goes that names no session: where it is stored already, if this is a repeat; else to the user's open
   * session, or to a new one. (Another message under the same id belongs to another session: ids are a session's own.)
   * The order of the questions matters: whatever was committed before an answer is in the next
   * one, so that a message of which the first copy is still on its way finds either that copy or its session.
   */
  async #sessionFor(userId: number, input: SendInput): Promise<string> {
    const { clientMessageId } = input;
    const { store, newId } = this.#parts;
    const open = await this.#openSessions.ask(userId);
    const sessionId = open.sessionId ?? (await store.reserveSession(userId, newId('session')));
    const known = open.sessionId !== null && !open.others;
    if (clientMessageId === null || known) return sessionId;
    const first = await this.#repeats.ask({ userId, clientMessageId });
    return first && samePayload(first, input) ? first.sessionId : sessionId;
  }

  async #change(caller: Caller, action: string, command: Command): Promise<Session> {
    const operation = this.#operation(caller, action, command.sessionId);
    const outcome = await this.#run({ ...command, identity: caller.identity, operation }, caller.connection);
    return this.session(caller, outcome.session.sessionId);
  }

  #run(command: Command, origin: string | null): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#parts.store.append(command, (appended) => {
        if (!appended.outcome) {
          reject(appended.error as Error);
          return;
        }
        this.#publish(appended.outcome, origin);
        resolve(appended.outcome);
      });
    });
  }

  #publish({ session, events }: Outcome, origin: string | null): void {
    if (events.length === 0) return;
    this.#parts.bus.publish({
      sessionId: session.sessionId,
      userId: session.userId,
      adminId: session.adminId,
      status: session.status,
      user: { id: session.userId, nickname: session.nickname, avatar: session.avatar },
      events,
      origin,
    });
    // A status that changed may have freed an admin, or begun a wait: both are reasons to look at the queue.
    if (events.some((e) => e.kind === 'status')) this.#parts.capacityChanged();
  }

  #base(sessionId: string): { sessionId: string; at: number; identity: null; operation: null } {
    return { sessionId, at: this.#parts.clock.now(), identity: null, operation: null };
  }

  #operation(caller: Caller, action: string, sessionId: string): Operation | null {
    if (caller.actor.type !== 'admin' || caller.connection !== null) return null;
    const { address, actor } = caller;
    return { adminId: actor.id, action, sessionId, outcome: 'ok', address, at: this.#parts.clock.now() };
  }

  async #readable(caller: Caller, sessionId: string): Promise<SessionSummary> {
    const summary = await this.#parts.store.session(sessionId);
    if (!summary) throw new ChatError('SESSION_NOT_FOUND');
    if (caller.actor.type === 'user') requireOwner(summary.session, caller.actor);
    return summary;
  }

  async #views(summaries: readonly SessionSummary[]): Promise<Session[]> {
    const { presence, bus } = this.#parts;
    const here = (id: number): boolean => presence.isOnline({ type: 'user', id });
    const away = [...new Set(summaries.map((s) => s.session.userId))].filter((id) => !here(id));
    const elsewhere = bus.shared && away.length > 0 ? await bus.onlineElsewhere(away) : null;
    return summaries.map((s) => {
      const { userId } = s.session;
      return sessionView(s, here(userId) || (elsewhere?.has(userId) ?? false));
    });
  }
}

/** @throws ChatError FORBIDDEN unless the caller acts as an admin */
function admin(caller: Caller): Actor {
  if (caller.actor.type !== 'admin') throw new ChatError('FORBIDDEN');
  return caller.actor;
}

/** The error for the same `clientMessageId` with another payload. */
export function idempotencyConflict(): ChatError {
  return conflict('clientMessageId', 'was used before for another message', '此前已用于另一条内容不同的消息');
}
