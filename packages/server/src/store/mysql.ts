import { type Dialect as KyselyDialect, type MysqlPool, MysqlDialect } from 'kysely';
import mysql, { type PoolOptions, type QueryResult } from 'mysql2';
import { BorrowedPool, type ConnectionSource, type Lease } from './borrowed-pool.ts';
import { type Dialect, type Failure, type Row, type Run, type Transaction, type Value } from './dialect.ts';
import { mysqlMigrations } from './mysql-schema.ts';

export interface MysqlOptions {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

const LANES = 2;
/** Connections for typed reads, and for transactions, the lanes' among them: readers in plenty must not hold up a commit. */
const READERS = 10;
const TRANSACTIONS = LANES + 6;
/** A statement that takes longer finds the store frozen: its connection is given up. */
const STATEMENT_TIMEOUT_MS = 4_000;
/** Comparing is a statement for each session. */
const GUESSED = 8;
/** Statements of more characters than this are not made a block. */
const BLOCK_CHARACTERS = 20_000;
/** Migrating a large database takes minutes. */
const MIGRATION_WAIT_S = 3_600;
const CONNECT_TIMEOUT_MS = 3_000;

const SESSION_SETTINGS = [
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  "SET SESSION time_zone = '+00:00'",
  // Strict, and with backslash escapes, which is how the driver quotes.
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
];

/**
 * Every transaction of ours that adds a row to a session holds that session's row locked, or has just inserted it: for
 * the database to look it up once more for each message would prove nothing.
 */
const WRITER_SETTINGS = [
  'SET SESSION foreign_key_checks = 0',
  // The first statement begins the transaction by itself: each statement less is an answer less to wake up for.
  'SET SESSION autocommit = 0',
];

const driverOptions: PoolOptions = {
  charset: 'utf8mb4',
  timezone: 'Z',
  dateStrings: true,
  jsonStrings: true,
  supportBigNumbers: true,
  connectTimeout: CONNECT_TIMEOUT_MS,
  enableKeepAlive: true,
};

const writerOptions: PoolOptions = {
  connectionLimit: TRANSACTIONS,
  multipleStatements: true,
  // Values are in place already: the driver need not look through every batch for question marks.
  queryFormat: (sql: string) => sql,
};

/** MySQL 8 and newer, MariaDB 10.5 and newer: with pools of its own, or with a borrowed one. */
export function mysqlDialect(options: MysqlOptions | BorrowedPool): Dialect {
  const borrowed = options instanceof BorrowedPool;
  const pool = borrowed ? options : ownPool(options, { connectionLimit: READERS });
  const ours = borrowed ? null : ownPool(options, { ...writerOptions, maxIdle: LANES }, WRITER_SETTINGS);
  const way: TransactionWay = {
    // A session that is not ours alone keeps its own isolation; only the transaction that follows gets this one.
    begin: borrowed ? ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION'] : [],
    together: !borrowed,
    blocks: borrowed ? false : null,
  };
  return {
    name: 'mysql',
    kysely: kyselyDialect(pool),
    migrations: mysqlMigrations,
    alone: (work) => alone(pool, work),
    lanes: LANES,
    guessed: GUESSED,
    runsBeside: () => false,
    same,
    forUpdate: ' FOR UPDATE',
    transaction: (work) => transaction(ours ?? pool, way, work),
    overwrite: (_key, columns) => `ON DUPLICATE KEY UPDATE ${columns.map((c) => `${c}=VALUES(${c})`).join(', ')}`,
    now: (offsetMs = 0) =>
      offsetMs === 0 ? 'NOW(3)' : `DATE_ADD(NOW(3), INTERVAL ${Math.round(offsetMs) * 1000} MICROSECOND)`,
    classify,
    durabilityFaults: () => durabilityFaults(pool),
    close: async () => {
      if (ours) await end(ours);
      await end(pool);
    },
  };
}

/** One condition that the optimizer cannot look into: it would weigh every index that one of the columns is in. */
function same(columns: readonly string[], texts: readonly string[]): string {
  // Collations take no notice of spaces at the end.
  const conditions = columns.map((c) => (texts.includes(c) ? `${c}=CAST(? AS BINARY)` : `${c}<=>?`));
  return `IF(${conditions.join(' AND ')},1,0)`;
}

function end(pool: ConnectionSource): Promise<void> {
  return new Promise((resolve, reject) => pool.end((error) => (error ? reject(error) : resolve())));
}

function ownPool(options: MysqlOptions, more: PoolOptions, settings: readonly string[] = []): ConnectionSource {
  const pool = mysql.createPool({ ...options, ...driverOptions, ...more });
  pool.on('connection', (connection) => {
    // Queued before any query of ours. Without an error listener of its own, a failure here closes the connection.
    for (const statement of [...SESSION_SETTINGS, ...settings]) connection.query(statement);
  });
  return pool;
}

/** How the transactions of a pool run. */
interface TransactionWay {
  readonly begin: readonly string[];
  /** Whether several statements may travel in one packet. */
  readonly together: boolean;
  /** Whether they may be one block, answered once (MariaDB); null until the server was asked. */
  blocks: boolean | null;
}

async function transaction<T>(
  pool: ConnectionSource,
  way: TransactionWay,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  // One limit for all of it: a store that answers every statement late is as good as away.
  const until = performance.now() + STATEMENT_TIMEOUT_MS;
  const left = (): number => Math.max(1, Math.ceil(until - performance.now()));
  const connection = await takeWithin(pool, STATEMENT_TIMEOUT_MS);
  let healthy = false;
  try {
    way.blocks ??= await isMariadb(connection);
    const tx = new MysqlTransaction(connection, way, left);
    const result = await work(tx);
    await tx.commit();
    healthy = true;
    return result;
  } catch (error) {
    if (classify(error) !== 'away') {
      healthy = await query(connection, 'ROLLBACK', [], left()).then(
        () => true,
        () => false,
      );
    }
    throw error;
  } finally {
    // A connection in an unknown state may hold locks: closing it frees them, giving it back would hand them on.
    if (healthy) connection.release();
    else connection.destroy();
  }
}

async function isMariadb(connection: Lease): Promise<boolean> {
  const [row] = (await query(connection, 'SELECT VERSION() AS version')) as unknown as { version: string }[];
  return /mariadb/i.test(row?.version ?? '');
}

async function alone<T>(pool: ConnectionSource, work: (run: Run) => Promise<T>): Promise<T> {
  const connection = await take(pool);
  try {
    const run: Run = async (sql, values = []) => (await query(connection, sql, values, null)) as Row[];
    // Names of locks are the whole server's.
    const [lock] = await run(
      `SELECT GET_LOCK(CONCAT('switchboard.', LEFT(SHA2(DATABASE(), 256), 40)), ${MIGRATION_WAIT_S}) AS taken`,
    );
    if (lock?.['taken'] !== 1)
      throw new Error(`another process has been migrating this database for ${MIGRATION_WAIT_S} s`);
    return await work(run);
  } finally {
    // With it go the lock and what the migrations have set.
    connection.destroy();
  }
}

/** Statements that nobody waits for are kept, and travel with the next that somebody does: most batches take two round trips, small ones often one. */
class MysqlTransaction implements Transaction {
  readonly #connection: Lease;
  readonly #way: TransactionWay;
  /** Milliseconds until the transaction must have ended. */
  readonly #left: () => number;
  #kept: string[];

  constructor(connection: Lease, way: TransactionWay, left: () => number) {
    this.#connection = connection;
    this.#way = way;
    this.#left = left;
    this.#kept = [...way.begin];
  }

  async rows(sql: string, values: readonly Value[]): Promise<Row[]> {
    return (await this.#send(filled(sql, values))) as Row[];
  }

  async run(sql: string, values: readonly Value[]): Promise<number> {
    return ((await this.#send(filled(sql, values))) as { affectedRows: number }).affectedRows;
  }

  later(sql: string, values: readonly Value[]): void {
    this.#kept.push(filled(sql, values));
  }

  insert(table: string, columns: readonly string[], rows: readonly (readonly Value[])[], tail = ''): void {
    if (rows.length === 0) return;
    this.#kept.push(`INSERT INTO ${table} (${columns.join(',')}) VALUES ${rows.map(tuple).join(',')} ${tail}`);
  }

  laterExactly(rows: number, sql: string, values: readonly Value[]): void {
    this.later(sql, values);
    // There is no IF outside of routines: a subquery of two rows where one is wanted fails, and ends what is under way.
    this.later(`SET @switchboard_rows=IF(ROW_COUNT()=${rows},1,(SELECT 1 UNION SELECT 2))`, []);
  }

  async commit(): Promise<void> {
    // Each statement of a packet is answered by itself, and each answer wakes us up: a block is answered once. It is
    // parsed more slowly, though, and of a large batch the answers are the least.
    const statements = this.#kept;
    const length = statements.reduce((sum, { length }) => sum + length, 0);
    if (this.#way.blocks && length > 0 && length < BLOCK_CHARACTERS) {
      this.#kept = [];
      await this.#query(`BEGIN NOT ATOMIC ${statements.join(';')};COMMIT;END`);
    } else await this.#send('COMMIT');
  }

  /** @returns what the last of the statements answered */
  async #send(last: string): Promise<QueryResult> {
    const statements = [...this.#kept, last];
    this.#kept = [];
    if (this.#way.together && statements.length > 1) {
      return ((await this.#query(statements.join(';'))) as QueryResult[]).at(-1) as QueryResult;
    }
    for (const statement of statements.slice(0, -1)) await this.#query(statement);
    return this.#query(last);
  }

  #query(sql: string): Promise<QueryResult> {
    return query(this.#connection, sql, [], this.#left());
  }
}

/** A row as SQL. Written by hand, as the driver's way over placeholders costs several times as much for a large batch. */
function tuple(row: readonly Value[]): string {
  let text = '(';
  for (const [i, value] of row.entries()) text += i === 0 ? literal(value) : `,${literal(value)}`;
  return `${text})`;
}

/** A statement with its values in place. No statement of ours holds a question mark that is none of its values. */
function filled(sql: string, values: readonly Value[]): string {
  if (values.length === 0) return sql;
  const pieces = sql.split('?');
  if (pieces.length !== values.length + 1) throw new TypeError(`${values.length} values for: ${sql}`);
  let text = pieces[0] as string;
  for (const [i, value] of values.entries()) text += literal(value) + (pieces[i + 1] as string);
  return text;
}

function literal(value: Value): string {
  if (typeof value === 'string') return mysql.escape(value);
  if (value === null) return 'NULL';
  if (!Number.isFinite(value)) throw new TypeError(`cannot store ${value}`);
  return String(value);
}

function take(pool: ConnectionSource): Promise<Lease> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)));
  });
}

/** The pool's own queue has no limit of time. */
function takeWithin(pool: ConnectionSource, ms: number): Promise<Lease> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      reject(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' }));
    }, ms);
    pool.getConnection((error, connection) => {
      clearTimeout(timer);
      if (late) connection?.release();
      else if (error) reject(error);
      else resolve(connection);
    });
  });
}

/** @param timeout null: as long as it takes */
function query(
  connection: Lease,
  sql: string,
  values: readonly Value[] = [],
  timeout: number | null = STATEMENT_TIMEOUT_MS,
): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    const options = { sql, values: [...values], ...(timeout === null ? {} : { timeout }) };
    connection.query(options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

const AWAY = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR',
  'PROTOCOL_ENQUEUE_AFTER_QUIT',
  'POOL_CLOSED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
]);
/** Server errors that say "not now": too many connections, shutting down, killed, read only, disk or table full. */
const AWAY_NUMBERS = new Set([
  3, 1021, 1040, 1041, 1053, 1077, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1290, 1317, 1836, 1927, 3024,
  3032, 4031,
]);
/** "Subquery returns more than 1 row": see `laterExactly`. */
const STALE_NUMBER = 1242;
const CONTENTION_NUMBERS = new Set([1020, 1205, 1213]);

function classify(error: unknown): Failure {
  const { errno, code, fatal, message } = error as { errno?: number; code?: string; fatal?: boolean; message?: string };
  if (errno === 1062) return 'duplicate';
  if (errno === STALE_NUMBER) return 'stale';
  if (errno !== undefined && CONTENTION_NUMBERS.has(errno)) return 'contention';
  if (fatal || (code !== undefined && AWAY.has(code)) || (errno !== undefined && AWAY_NUMBERS.has(errno)))
    return 'away';
  if (/closed state|Pool is closed|Connection lost/.test(message ?? '')) return 'away';
  return 'other';
}

async function durabilityFaults(pool: ConnectionSource): Promise<string[]> {
  const connection = await take(pool);
  try {
    const found = (await query(
      connection,
      "SHOW VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit','sync_binlog','log_bin')",
    )) as unknown as { Variable_name: string; Value: string }[];
    const value = new Map(found.map((v) => [v.Variable_name, v.Value]));
    const faults: string[] = [];
    const flush = value.get('innodb_flush_log_at_trx_commit');
    if (flush !== '1') faults.push(`innodb_flush_log_at_trx_commit is ${flush}, must be 1`);
    const binlog = value.get('sync_binlog');
    if (value.get('log_bin') === 'ON' && binlog !== '1') faults.push(`sync_binlog is ${binlog}, must be 1`);
    return faults;
  } finally {
    connection.release();
  }
}

/** Kysely on the same pool, with our time limit on every statement. */
function kyselyDialect(pool: ConnectionSource): KyselyDialect {
  const limited: MysqlPool = {
    getConnection: (done) =>
      pool.getConnection((error, connection) => {
        if (error) {
          done(error, undefined as never);
          return;
        }
        done(null, {
          query: (sql: string, values: readonly unknown[], settle?: (error: unknown, result: never) => void) => {
            if (!settle) throw new Error('streams are not used');
            connection.query({ sql, values: [...values], timeout: STATEMENT_TIMEOUT_MS }, (failure, result) => {
              // A timed-out statement still runs in the server: nobody else may get this connection.
              if (failure && classify(failure) === 'away') connection.destroy();
              settle(failure, result as never);
            });
          },
          release: () => connection.release(),
        } as never);
      }),
    end: (done) => done(undefined),
  };
  return new MysqlDialect({ pool: limited });
}
