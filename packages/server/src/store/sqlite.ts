import { mkdirSync } from 'node:fs';
import path from 'node:path';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect as KyselyDialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Dialect, Failure, Row, Transaction, Value } from './dialect.ts';
import { errorNumber, type Found, isLocked, SqliteFile, STALE, type Step } from './sqlite-file.ts';
import { sqliteMigrations } from './sqlite-schema.ts';
import { SqliteThread, ThreadEndedError } from './sqlite-thread.ts';

/**
 * The embedded store: used by one transaction or query at a time.
 * @param file path, or `:memory:`
 */
export async function sqliteDialect(file: string): Promise<Dialect> {
  if (file !== ':memory:') mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  const connection = new SqliteConnection(file, await SqliteFile.open(file));
  return {
    name: 'sqlite',
    kysely: kyselyDialect(connection),
    migrations: sqliteMigrations,
    alone: (work) => connection.transaction((tx) => work((sql, values = []) => tx.rows(sql, values))),
    lanes: 1,
    guessed: GUESSED,
    runsBeside: () => connection.elsewhere,
    same: (columns) => columns.map((c) => `${c} IS ?`).join(' AND '),
    forUpdate: '',
    transaction: (work) => connection.transaction(work),
    overwrite: (key, columns) =>
      `ON CONFLICT(${key}) DO UPDATE SET ${columns.map((c) => `${c}=excluded.${c}`).join(', ')}`,
    now: (offsetMs = 0) => `strftime('%Y-%m-%d %H:%M:%f', 'now', '${(offsetMs / 1000).toFixed(3)} seconds')`,
    classify,
    durabilityFaults: () =>
      connection.exclusive(() => {
        const level = connection.rows('PRAGMA synchronous', [])[0]?.['synchronous'];
        return Promise.resolve(Number(level) >= 2 ? [] : [`synchronous is ${level}, must be 2 (FULL)`]);
      }),
    close: () => connection.close(),
  };
}

/**
 * Large transactions are worth the way to a thread that writes them while this one goes on; small ones are done sooner
 * here, where nobody has to be woken up. Rows of a transaction, on average of the last few.
 */
const LARGE = 128;
const SMALL = 32;
const WEIGHT_OF_LAST = 0.25;
/** Nobody else writes, as a rule: a guess is right, and saves the way to the thread. */
const GUESSED = 128;

/** The connection of this thread, and the thread that takes over while much is written. One user at a time. */
class SqliteConnection {
  readonly #name: string;
  readonly #file: SqliteFile;
  #thread: SqliteThread | null = null;
  #elsewhere = false;
  #rowsLately = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(name: string, file: SqliteFile) {
    this.#name = name;
    this.#file = file;
  }

  /** Runs `work` when nobody else uses the connection. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.exclusive(async () => {
      const perform = this.#place();
      const tx = new SqliteTransaction(perform);
      try {
        const result = await work(tx);
        await tx.commit();
        return result;
      } catch (error) {
        // A failed COMMIT has rolled back by itself, and so has a thread that ended.
        await perform([['rollback']]).catch(() => undefined);
        throw error;
      } finally {
        this.#note(tx.rowsWritten);
      }
    });
  }

  /** Whether the next transaction runs in the thread: not before it is there, and never again if it has ended. */
  get elsewhere(): boolean {
    return this.#elsewhere && this.#thread?.ready === true;
  }

  #place(): Perform {
    const thread = this.#thread;
    if (thread && this.elsewhere) return (steps) => thread.perform(steps);
    return async (steps) => this.#file.perform(steps);
  }

  /** Chooses where the next ones run. Changing is not free: what a connection has read is void once another has written. */
  #note(rows: number): void {
    this.#rowsLately += WEIGHT_OF_LAST * (rows - this.#rowsLately);
    if (this.#rowsLately > LARGE) this.#elsewhere = this.#name !== ':memory:';
    else if (this.#rowsLately < SMALL) this.#elsewhere = false;
    if (this.#elsewhere) this.#thread ??= new SqliteThread(this.#name);
  }

  /** For who has the connection to themselves. */
  rows(sql: string, values: readonly Value[]): Row[] {
    return this.#file.rows(sql, values);
  }

  close(): Promise<void> {
    return this.exclusive(async () => {
      await this.#thread?.close();
      this.#file.close();
    });
  }
}

type Perform = (steps: readonly Step[]) => Promise<Found>;

/** Statements that nobody waits for are kept, and travel with the next that somebody does. */
class SqliteTransaction implements Transaction {
  readonly #perform: Perform;
  #kept: Step[] = [['begin']];
  rowsWritten = 0;

  constructor(perform: Perform) {
    this.#perform = perform;
  }

  async rows(sql: string, values: readonly Value[]): Promise<Row[]> {
    return (await this.#send(['rows', sql, values])) as Row[];
  }

  async run(sql: string, values: readonly Value[]): Promise<number> {
    return (await this.#send(['run', sql, values])) as number;
  }

  later(sql: string, values: readonly Value[]): void {
    this.rowsWritten++;
    this.#kept.push(['run', sql, values]);
  }

  laterExactly(rows: number, sql: string, values: readonly Value[]): void {
    this.rowsWritten += rows;
    this.#kept.push(['exactly', rows, sql, values]);
  }

  insert(table: string, columns: readonly string[], rows: readonly (readonly Value[])[], tail = ''): void {
    if (rows.length === 0) return;
    this.rowsWritten += rows.length;
    this.#kept.push(['insert', { table, columns, rows, tail }]);
  }

  async commit(): Promise<void> {
    await this.#send(['commit']);
  }

  #send(last: Step): Promise<Found> {
    const steps = [...this.#kept, last];
    this.#kept = [];
    return this.#perform(steps);
  }
}

function classify(error: unknown): Failure {
  const { code, message } = error as { code?: string; message?: string };
  if (/UNIQUE constraint failed/.test(message ?? '')) return 'duplicate';
  if (code === STALE) return 'stale';
  if (isLocked(error)) return 'contention';
  // FULL, IOERR, CANTOPEN, READONLY: nothing is wrong with the statement.
  if ([13, 10, 14, 8].includes(errorNumber(error)) || code === 'ERR_INVALID_STATE' || error instanceof ThreadEndedError)
    return 'away';
  return 'other';
}

/** Lets Kysely share our one connection, one query or transaction at a time. */
function kyselyDialect(connection: SqliteConnection): KyselyDialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SharedDriver(connection),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class SharedDriver implements Driver {
  readonly #connection: SqliteConnection;
  readonly #releases = new WeakMap<DatabaseConnection, () => void>();

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  async init(): Promise<void> {}

  acquireConnection(): Promise<DatabaseConnection> {
    return new Promise((resolve) => {
      void this.#connection.exclusive(
        () =>
          new Promise<void>((release) => {
            const handle = { executeQuery: this.#execute, streamQuery: noStreams };
            this.#releases.set(handle, release);
            resolve(handle);
          }),
      );
    });
  }

  async releaseConnection(handle: DatabaseConnection): Promise<void> {
    this.#releases.get(handle)?.();
  }

  async beginTransaction(handle: DatabaseConnection): Promise<void> {
    await handle.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'));
  }

  async commitTransaction(handle: DatabaseConnection): Promise<void> {
    await handle.executeQuery(CompiledQuery.raw('COMMIT'));
  }

  async rollbackTransaction(handle: DatabaseConnection): Promise<void> {
    await handle.executeQuery(CompiledQuery.raw('ROLLBACK'));
  }

  async destroy(): Promise<void> {}

  readonly #execute = async <R>(query: CompiledQuery): Promise<QueryResult<R>> => ({
    rows: this.#connection.rows(query.sql, query.parameters as readonly Value[]) as R[],
  });
}

function noStreams(): AsyncIterableIterator<never> {
  throw new Error('streams are not used');
}
