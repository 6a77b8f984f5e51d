import { Kysely, type SelectQueryBuilder } from 'kysely';
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
  SessionSummary,
  Store,
} from '../domain/ports.ts';
import type { Receipt, ReceiptResult } from '../domain/receipts.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { Appender, type AppendParts } from './append.ts';
import { type Dialect, fromTime, type Row, toTime } from './dialect.ts';
import { readLog, readLogs } from './log-reads.ts';
import { assertMigrated, migrate } from './migrate.ts';
import { patiently } from './patiently.ts';
import { storeReceipts } from './receipts.ts';
import { SqlRoster } from './roster.ts';
import { toldWhenAway } from './told-when-away.ts';
import { chatMessage, messageColumns, operationColumns, operationRow, sessionColumns, sessionState } from './rows.ts';
import type { Tables } from './tables.ts';
import { openSessions, repeatedMessages } from './user-sessions.ts';

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

  /** Settings of the database that could lose acknowledged messages, in words. */
  durabilityFaults(): Promise<string[]> {
    return this.#dialect.durabilityFaults();
  }

  append(command: Command, settle: (appended: Appended) => void): void {
    this.#appender.append(command, settle);
  }

  async session(sessionId: string): Promise<SessionSummary | null> {
    const found = await this.#summaries((query) => query.where('s.session_id', '=', sessionId));
    return found[0] ?? null;
  }

  async sessions({
    status,
    page,
    pageSize,
  }: {
    status: SessionState['status'] | 'all';
    page: number;
    pageSize: number;
  }): Promise<Page<SessionSummary>> {
    // The page's ids come from an index alone; only its own rows are then read in full.
    let ids = this.#db
      .selectFrom('chat_sessions')
      .select('session_id as id')
      .orderBy('last_message_time', 'desc')
      .orderBy('session_id', 'desc')
      .limit(pageSize)
      .offset((page - 1) * pageSize);
    let count = this.#db.selectFrom('chat_sessions').select(({ fn }) => fn.countAll<number>().as('count'));
    if (status !== 'all') {
      ids = ids.where('status', '=', status);
      count = count.where('status', '=', status);
    }
    const [items, total] = await Promise.all([
      this.#summaries((query) => query.innerJoin(ids.as('page'), 'page.id', 's.session_id') as unknown as SummaryQuery),
      this.#read(() => count.executeTakeFirstOrThrow()),
    ]);
    return { items, total: Number(total.count) };
  }

  async messages(sessionId: string, range: MessageRange): Promise<readonly ChatMessage[]> {
    let query = this.#db
      .selectFrom('chat_messages')
      .select([...messageColumns])
      .where('session_id', '=', sessionId)
      .limit(range.pageSize);
    if ('afterSeq' in range) {
      query = query.where('seq', '>', range.afterSeq).orderBy('seq', 'asc');
    } else {
      query = query.orderBy('seq', 'desc');
      if ('beforeSeq' in range) query = query.where('seq', '<', range.beforeSeq);
      else query = query.offset((range.page - 1) * range.pageSize);
    }
    const rows = await this.#read(() => query.execute());
    const found = rows.map((row) => chatMessage(row as unknown as Row));
    return 'afterSeq' in range ? found : found.reverse();
  }

  log(sessionId: string, afterSeq: number, limit: number): Promise<readonly SessionEvent[]> {
    return this.#read(() => readLog(this.#dialect, { sessionId, afterSeq }, limit));
  }

  logs(places: readonly LogPlace[]): Promise<readonly (CaughtUp | null)[]> {
    return this.#read(() => readLogs(this.#dialect, places));
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
    const rows = await this.#read(() =>
      this.#dialect.transaction((tx) =>
        tx.rows(
          `SELECT ${sessionColumns.join(',')} FROM chat_sessions WHERE updated_at >= ${this.#dialect.now(-ms)}`,
          [],
        ),
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

  async openSessionOf(userId: number): Promise<SessionSummary | null> {
    const found = await this.#summaries((query) =>
      query
        .where('s.user_id', '=', userId)
        .where('s.status', 'in', ['waiting', 'active'])
        .orderBy('s.created_at', 'desc')
        .orderBy('s.session_id', 'desc')
        .limit(1),
    );
    return found[0] ?? null;
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
        .orderBy('created_at', 'asc')
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

  async statusCounts(): Promise<{ waiting: number; active: number; closed: number }> {
    const rows = await this.#read(() =>
      this.#db
        .selectFrom('chat_sessions')
        .select(({ fn }) => ['status', fn.countAll<number>().as('count')])
        .groupBy('status')
        .execute(),
    );
    const counts = { waiting: 0, active: 0, closed: 0 };
    for (const row of rows) counts[row.status] = Number(row.count);
    return counts;
  }

  async dayFigures(from: number, to: number): Promise<DayFigures> {
    const within = { from: toTime(from), to: toTime(to) };
    const between = (column: 'created_at' | 'closed_at' | 'first_reply_at' | 'rated_at') =>
      this.#db.selectFrom('chat_sessions').where(column, '>=', within.from).where(column, '<', within.to);
    const [created, closed, answers, ratings, messages] = await this.#read(() =>
      Promise.all([
        between('created_at')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow(),
        between('closed_at')
          .where('status', '=', 'closed')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow(),
        between('first_reply_at').select(['first_user_message_at', 'first_reply_at']).execute(),
        between('rated_at')
          .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum<number>('rating_score').as('sum')])
          .executeTakeFirstOrThrow(),
        this.#db
          .selectFrom('chat_messages')
          .where('created_at', '>=', within.from)
          .where('created_at', '<', within.to)
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow(),
      ]),
    );
    let responseMs = 0;
    for (const row of answers) {
      responseMs += Math.max(0, (fromTime(row.first_reply_at) ?? 0) - (fromTime(row.first_user_message_at) ?? 0));
    }
    return {
      created: Number(created.count),
      closed: Number(closed.count),
      answered: answers.length,
      responseMs,
      rated: Number(ratings.count),
      ratingSum: Number(ratings.sum ?? 0),
      messages: Number(messages.count),
    };
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

  /** Sessions with their newest message, picked by `pick`, newest message first unless `pick` orders otherwise. */
  async #summaries(pick: (query: SummaryQuery) => SummaryQuery): Promise<SessionSummary[]> {
    const query = this.#db
      .selectFrom('chat_sessions as s')
      .leftJoin('chat_messages as m', 'm.message_id', 's.last_message_id')
      .select(sessionColumns.map((c) => `s.${c}` as const))
      .select(messageColumns.map((c) => `m.${c} as m_${c}` as const));
    const picked = pick(query as unknown as SummaryQuery)
      .orderBy('s.last_message_time', 'desc')
      .orderBy('s.session_id', 'desc');
    const rows = (await this.#read(() => picked.execute())) as unknown as Row[];
    return rows.map((row) => ({
      session: sessionState(row),
      lastMessage: row['m_message_id'] === null ? null : chatMessage(unprefixed(row)),
    }));
  }

  /** Runs a read; a store that is away becomes the error that callers know. */
  #read<T>(work: () => Promise<T>): Promise<T> {
    return toldWhenAway(work, this.#dialect);
  }
}

type SummaryQuery = SelectQueryBuilder<Tables & { s: Tables['chat_sessions'] }, 's', object>;

function unprefixed(row: Row): Row {
  return Object.fromEntries(messageColumns.map((c) => [c, row[`m_${c}`] ?? null]));
}
