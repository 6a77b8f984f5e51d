import { ChatError } from '@switchboard/protocol';
import { type Candidate, pickAdmin } from '../domain/assignment.ts';
import { idempotencyConflict } from '../domain/chat.ts';
import type { Command, MessageCommand, Operation, Outcome } from '../domain/command.ts';
import { assignTo, decide, type Decision, seeksAdmin } from '../domain/decide.ts';
import { Tally } from '../domain/figures.ts';
import { samePayload } from '../domain/same-payload.ts';
import type { Appended } from '../domain/ports.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { type Dialect, marks, type Transaction, type Value } from './dialect.ts';
import { addFigures } from './figures.ts';
import { FEW, KnownSessions } from './known-sessions.ts';
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

interface Entry {
  readonly command: Command;
  /** When it came; `performance.now()`. */
  readonly since: number;
  readonly settle: (appended: Appended) => void;
}

export interface AppendParts {
  readonly dialect: Dialect;
  /** Active sessions that automatic assignment gives one admin at most. */
  readonly capacity: number;
  /** Told after each commit: how many commands it carried, and how long it took in seconds. */
  readonly onCommit?: (size: number, seconds: number) => void;
  /** Any number: nodes that have different ones count in rows of their own, and do not wait for each other there. */
  readonly shard?: number;
}

/** Most commands of one transaction: larger ones gain nothing and keep the first waiting. */
const BATCH = 500;
/** Most characters of their contents and attachments: with three bytes each, or a backslash before each, still far below any packet's limit. */
const BATCH_CHARACTERS = 2_500_000;
/** Commands that may wait in one lane. Beyond it the store is not keeping up, and saying so beats a queue without end. */
const QUEUE = 10_000;
const ATTEMPTS = 12;
/** Who has waited so long when the store turns out to be away is told so at once. */
const PATIENCE_MS = 500;

/**
 * The only writer of the session log: group commit without a timer. While one commit is in flight, commands collect;
 * the next commit takes all that wait. A command's session decides its lane, so that two lanes never lock one row.
 */
export class Appender {
  readonly #lanes: Lane[];

  constructor(parts: AppendParts) {
    this.#lanes = Array.from(
      { length: parts.dialect.lanes },
      (_, lane) => new Lane({ ...parts, shard: (parts.shard ?? 0) + lane }),
    );
  }

  append(command: Command, settle: (appended: Appended) => void): void {
    const lane = this.#lanes[hash(command.sessionId) % this.#lanes.length] as Lane;
    lane.push({ command, settle, since: performance.now() });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }
}

function hash(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) >>> 0;
  return h;
}

class Lane {
  readonly #parts: AppendParts;
  readonly #known = new KnownSessions();
  #queue: Entry[] = [];
  #running: Promise<void> | null = null;

  constructor(parts: AppendParts) {
    this.#parts = parts;
  }

  push(entry: Entry): void {
    if (this.#queue.length >= QUEUE) {
      // Not from within the call: `settle` promises to come later.
      queueMicrotask(() => entry.settle({ error: new ChatError('UNAVAILABLE', { retryAfterMs: 1_000 }) }));
      return;
    }
    this.#queue.push(entry);
    this.#running ??= this.#run();
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    // One turn of the event loop: all frames that have arrived by now share the first commit.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const batch = this.#take();
      const started = performance.now();
      const results = await this.#commit(batch);
      this.#parts.onCommit?.(batch.length, (performance.now() - started) / 1000);
      for (const [i, entry] of batch.entries()) settleOne(entry, results[i] as Appended);
      if (isAway(results[0])) this.#refuseThoseWhoWaited(results[0]);
    }
    // In one turn with the last look at the queue: a command that came between the two would wait for ever.
    this.#running = null;
  }

  /** The commands of the next commit: all that wait, unless they are too many or too long together. */
  #take(): Entry[] {
    const queue = this.#queue;
    let characters = 0;
    let size = 0;
    for (; size < queue.length && size < BATCH; size++) {
      const { command } = queue[size] as Entry;
      if (command.kind === 'message') characters += length(command);
      if (size > 0 && characters > BATCH_CHARACTERS) break;
    }
    this.#queue = queue.slice(size);
    return size === queue.length ? queue : queue.slice(0, size);
  }

  /** Nobody waits for a second batch behind a store that is away: the two together would be too long. */
  #refuseThoseWhoWaited(told: Appended): void {
    const before = performance.now() - PATIENCE_MS;
    const late = this.#queue.filter((entry) => entry.since <= before);
    this.#queue = this.#queue.filter((entry) => entry.since > before);
    for (const entry of late) settleOne(entry, told);
  }

  /** Commits a batch, again if it must be, and one by one if something in it cannot be stored. Never rejects. */
  async #commit(batch: readonly Entry[]): Promise<Appended[]> {
    const commands = batch.map((e) => e.command);
    let careful = false;
    for (let attempt = 1; ; attempt++) {
      try {
        const { results, sessions } = await attemptBatch(this.#parts, commands, careful ? null : this.#known);
        this.#known.learn(sessions);
        return results;
      } catch (error) {
        const failure = this.#parts.dialect.classify(error);
        if (failure === 'stale' && attempt < ATTEMPTS) {
          for (const { sessionId } of commands) this.#known.distrust(sessionId);
          continue;
        }
        this.#known.clear();
        if ((failure === 'duplicate' || failure === 'contention') && attempt < ATTEMPTS) {
          // A unique key stopped us: a repeat, or a session that another node opened first. Look before writing.
          careful ||= failure === 'duplicate';
          if (failure === 'contention') await delay(attempt);
          continue;
        }
        if (failure !== 'away' && batch.length > 1) return this.#oneByOne(batch);
        const later = failure === 'away' || failure === 'contention';
        const told = later ? new ChatError('UNAVAILABLE', { retryAfterMs: 1_000, cause: error }) : error;
        return batch.map(() => ({ error: told }));
      }
    }
  }

  /** One bad command must not fail its neighbours. */
  async #oneByOne(batch: readonly Entry[]): Promise<Appended[]> {
    const results: Appended[] = [];
    for (const entry of batch) results.push(...(await this.#commit([entry])));
    return results;
  }
}

/** Characters of what a message holds. */
function length({ content, attachments }: MessageCommand): number {
  return content.length + (attachments.length === 0 ? 0 : JSON.stringify(attachments).length);
}

function isAway(appended: Appended | undefined): appended is Appended {
  const error = appended && 'error' in appended ? appended.error : null;
  return error instanceof ChatError && error.code === 'UNAVAILABLE';
}

/** A caller's own failure must not stop the lane; it surfaces as a rejection that nobody handled. */
function settleOne({ settle }: Entry, appended: Appended): void {
  try {
    settle(appended);
  } catch (error) {
    void Promise.reject(error as Error);
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * One transaction for all commands: lock, decide, write.
 * @param known null: look before writing
 */
function attemptBatch(parts: AppendParts, commands: readonly Command[], known: KnownSessions | null): Promise<Stored> {
  return parts.dialect.transaction(async (tx) => {
    const guess = new Batch(parts, tx);
    if (known && guess.guess(commands, known)) return { results: guess.results(), sessions: guess.sessions };
    const batch = new Batch(parts, tx);
    await batch.lock(commands);
    if (!known) await batch.readRepeats(commands);
    for (const command of commands) batch.rule(command);
    await batch.assignWaiting();
    batch.write();
    return { results: batch.results(), sessions: batch.sessions };
  });
}

interface Stored {
  readonly results: Appended[];
  /** As they are now. */
  readonly sessions: ReadonlyMap<string, SessionState | null>;
}

/** What one transaction knows and is about to write. */
class Batch {
  readonly #parts: AppendParts;
  readonly #tx: Transaction;
  /** The sessions as they are after the commands so far; null where no session has the id. */
  readonly sessions = new Map<string, SessionState | null>();
  /** The sessions as they are stored. */
  readonly #stored = new Map<string, SessionState>();
  readonly #touched = new Set<string>();
  readonly #repeats = new Map<string, ChatMessage>();
  readonly #rulings: ({ decision: Decision; duplicate: boolean } | { error: unknown })[] = [];
  readonly #seeking: { ruling: number; command: Command }[] = [];
  readonly #operations: Operation[] = [];

  constructor(parts: AppendParts, tx: Transaction) {
    this.#parts = parts;
    this.#tx = tx;
  }

  /** Locks the sessions' rows, in one order for everybody. */
  async lock(commands: readonly Command[]): Promise<void> {
    for (const { sessionId } of commands) this.sessions.set(sessionId, null);
    const ids = [...this.sessions.keys()];
    const rows = await this.#tx.rows(
      `SELECT ${sessionColumns.join(',')} FROM chat_sessions WHERE session_id IN (${marks(ids)})
       ORDER BY session_id${this.#parts.dialect.forUpdate}`,
      ids,
    );
    for (const row of rows) {
      const session = sessionState(row);
      this.sessions.set(session.sessionId, session);
      this.#stored.set(session.sessionId, session);
    }
  }

  /**
   * All of a batch at once, for messages that change nothing of their sessions but add to them: takes the sessions for
   * what they were last, and has them compared when they are written.
   * @returns false when nothing was written, and the sessions have to be read
   */
  guess(commands: readonly Command[], known: KnownSessions): boolean {
    const tx = this.#tx;
    if (!tx.laterExactly) return false;
    for (const { kind, sessionId } of commands) {
      const session = known.get(sessionId);
      if (kind !== 'message' || !session) return false;
      this.sessions.set(sessionId, session);
      if (this.sessions.size > FEW) return false;
      this.#stored.set(sessionId, session);
    }
    for (const command of commands) this.rule(command);
    if (this.#rulings.some((ruling) => 'error' in ruling)) return false;
    // In one order for everybody, as `lock` does.
    const grown = [...this.#stored.keys()].sort().map((id) => ({
      before: this.#stored.get(id) as SessionState,
      after: this.sessions.get(id) as SessionState,
    }));
    if (!grown.every(({ before, after }) => onlyGrew(before, after))) return false;
    const sql = growIfSame(this.#parts.dialect.now());
    for (const { before, after } of grown) tx.laterExactly(1, sql, growthFrom(before, after));
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
    const before = this.sessions.get(command.sessionId) ?? null;
    const key = command.kind === 'message' && command.clientMessageId !== null ? commandKey(command) : null;
    const first = key === null ? undefined : this.#repeats.get(key);
    if (first && before && command.kind === 'message') {
      if (!samePayload(first, command)) throw idempotencyConflict();
      return { decision: { session: before, events: [], message: first }, duplicate: true };
    }
    const decision = decide(before, command);
    this.sessions.set(command.sessionId, decision.session);
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
    const seeking = this.#seeking.filter(({ command }) => this.sessions.get(command.sessionId)?.status === 'waiting');
    if (seeking.length === 0) return;
    // The queue's own run names the session whose turn it is; a session that has just begun to wait has to ask.
    const queued = seeking.filter(({ command }) => command.kind === 'auto_assign');
    const fresh = seeking.filter(({ command }) => command.kind !== 'auto_assign');
    const turns = fresh.length > 0 && !(await this.#othersWait(seeking)) ? [...queued, ...fresh] : queued;
    if (turns.length === 0) return;
    const candidates = await lockCandidates(this.#tx, this.#parts.dialect);
    // The store has counted what was active before this batch.
    for (const id of this.#touched) {
      addWork(candidates, holder(this.#stored.get(id)), -1);
      addWork(candidates, holder(this.sessions.get(id)), 1);
    }
    for (const { ruling, command } of turns) {
      const session = this.sessions.get(command.sessionId) as SessionState;
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
    this.sessions.set(sessionId, decision.session);
    this.#touched.add(sessionId);
  }

  async #othersWait(seeking: readonly { command: Command }[]): Promise<boolean> {
    const own = new Set(seeking.map(({ command }) => command.sessionId));
    for (const [id, session] of this.sessions) if (session?.status === 'waiting' && !own.has(id)) return true;
    const ids = [...this.sessions.keys()];
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
      const session = this.sessions.get(id) as SessionState;
      const before = this.#stored.get(id);
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
    for (const id of this.#touched) tally.session(this.#stored.get(id) ?? null, this.sessions.get(id) as SessionState);
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
    const holders = new Map([...this.#touched].map((id) => [id, holder(this.#stored.get(id))]));
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

  results(): Appended[] {
    return this.#rulings.map((ruling): Appended => {
      if (!('decision' in ruling)) return ruling;
      const { session, events, message } = ruling.decision;
      // Routing follows where the session ended up, not where it stood half-way through the batch.
      const settled = this.sessions.get(session.sessionId) ?? session;
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
