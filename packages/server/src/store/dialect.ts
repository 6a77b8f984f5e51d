import type { Dialect as KyselyDialect } from 'kysely';

/** What a column may be bound to. Objects, dates and booleans are not: drivers disagree on them. */
export type Value = string | number | null;
export type Row = Record<string, Value>;

/** One transaction under way. Rows that it locked stay locked until it ends. */
export interface Transaction {
  rows(sql: string, values: readonly Value[]): Promise<Row[]>;
  /** @returns how many rows the statement changed */
  run(sql: string, values: readonly Value[]): Promise<number>;
  /**
   * Runs a statement whose result nobody waits for: it may travel with the next statement or with the COMMIT, in one
   * round trip. What is wrong with it is the failure of what it travels with.
   */
  later(sql: string, values: readonly Value[]): void;
  /**
   * `later`, for a statement that has to change so many rows: if it changes others, nothing of the transaction is stored,
   * and it fails as `stale`.
   */
  laterExactly(rows: number, sql: string, values: readonly Value[]): void;
  /** `later`, for many rows; `tail` follows the values, such as an ON DUPLICATE KEY clause. No rows: does nothing. */
  insert(table: string, columns: readonly string[], rows: readonly (readonly Value[])[], tail?: string): void;
}

/** Runs one statement of a migration, however long it takes. */
export type Run = (sql: string, values?: readonly Value[]) => Promise<Row[]>;
export type Migration = (run: Run) => Promise<void>;

/** What a failed statement means for the one who sent it. */
export type Failure =
  /** A unique key: somebody was first. */
  | 'duplicate'
  /** The rows were not as the transaction expected them. */
  | 'stale'
  /** Deadlock or lock wait: the same again may well pass. */
  | 'contention'
  /** The store is out of reach, or cannot write now; the outcome of a COMMIT is not known. */
  | 'away'
  | 'other';

/** All that differs between MySQL (MariaDB included) and SQLite. Everything else of the store is written once. */
export interface Dialect {
  readonly name: 'mysql' | 'sqlite';
  /** For typed queries outside the append path. */
  readonly kysely: KyselyDialect;
  readonly migrations: Readonly<Record<string, Migration>>;
  /**
   * Runs `work` on one connection while no other process does the same: on SQLite in a transaction, on MySQL, where DDL
   * commits by itself, under a named lock.
   */
  alone<T>(work: (run: Run) => Promise<T>): Promise<T>;
  /** How many commits may usefully be in flight at once. */
  readonly lanes: number;
  /** To compare so many sessions as they are written is cheaper than to read them first. */
  readonly guessed: number;
  /**
   * Whether the next transaction runs beside this thread and needs nothing of it but a start: then it may as well run
   * while the last one's outcome is told. On a database that shares the processor, later and larger is cheaper.
   */
  runsBeside(): boolean;
  /** Follows a SELECT that must lock its rows. */
  readonly forUpdate: string;
  /** Runs in one READ COMMITTED (or stronger) transaction: COMMIT when `work` resolves, ROLLBACK when it rejects. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Tail of an INSERT that overwrites these columns when the key exists. */
  readonly overwrite: (key: string, columns: readonly string[]) => string;
  /** SQL that is true where columns hold these values, NULL included, and these texts among them to the byte. */
  readonly same: (columns: readonly string[], texts: readonly string[]) => string;
  /** SQL for the store's own time, `offsetMs` from now, as the text that time columns hold. */
  readonly now: (offsetMs?: number) => string;
  classify(error: unknown): Failure;
  /** Settings that could lose acknowledged messages, in words; none when the store is durable. */
  durabilityFaults(): Promise<string[]>;
  close(): Promise<void>;
}

/** Time columns hold `YYYY-MM-DD HH:MM:SS.mmm`, UTC: readable, sortable, the same in every store. */
export function toTime(ms: number): string {
  // Many messages share a millisecond, and writing a time out costs more than remembering the last.
  if (ms !== writtenMs) {
    written = new Date(ms).toISOString().slice(0, 23).replace('T', ' ');
    writtenMs = ms;
  }
  return written;
}
let writtenMs = Number.NaN;
let written = '';

export function fromTime(text: Value | undefined): number | null {
  return typeof text === 'string' ? Date.parse(`${text.replace(' ', 'T')}Z`) : null;
}

/** Placeholders for a list of values. */
export function marks(values: readonly unknown[]): string {
  return values.map(() => '?').join(',');
}
