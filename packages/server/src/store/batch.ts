import { ChatError } from '@switchboard/protocol';
import { type Candidate, pickAdmin } from '../domain/assignment.ts';
import { idempotencyConflict } from '../domain/chat.ts';
import type { Command, MessageCommand, Operation, Outcome } from '../domain/command.ts';
import { assignTo, decide, type Decision, seeksAdmin } from '../domain/decide.ts';
import { Tally } from '../domain/figures.ts';
import type { Appended } from '../domain/ports.ts';
import { samePayload } from '../domain/same-payload.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { type Dialect, marks, type Transaction, type Value } from './dialect.ts';
import { addFigures } from './figures.ts';
import type { KnownSessions } from './known-sessions.ts';
import { lockCandidates, noteWorkChanged } from './roster.ts';
import {
  changingSessionColumns,
  chatMessage,
  eventColumns,
  eventRow,
  grownSessionColumns,
  grownSessionRow,
  growIfSame,
  growingSessionColumns,
  growthFrom,
  isPlain,
  messageColumns,
  messageRow,
  onlyGrew,
  operationColumns,
  operationRow,
  plainMessageColumns,
  plainMessageRow,
  sessionColumns,
  sessionRow,
  sessionState,
} from './rows.ts';

export interface BatchParts {
  readonly dialect: Dialect;
  /** Active sessions that automatic assignment gives one admin at most. */
  readonly capacity: number;
  /** Any number: nodes that have different ones count in rows of their own, and do not wait for each other there. */
  readonly shard?: number;
}

/**
 * One transaction for all commands: lock, decide, write.
 * @param known null: look before writing
 */
export function attemptBatch(
  parts: BatchParts,
  commands: readonly Command[],
  known: KnownSessions | null,
): Promise<BatchOutcome> {
  return parts.dialect.transaction(async (tx) => {
    const guess = new Batch(parts, tx);
    if (known && guess.guess(commands, known)) return guess.outcome();
    const batch = new Batch(parts, tx);
    await batch.lock(commands);
    if (!known) await batch.readRepeats(commands);
    for (const command of commands) batch.rule(command);
    await batch.assignWaiting();
    batch.write();
    return batch.outcome();
  });
}

interface BatchOutcome {
  readonly results: Appended[];
  /** The sessions as the batch found them, or guessed them to be, where there were any. */
  readonly found: ReadonlyMap<string, SessionState>;
  /** The sessions as they are now. */
  readonly stored: ReadonlyMap<string, SessionState | null>;
}

/** What one transaction knows and is about to write. */
class Batch {
  readonly #parts: BatchParts;
  readonly #tx: Transaction;
  /** The sessions as they are after the commands so far; null where no session has the id. */
  readonly #sessions = new Map<string, SessionState | null>();
  /** The sessions as they were stored before. */
  readonly #found = new Map<string, SessionState>();
  readonly #touched = new Set<string>();
  readonly #repeats = new Map<string, ChatMessage>();
  readonly #rulings: ({ decision: Decision; duplicate: boolean } | { error: unknown })[] = [];
  readonly #seeking: { ruling: number; command: Command }[] = [];
  readonly #operations: Operation[] = [];

  constructor(parts: BatchParts, tx: Transaction) {
    this.#parts = parts;
    this.#tx = tx;
  }

  /** Locks the sessions' rows, in one order for everybody. */
  async lock(commands: readonly Command[]): Promise<void> {
    for (const { sessionId } of commands) this.#sessions.set(sessionId, null);
    const ids = [...this.#sessions.keys()];
    const rows = await this.#tx.rows(
      `SELECT ${sessionColumns.join(',')} FROM chat_sessions WHERE session_id IN (${marks(ids)})
       ORDER BY session_id${this.#parts.dialect.forUpdate}`,
      ids,
    );
    for (const row of rows) {
      const session = sessionState(row);
      this.#sessions.set(session.sessionId, session);
      this.#found.set(session.sessionId, session);
    }
  }

  /**
   * All of a batch at once, for messages that change nothing of their sessions but add to them: takes the sessions for
   * what they were last, and has them compared when they are written.
   * @returns false when nothing was written, and the sessions have to be read
   */
  guess(commands: readonly Command[], known: KnownSessions): boolean {
    const { dialect } = this.#parts;
    for (const { kind, sessionId } of commands) {
      const session = known.get(sessionId);
      if (kind !== 'message' || !session) return false;
      this.#sessions.set(sessionId, session);
      if (this.#sessions.size > dialect.guessed) return false;
      this.#found.set(sessionId, session);
    }
    for (const command of commands) this.rule(command);
    if (this.#rulings.some((ruling) => 'error' in ruling)) return false;
    // In one order for everybody, as `lock` does.
    const grown = [...this.#found.keys()].sort().map((id) => ({
      before: this.#found.get(id) as SessionState,
      after: this.#sessions.get(id) as SessionState,
    }));
    if (!grown.every(({ before, after }) => onlyGrew(before, after))) return false;
    const sql = growIfSame(dialect);
    for (const { before, after } of grown) this.#tx.laterExactly(1, sql, growthFrom(before, after));
    this.#writeLog();
    return true;
  }

  /** Reads the messages that were stored under these commands' client ids before. */
  async readRepeats(commands: readonly Command[]): Promise<void> {
    const sent = commands.filter((c): c is MessageCommand => c.kind === 'message' && c.clientMessageId !== null);
    if (sent.length === 0) return;
    const keys = sent.map(() => '(session_id=? AND sender_type=? AND sender_id=? AND client_message_id=?)');
    const rows = await this.#tx.rows(
      `SELECT ${messageColumns.join(',')} FROM chat_messages WHERE ${keys.join(' OR ')}`,
      sent.flatMap((c): Value[] => [c.sessionId, c.by.type, c.by.id, c.clientMessageId]),
    );
    for (const message of rows.map(chatMessage)) this.#repeats.set(repeatKey(message), message);
  }

  rule(command: Command): void {
    try {
      this.#rulings.push(this.#decide(command));
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      this.#rulings.push({ error });
    }
  }

  #decide(command: Command): { decision: Decision; duplicate: boolean } {
    const before = this.#sessions.get(command.sessionId) ?? null;
    const key = command.kind === 'message' && command.clientMessageId !== null ? commandKey(command) : null;
    const first = key === null ? undefined : this.#repeats.get(key);
    if (first && before && command.kind === 'message') {
      if (!samePayload(first, command)) throw idempotencyConflict();
      return { decision: { session: before, events: [], message: first }, duplicate: true };
    }
    const decision = decide(before, command);
    this.#sessions.set(command.sessionId, decision.session);
    if (decision.events.length > 0) this.#touched.add(command.sessionId);
    if (key !== null && decision.message) this.#repeats.set(key, decision.message);
    if (seeksAdmin(before, decision.session, command)) this.#seeking.push({ ruling: this.#rulings.length, command });
    if (command.operation) this.#operations.push(command.operation);
    return { decision, duplicate: false };
  }

  /**
   * Gives the sessions that began to wait in this batch to admins who are free, unless others wait longer: those come
   * first, and are brought on by the queue's own run.
   */
  async assignWaiting(): Promise<void> {
    const seeking = this.#seeking.filter(({ command }) => this.#sessions.get(command.sessionId)?.status === 'waiting');
    if (seeking.length === 0) return;
    // The queue's own run names the session whose turn it is; a session that has just begun to wait has to ask.
    const queued = seeking.filter(({ command }) => command.kind === 'auto_assign');
    const fresh = seeking.filter(({ command }) => command.kind !== 'auto_assign');
    const turns = fresh.length > 0 && !(await this.#othersWait(seeking)) ? [...queued, ...fresh] : queued;
    if (turns.length === 0) return;
    const candidates = await lockCandidates(this.#tx, this.#parts.dialect);
    // The store has counted what was active before this batch.
    for (const id of this.#touched) {
      addWork(candidates, holder(this.#found.get(id)), -1);
      addWork(candidates, holder(this.#sessions.get(id)), 1);
    }
    for (const { ruling, command } of turns) {
      const session = this.#sessions.get(command.sessionId) as SessionState;
      if (session.status !== 'waiting') continue;
      const chosen = pickAdmin([...candidates.values()], this.#parts.capacity, session.lastAdminId);
      if (!chosen) return;
      this.#assign(ruling, chosen.adminId, command.at);
      candidates.set(chosen.adminId, { ...chosen, active: chosen.active + 1, idleSince: command.at });
    }
  }

  /** The assignment belongs to the newest ruling of the session, or later messages of this batch would precede it. */
  #assign(ruling: number, adminId: number, at: number): void {
    const sought = this.#rulings[ruling] as { decision: Decision };
    const { sessionId } = sought.decision.session;
    const last = this.#rulings.findLastIndex((r) => 'decision' in r && r.decision.session.sessionId === sessionId);
    const newest = this.#rulings[last] as { decision: Decision; duplicate: boolean };
    const decision = assignTo(newest.decision, adminId, at);
    this.#rulings[last] = { ...newest, decision };
    this.#sessions.set(sessionId, decision.session);
    this.#touched.add(sessionId);
  }

  async #othersWait(seeking: readonly { command: Command }[]): Promise<boolean> {
    const own = new Set(seeking.map(({ command }) => command.sessionId));
    for (const [id, session] of this.#sessions) if (session?.status === 'waiting' && !own.has(id)) return true;
    const ids = [...this.#sessions.keys()];
    const rows = await this.#tx.rows(
      `SELECT session_id FROM chat_sessions WHERE status='waiting' AND session_id NOT IN (${marks(ids)}) LIMIT 1`,
      ids,
    );
    return rows.length > 0;
  }

  write(): void {
    const { dialect } = this.#parts;
    const opened: Value[][] = [];
    const grown: Value[][] = [];
    const changed: Value[][] = [];
    for (const id of this.#touched) {
      const session = this.#sessions.get(id) as SessionState;
      const before = this.#found.get(id);
      if (!before) opened.push(sessionRow(session));
      else if (onlyGrew(before, session)) grown.push(grownSessionRow(session));
      else changed.push(sessionRow(session));
    }
    const overwrite = (columns: readonly string[]): string =>
      `${dialect.overwrite('session_id', columns)}, updated_at=${dialect.now()}`;
    // An opened session is a plain INSERT: had another node opened it meanwhile, overwriting would be theft.
    this.#tx.insert('chat_sessions', sessionColumns, opened);
    this.#tx.insert('chat_sessions', grownSessionColumns, grown, overwrite(growingSessionColumns));
    this.#tx.insert('chat_sessions', sessionColumns, changed, overwrite(changingSessionColumns));
    this.#writeLog();
  }

  /** All that is written besides the sessions. */
  #writeLog(): void {
    const { dialect } = this.#parts;
    const plain: Value[][] = [];
    const messages: Value[][] = [];
    const events: Value[][] = [];
    const tally = new Tally();
    for (const id of this.#touched) tally.session(this.#found.get(id) ?? null, this.#sessions.get(id) as SessionState);
    for (const { sessionId, event } of this.#newEvents()) {
      if (event.kind === 'message') {
        if (isPlain(event.message)) plain.push(plainMessageRow(event.message));
        else messages.push(messageRow(event.message));
        tally.message(event.message.createdAt);
      } else events.push(eventRow(sessionId, event));
    }
    this.#tx.insert('chat_messages', plainMessageColumns, plain);
    this.#tx.insert('chat_messages', messageColumns, messages);
    this.#tx.insert('chat_events', eventColumns, events);
    this.#tx.insert('chat_operation_logs', operationColumns, this.#operations.map(operationRow));
    if (events.length > 0) noteWorkChanged(this.#tx, dialect, this.#adminsAffected());
    // Last: whoever holds rows of figures waits for nothing but the commit.
    addFigures(this.#tx, dialect, tally, this.#parts.shard ?? 0);
  }

  *#newEvents(): Generator<{ sessionId: string; event: SessionEvent }> {
    for (const ruling of this.#rulings) {
      if (!('decision' in ruling)) continue;
      const { sessionId } = ruling.decision.session;
      for (const event of ruling.decision.events) yield { sessionId, event };
    }
  }

  /** Admins who got or lost an active session in this batch. Messages in the sessions they have change nothing. */
  #adminsAffected(): number[] {
    const admins = new Set<number>();
    const holders = new Map([...this.#touched].map((id) => [id, holder(this.#found.get(id))]));
    for (const { sessionId, event } of this.#newEvents()) {
      if (event.kind !== 'status') continue;
      const before = holders.get(sessionId) ?? null;
      const after = event.status === 'active' ? event.adminId : null;
      holders.set(sessionId, after);
      if (before === after) continue;
      for (const adminId of [before, after]) if (adminId !== null) admins.add(adminId);
    }
    return [...admins].sort((a, b) => a - b);
  }

  outcome(): BatchOutcome {
    return { results: this.#results(), found: this.#found, stored: this.#sessions };
  }

  #results(): Appended[] {
    return this.#rulings.map((ruling): Appended => {
      if (!('decision' in ruling)) return ruling;
      const { session, events, message } = ruling.decision;
      // Routing follows where the session ended up, not where it stood half-way through the batch.
      const settled = this.#sessions.get(session.sessionId) ?? session;
      const outcome: Outcome = { session: settled, events, message, duplicate: ruling.duplicate };
      return { outcome };
    });
  }
}

/** Whose share of work a session is: its admin while it is active. */
function holder(session: SessionState | null | undefined): number | null {
  return session?.status === 'active' ? session.adminId : null;
}

function addWork(candidates: Map<number, Candidate>, adminId: number | null, sessions: number): void {
  const candidate = adminId === null ? undefined : candidates.get(adminId);
  if (candidate) candidates.set(candidate.adminId, { ...candidate, active: candidate.active + sessions });
}

function repeatKey(m: ChatMessage): string {
  return `${m.sessionId} ${m.senderType} ${m.senderId} ${m.clientMessageId}`;
}

function commandKey(c: MessageCommand): string {
  return `${c.sessionId} ${c.by.type} ${c.by.id} ${c.clientMessageId}`;
}
