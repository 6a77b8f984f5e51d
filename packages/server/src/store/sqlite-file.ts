import type { Row, Value } from './dialect.ts';

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

/** One thing to do on a connection. Plain arrays: they may have to travel to another thread. */
export type Step =
  | readonly ['begin']
  | readonly ['commit']
  | readonly ['rollback']
  | readonly ['rows', sql: string, values: readonly Value[]]
  | readonly ['run', sql: string, values: readonly Value[]]
  /** Fails with the code `STALE` if it changes another number of rows. */
  | readonly ['exactly', rows: number, sql: string, values: readonly Value[]]
  | readonly ['insert', Insert];

export interface Insert {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  readonly tail: string;
}

/** What the last of some steps found: rows, or how many it changed. */
export type Found = readonly Row[] | number;

export const STALE = 'STALE';

const BUSY_TIMEOUT_MS = 5_000;
const OPEN_AGAIN_MS = 20;
const STATEMENTS_KEPT = 200;
/** Rows of one INSERT: each call of the driver costs about as much as a row. More at once gain little. */
const TOGETHER = 16;

/**
 * First the patience: another process may be making the same file. And WAL alone would mean synchronous=NORMAL on some
 * builds: acknowledged rows lost at power loss.
 */
const DURABILITY = `PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL`;

/** After those, since they read the file. */
const SPEED = [
  // Every session that is written to keeps a page of four indexes busy: with 2 MB, as it would be, each is read again for each batch.
  'PRAGMA cache_size=-16000',
  // Pages: the busy ones are copied from the log to the file once for many commits.
  'PRAGMA wal_autocheckpoint=4000',
  // Whoever adds a row to a session reads or compares that session in the same transaction, and nobody else writes meanwhile.
  'PRAGMA foreign_keys=OFF',
].join('; ');

/** One connection to a file. What it does blocks its thread until it is done. */
export class SqliteFile {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  private constructor(database: Database) {
    this.#database = database;
    database.exec(DURABILITY);
    database.exec(SPEED);
  }

  /**
   * Two processes that make one file ready at the same moment: SQLite refuses one of them at once instead of letting it
   * wait, since both hold a lock that the other wants (they read, and then want to write).
   */
  static async open(file: string): Promise<SqliteFile> {
    const DatabaseSync = await loadDriver();
    const database = new DatabaseSync(file);
    for (const until = performance.now() + BUSY_TIMEOUT_MS; ;) {
      try {
        return new SqliteFile(database);
      } catch (error) {
        if (!isLocked(error) || performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
      }
    }
  }

  /** Does all of it in order, unless something fails. @returns what the last step found */
  perform(steps: readonly Step[]): Found {
    let found: Found = 0;
    for (const step of steps) found = this.#perform(step);
    return found;
  }

  #perform(step: Step): Found {
    switch (step[0]) {
      case 'begin':
        // IMMEDIATE takes the write lock now: a lock taken half-way could only fail.
        this.#database.exec('BEGIN IMMEDIATE');
        return 0;
      case 'commit':
        this.#database.exec('COMMIT');
        return 0;
      case 'rollback':
        this.#database.exec('ROLLBACK');
        return 0;
      case 'rows':
        return this.rows(step[1], step[2]);
      case 'run':
        return this.#run(step[1], step[2]);
      case 'exactly':
        if (this.#run(step[2], step[3]) === step[1]) return 0;
        throw Object.assign(new Error('the rows are not as expected'), { code: STALE });
      case 'insert':
        this.#insert(step[1]);
        return 0;
    }
  }

  rows(sql: string, values: readonly Value[]): Row[] {
    return this.#statement(sql).all(...bindable(values));
  }

  #run(sql: string, values: readonly Value[]): number {
    return Number(this.#statement(sql).run(...bindable(values)).changes);
  }

  #insert({ table, columns, rows, tail }: Insert): void {
    // OR FAIL, which leaves the rows before the bad one in place: the transaction is lost anyway, and SQLite need not
    // note down how to take back half a statement.
    const insert = (count: number): Statement => {
      const tuple = `(${columns.map(() => '?').join(',')})`;
      const tuples = Array.from({ length: count }, () => tuple).join(',');
      return this.#statement(`INSERT OR FAIL INTO ${table} (${columns.join(',')}) VALUES ${tuples} ${tail}`);
    };
    let at = 0;
    // With a tail each row is an update at heart, which gains nothing in company.
    if (tail === '' && rows.length >= TOGETHER) {
      const many = insert(TOGETHER);
      for (; at + TOGETHER <= rows.length; at += TOGETHER) many.run(...bindable(rows.slice(at, at + TOGETHER).flat()));
    }
    if (at === rows.length) return;
    const one = insert(1);
    for (; at < rows.length; at++) one.run(...bindable(rows[at] as readonly Value[]));
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
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
function bindable(values: readonly Value[]): readonly Value[] {
  for (const value of values) {
    if (value !== null && typeof value !== 'string' && typeof value !== 'number') {
      throw new TypeError(`cannot bind a ${typeof value} to a column`);
    }
  }
  return values;
}

/** The lower eight bits of an error's number: what it is, without the details. */
export function errorNumber(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

export function isLocked(error: unknown): boolean {
  const number = errorNumber(error);
  return number === 5 || number === 6 || /database (table )?is locked/.test((error as Error).message);
}
