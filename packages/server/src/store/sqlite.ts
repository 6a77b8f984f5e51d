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
import { sqliteMigrations } from './sqlite-schema.ts';

/** The part of `node:sqlite` that we use; `@photostructure/sqlite` has the same. */
interface Statement {
  all(...values: Value[]): Row[];
  run(...values: Value[]): { changes: number | bigint };
}
interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

async function loadDriver(): Promise<new (file: string) => Database> {
  const builtin = process.getBuiltinModule?.('node:sqlite') as { DatabaseSync: unknown } | undefined;
  const module = builtin ?? ((await import('@photostructure/sqlite')) as { DatabaseSync: unknown });
  return module.DatabaseSync as new (file: string) => Database;
}

const BUSY_TIMEOUT_MS = 5_000;
const OPEN_AGAIN_MS = 20;
const STATEMENTS_KEPT = 200;

/**
 * The embedded store: one connection, used by one transaction or query at a time.
 * @param file path, or `:memory:`
 */
export async function sqliteDialect(file: string): Promise<Dialect> {
  const DatabaseSync = await loadDriver();
  if (file !== ':memory:') mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  const connection = await opened(new DatabaseSync(file));
  return {
    name: 'sqlite',
    kysely: kyselyDialect(connection),
    migrations: sqliteMigrations,
    alone: (work) => connection.transaction((tx) => work((sql, values = []) => tx.rows(sql, values))),
    lanes: 1,
    forUpdate: '',
    transaction: (work) => connection.transaction(work),
    overwrite: (key, columns) =>
      `ON CONFLICT(${key}) DO UPDATE SET ${columns.map((c) => `${c}=excluded.${c}`).join(', ')}`,
    now: (offsetMs = 0) => `strftime('%Y-%m-%d %H:%M:%f', 'now', '${(offsetMs / 1000).toFixed(3)} seconds')`,
    classify,
    durabilityFaults: () =>
      connection.exclusive(() => {
        const level = connection.all('PRAGMA synchronous', [])[0]?.['synchronous'];
        return Promise.resolve(Number(level) >= 2 ? [] : [`synchronous is ${level}, must be 2 (FULL)`]);
      }),
    close: () => connection.close(),
  };
}

/**
 * Two processes that make one file ready at the same moment: SQLite refuses one of them at once instead of letting it
 * wait, since both hold a lock that the other wants (they read, and then want to write).
 */
async function opened(database: Database): Promise<SqliteConnection> {
  for (const until = performance.now() + BUSY_TIMEOUT_MS; ;) {
    try {
      return new SqliteConnection(database);
    } catch (error) {
      if (classify(error) !== 'contention' || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
    }
  }
}

class SqliteConnection implements Transaction {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(database: Database) {
    this.#database = database;
    // First the patience: another process may be making the same file. And WAL alone would mean synchronous=NORMAL on
    // some builds: acknowledged rows lost at power loss.
    database.exec(
      `PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON`,
    );
  }

  /** Runs `work` when nobody else uses the connection. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.exclusive(async () => {
      // IMMEDIATE takes the write lock now: a lock taken half-way could only fail.
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = await work(this);
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        try {
          this.#database.exec('ROLLBACK');
        } catch {
          // The failed COMMIT has rolled back by itself.
        }
        throw error;
      }
    });
  }

  all(sql: string, values: readonly Value[]): Row[] {
    return this.#statement(sql).all(...values.map(bindable));
  }

  async rows(sql: string, values: readonly Value[]): Promise<Row[]> {
    return this.all(sql, values);
  }

  async run(sql: string, values: readonly Value[]): Promise<number> {
    return Number(this.#statement(sql).run(...values.map(bindable)).changes);
  }

  later(sql: string, values: readonly Value[]): void {
    this.#statement(sql).run(...values.map(bindable));
  }

  insert(table: string, columns: readonly string[], rows: readonly (readonly Value[])[], tail = ''): void {
    if (rows.length === 0) return;
    const marks = columns.map(() => '?').join(',');
    const statement = this.#statement(`INSERT INTO ${table} (${columns.join(',')}) VALUES (${marks}) ${tail}`);
    for (const row of rows) statement.run(...row.map(bindable));
  }

  close(): Promise<void> {
    return this.exclusive(async () => {
      this.#statements.clear();
      this.#database.close();
    });
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= STATEMENTS_KEPT) this.#statements.clear();
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** SQLite would bind a Date as NULL and takes booleans by version: let nothing through but what all agree on. */
function bindable(value: Value): Value {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  throw new TypeError(`cannot bind a ${typeof value} to a column`);
}

function classify(error: unknown): Failure {
  const { errcode, code, message } = error as { errcode?: number; code?: string; message?: string };
  const number = (errcode ?? 0) & 0xff;
  if (/UNIQUE constraint failed/.test(message ?? '')) return 'duplicate';
  if (number === 5 || number === 6 || /database (table )?is locked/.test(message ?? '')) return 'contention';
  // FULL, IOERR, CANTOPEN, READONLY: nothing is wrong with the statement.
  if ([13, 10, 14, 8].includes(number) || code === 'ERR_INVALID_STATE') return 'away';
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
    rows: this.#connection.all(query.sql, query.parameters as readonly Value[]) as R[],
  });
}

function noStreams(): AsyncIterableIterator<never> {
  throw new Error('streams are not used');
}
