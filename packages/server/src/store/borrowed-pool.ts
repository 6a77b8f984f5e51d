import type { PoolConnection, QueryError, QueryOptions, QueryResult } from 'mysql2';

/** A connection while we have it. */
export interface Lease {
  query(options: QueryOptions, done: (error: QueryError | null, result: QueryResult) => void): unknown;
  release(): void;
  destroy(): void;
}

/** Where the store takes its connections from: a pool of its own, or a borrowed one. */
export interface ConnectionSource {
  getConnection(done: (error: Error | null, connection: Lease) => void): void;
  end(done: (error?: Error | null) => void): void;
}

/** A pool of mysql2, of whatever copy of it: with callbacks, or its promise wrapper. */
export interface MysqlPool {
  getConnection: (...parameters: never[]) => unknown;
}

interface CorePool {
  getConnection(done: (error: Error | null, connection: PoolConnection) => void): void;
  readonly config?: { readonly connectionConfig?: { readonly queryFormat?: unknown } };
}

/** What our SQL rests on. Noted in variables of the session before, put back from them after. */
const SETTINGS = {
  time_zone: "'+00:00'",
  sql_mode: "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
  autocommit: '1',
  sql_safe_updates: '0',
};
const names = Object.keys(SETTINGS);
const noted = (name: string): string => `@switchboard_${name}`;
const TAKE = `SET ${[
  ...names.map((name) => `${noted(name)} = @@SESSION.${name}`),
  ...Object.entries(SETTINGS).map(([name, value]) => `SESSION ${name} = ${value}`),
].join(', ')}`;
const GIVE_BACK = `SET ${names.map((name) => `SESSION ${name} = ${noted(name)}`).join(', ')}`;

/** How rows must come, whatever the pool was made with: numbers as numbers, everything else as text. */
const ROWS = {
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  typeCast: (field: Field): string | number | null => {
    const text = field.string('utf8');
    return text !== null && NUMBERS.has(field.type) ? numberOrText(text) : text;
  },
};
const NUMBERS = new Set(['TINY', 'SHORT', 'LONG', 'INT24', 'LONGLONG', 'YEAR', 'FLOAT', 'DOUBLE']);
interface Field {
  readonly type: string;
  string(encoding: string): string | null;
}

/** A whole number beyond what a number can hold stays a text, as in a pool of our own. */
function numberOrText(text: string): number | string {
  const number = Number(text);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? text : number;
}

/** How long a free connection is waited for, and how long the settings may take. */
const WAIT_MS = 4_000;
const ASK_AGAIN_MS = 20;
const FULL = /No connections available|Queue limit reached/;

/**
 * The host's own pool. Nothing about the pool is changed, and a connection goes back as it came: our settings hold
 * only while we have it. That costs two round trips each time, which a pool of our own does not.
 */
export class BorrowedPool implements ConnectionSource {
  readonly #pool: CorePool;
  /** Connections whose character set was looked at: it is fixed for as long as they live. */
  readonly #seen = new WeakSet<PoolConnection>();
  /** With our settings, and in nobody's hands. */
  readonly #resting: PoolConnection[] = [];
  #out = 0;
  #allBack: (() => void) | undefined;

  /** @throws TypeError when it is no pool of mysql2, or one that cannot be shared */
  constructor(pool: MysqlPool) {
    const core = ((pool as { pool?: MysqlPool }).pool ?? pool) as unknown as CorePool;
    if (typeof core?.getConnection !== 'function')
      throw new TypeError('database is neither a URL nor a pool of mysql2');
    if (typeof core.config?.connectionConfig?.queryFormat === 'function') {
      throw new TypeError('a pool with a queryFormat of its own cannot be shared: statements would be rewritten');
    }
    this.#pool = core;
  }

  getConnection(done: (error: Error | null, connection: Lease) => void): void {
    const resting = this.#resting.pop();
    if (resting) {
      done(null, this.#lease(resting));
      return;
    }
    let late = false;
    const impatience = setTimeout(() => {
      late = true;
      done(away(new Error(`no connection of the pool became free in ${WAIT_MS} ms`)), undefined as never);
    }, WAIT_MS);
    const ask = (): void =>
      this.#pool.getConnection((error, connection) => {
        if (late) {
          connection?.release();
        } else if (error && FULL.test(error.message)) {
          // A pool that does not let callers wait: its connections are soon back all the same.
          setTimeout(ask, ASK_AGAIN_MS);
        } else {
          clearTimeout(impatience);
          if (error) done(away(error), undefined as never);
          else void this.#lend(connection, done);
        }
      });
    ask();
  }

  /** Resolves when all connections are back. The pool itself is the host's to end. */
  end(done: (error?: Error | null) => void): void {
    if (this.#out === 0) done();
    else this.#allBack = done;
  }

  async #lend(connection: PoolConnection, done: (error: Error | null, connection: Lease) => void): Promise<void> {
    this.#out++;
    try {
      if (!this.#seen.has(connection)) await checkCharacterSet(connection);
      this.#seen.add(connection);
      await ask(connection, TAKE);
    } catch (error) {
      connection.destroy();
      this.#back();
      done(error as Error, undefined as never);
      return;
    }
    done(null, this.#lease(connection));
  }

  #lease(connection: PoolConnection): Lease {
    return {
      query: (options, settle) => connection.query({ ...ROWS, ...options }, settle as never),
      release: () => this.#rest(connection),
      destroy: () => {
        connection.destroy();
        this.#back();
      },
    };
  }

  /** Keeps a connection for the rest of this turn: what comes next most often comes at once. */
  #rest(connection: PoolConnection): void {
    this.#resting.push(connection);
    setImmediate(() => {
      const place = this.#resting.indexOf(connection);
      if (place < 0) return;
      this.#resting.splice(place, 1);
      void this.#giveBack(connection);
    });
  }

  async #giveBack(connection: PoolConnection): Promise<void> {
    try {
      await ask(connection, GIVE_BACK);
      connection.release();
    } catch {
      // With our settings on it, it must not go back.
      connection.destroy();
    } finally {
      this.#back();
    }
  }

  #back(): void {
    if (--this.#out === 0) this.#allBack?.();
  }
}

async function checkCharacterSet(connection: PoolConnection): Promise<void> {
  const [found] = (await ask(
    connection,
    'SELECT @@character_set_client AS client, @@character_set_results AS results, DATABASE() AS name',
  )) as { client: string; results: string; name: string | null }[];
  if (found?.client !== 'utf8mb4' || found.results !== 'utf8mb4') {
    throw new Error(
      `the pool's character set is ${found?.client}, must be utf8mb4 (charset: 'utf8mb4'): emoji would be lost`,
    );
  }
  if (found.name === null) throw new Error('the pool names no database');
}

function ask(connection: PoolConnection, sql: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    connection.query({ ...ROWS, sql, timeout: WAIT_MS } as QueryOptions, (error, result) =>
      error ? reject(error) : resolve(result),
    );
  });
}

/** A pool that has no connection to give is a store that is away for now. */
function away(error: Error): Error {
  return Object.assign(error, { fatal: true });
}
