import { CompiledQuery, Kysely } from 'kysely';
import type { Command, Operation } from '../domain/command.ts';
import type {
  Appended,
  CaughtUp,
  DayFigures,
  LogPlace,
  MessageRange,
  OpenSession,
  Page,
  RepeatKey,
  Roster,
  SessionRange,
  SessionSummary,
  Store,
} from '../domain/ports.ts';
import type { Receipt, ReceiptResult } from '../domain/receipts.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { Appender, type AppendParts } from './append.ts';
import { type Dialect, fromTime, type Row, toTime, type Value } from './dialect.ts';
import { readDayFigures, readStatusCounts } from './figures.ts';
import { readLog, readLogs, readMessages } from './log-reads.ts';
import { assertMigrated, migrate } from './migrate.ts';
import { patiently } from './patiently.ts';
import { storeReceipts } from './receipts.ts';
import { countersAgree, recount } from './recount.ts';
import { SqlRoster } from './roster.ts';
import { toldWhenAway } from './told-when-away.ts';
import { operationColumns, operationRow, sessionColumns, sessionState } from './rows.ts';
import { readOpenSessionOf, readSession, readSessions } from './session-reads.ts';
import type { Tables } from './tables.ts';
import { openSessions, repeatedMessages } from './user-sessions.ts';

/** Events are stamped by nodes, changes of rows by the store: how far their clocks may be apart without a change being missed. */
const CLOCKS_APART_MS = 120_000;

/** The store over any dialect. Reads are typed queries; writes of the log go through the Appender. */
export class SqlStore implements Store {
  readonly roster: Roster;
  readonly #dialect: Dialect;
  readonly #db: Kysely<Tables>;
  readonly #appender: Appender;

  constructor(parts: AppendParts) {
    this.#dialect = parts.dialect;
    this.#db = new Kysely<Tables>({ dialect: parts.dialect.kysely });
    this.#appender = new Appender(parts);
    this.roster = new SqlRoster(parts.dialect);
  }

  migrate(): Promise<void> {
    return migrate(this.#dialect);
  }

  /**
   * Counts anew if somebody else's SQL has opened, closed or deleted sessions since.
   * @returns how many counters were wrong
   */
  mendCounters(): Promise<number> {
    // Alone, as migrations are: nobody mends twice, and a large table is given the time that it takes.
    return this.#dialect.alone(async (run) => ((await countersAgree(run)) ? 0 : recount(run, this.#dialect.name)));
  }

  /** Settings of the database that could lose acknowledged messages, in words. */
  durabilityFaults(): Promise<string[]> {
    return this.#dialect.durabilityFaults();
  }

  append(command: Command, settle: (appended: Appended) => void): void {
    this.#appender.append(command, settle);
  }

  session(sessionId: string): Promise<SessionSummary | null> {
    return this.#read(() => readSession(this.#rows, sessionId));
  }

  async sessions(range: SessionRange): Promise<Page<SessionSummary>> {
    const [items, counts] = await this.#read(() =>
      Promise.all([readSessions(this.#rows, range), readStatusCounts(this.#rows)]),
    );
    const { waiting, active, closed } = counts;
    return { items, total: { all: waiting + active + closed, waiting, active, closed }[range.status] };
  }

  messages(
    session: Pick<SessionState, 'sessionId' | 'messageCount' | 'lastSeq'>,
    range: MessageRange,
  ): Promise<readonly ChatMessage[]> {
    return this.#read(() => readMessages(this.#rows, this.#dialect.name, session, range));
  }

  log(sessionId: string, afterSeq: number, limit: number): Promise<readonly SessionEvent[]> {
    return this.#read(() => readLog(this.#rows, this.#dialect.name, { sessionId, afterSeq }, limit));
  }

  logs(places: readonly LogPlace[]): Promise<readonly (CaughtUp | null)[]> {
    return this.#read(() => readLogs(this.#rows, this.#dialect.name, places));
  }

  async heads(sessionIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (sessionIds.length === 0) return new Map();
    const query = this.#db
      .selectFrom('chat_sessions')
      .select(['session_id', 'last_seq'])
      .where('session_id', 'in', sessionIds);
    const rows = await this.#read(() => query.execute());
    return new Map(rows.map((row) => [row.session_id, Number(row.last_seq)]));
  }

  async inbox(since: number | null): Promise<readonly SessionState[]> {
    const sessions = this.#db.selectFrom('chat_sessions').select([...sessionColumns]);
    // One index for each reason: an OR over them would read the whole table.
    let query = sessions.where('status', 'in', ['waiting', 'active']);
    if (since !== null) {
      query = query
        .union(sessions.where('last_message_time', '>=', toTime(since)))
        .union(sessions.where('closed_at', '>=', toTime(since)))
        .union(sessions.where('rated_at', '>=', toTime(since)));
    }
    const rows = await this.#read(() => query.execute());
    return rows.map((row) => sessionState(row as unknown as Row));
  }

  async changedWithin(ms: number): Promise<readonly SessionState[]> {
    const { now } = this.#dialect;
    const long = now(-ms - CLOCKS_APART_MS);
    const columns = (table: string): string => sessionColumns.map((c) => `${table}.${c}`).join(',');
    // By the indexes of what changes a session, so that `updated_at`, which each message changes, needs none.
    const rows = await this.#read(() =>
      this.#rows(
        `SELECT ${columns('s')} FROM chat_sessions s WHERE s.last_message_time >= ${long} AND s.updated_at >= ${now(-ms)}
         UNION
         SELECT ${columns('s')} FROM chat_sessions s
         JOIN (SELECT DISTINCT session_id FROM chat_events WHERE created_at >= ${long}) e ON e.session_id = s.session_id
         WHERE s.updated_at >= ${now(-ms)}`,
        [],
      ),
    );
    return rows.map(sessionState);
  }

  async storeReceipts(receipts: readonly Receipt[]): Promise<readonly ReceiptResult[]> {
    return this.#read(() => patiently(this.#dialect, () => storeReceipts(this.#dialect, receipts)));
  }

  openSessions(userIds: readonly number[]): Promise<readonly OpenSession[]> {
    return this.#read(() => openSessions(this.#dialect, userIds));
  }

  repeatedMessages(keys: readonly RepeatKey[]): Promise<readonly (ChatMessage | null)[]> {
    return this.#read(() => repeatedMessages(this.#dialect, keys));
  }

  openSessionOf(userId: number): Promise<SessionSummary | null> {
    return this.#read(() => readOpenSessionOf(this.#rows, userId));
  }

  reserveSession(userId: number, proposed: string): Promise<string> {
    return this.#read(() => patiently(this.#dialect, () => this.#reserve(userId, proposed)));
  }

  #reserve(userId: number, proposed: string): Promise<string> {
    return this.#dialect.transaction(async (tx) => {
      const [row] = await tx.rows(
        `SELECT r.session_id, s.status, s.user_id FROM chat_reservations r
         LEFT JOIN chat_sessions s ON s.session_id = r.session_id WHERE r.user_id = ?${this.#dialect.forUpdate}`,
        [userId],
      );
      if (!row) {
        tx.insert('chat_reservations', ['user_id', 'session_id'], [[userId, proposed]]);
        return proposed;
      }
      const usable = row['status'] === null || (row['status'] !== 'closed' && row['user_id'] === userId);
      if (usable) return row['session_id'] as string;
      tx.later('UPDATE chat_reservations SET session_id = ? WHERE user_id = ?', [proposed, userId]);
      return proposed;
    });
  }

  async waiting(limit: number): Promise<readonly string[]> {
    const rows = await this.#read(() =>
      this.#db
        .selectFrom('chat_sessions')
        .select('session_id')
        .where('status', '=', 'waiting')
        .orderBy('waiting_since', 'asc')
        // The index ends with the id: of a long queue only its head is read.
        .orderBy('session_id', 'asc')
        .limit(limit)
        .execute(),
    );
    return rows.map((row) => row.session_id);
  }

  async activeSessionsOf(adminId: number): Promise<readonly string[]> {
    const rows = await this.#read(() =>
      this.#db
        .selectFrom('chat_sessions')
        .select('session_id')
        .where('admin_id', '=', adminId)
        .where('status', '=', 'active')
        .orderBy('created_at', 'asc')
        .execute(),
    );
    return rows.map((row) => row.session_id);
  }

  statusCounts(): Promise<{ waiting: number; active: number; closed: number }> {
    return this.#read(() => readStatusCounts(this.#rows));
  }

  dayFigures(from: number, to: number): Promise<DayFigures> {
    return this.#read(() => readDayFigures(this.#rows, from, to));
  }

  async recordOperations(operations: readonly Operation[]): Promise<void> {
    await this.#read(() =>
      this.#dialect.transaction(async (tx) =>
        tx.insert('chat_operation_logs', operationColumns, operations.map(operationRow)),
      ),
    );
  }

  async operations(page: number, pageSize: number): Promise<Page<Operation & { readonly id: number }>> {
    const [rows, total] = await this.#read(() =>
      Promise.all([
        this.#db
          .selectFrom('chat_operation_logs')
          .selectAll()
          .orderBy('id', 'desc')
          .limit(pageSize)
          .offset((page - 1) * pageSize)
          .execute(),
        this.#db
          .selectFrom('chat_operation_logs')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow(),
      ]),
    );
    const items = rows.map((row) => ({
      id: Number(row.id),
      adminId: row.admin_id,
      action: row.action,
      sessionId: row.session_id,
      outcome: row.outcome,
      address: row.address,
      at: fromTime(row.created_at) ?? 0,
    }));
    return { items, total: Number(total.count) };
  }

  ready(): Promise<void> {
    return this.#read(() => assertMigrated(this.#db as unknown as Kysely<never>, this.#dialect));
  }

  async close(): Promise<void> {
    await this.#appender.idle();
    await this.#db.destroy();
    await this.#dialect.close();
  }

  /** One query outside any transaction. */
  readonly #rows = async (sql: string, values: readonly Value[]): Promise<Row[]> =>
    (await this.#db.executeQuery<Row>(CompiledQuery.raw(sql, [...values]))).rows;

  /** Runs a read; a store that is away becomes the error that callers know. */
  #read<T>(work: () => Promise<T>): Promise<T> {
    return toldWhenAway(work, this.#dialect);
  }
}
