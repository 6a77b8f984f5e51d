import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config.ts';
import { randomShard } from './ids.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { BorrowedPool } from './store/borrowed-pool.ts';
import type { Dialect } from './store/dialect.ts';
import { SqlStore } from './store/sql-store.ts';
import { sqliteDialect } from './store/sqlite.ts';

/** The dialect of the database that is configured, or of the host's own pool. Only the driver that it needs is loaded. */
export async function dialectOf(database: Config['database'], pool: BorrowedPool | null = null): Promise<Dialect> {
  if (!pool && database.kind === 'sqlite') return sqliteDialect(database.file);
  const { mysqlDialect } = await import('./store/mysql.ts');
  return mysqlDialect(pool ?? (database as Extract<Config['database'], { kind: 'mysql' }>).options);
}

export interface StoreParts {
  readonly log: Log;
  readonly metrics: Metrics;
  /** The host's own pool, in place of the database that is configured. */
  readonly pool: BorrowedPool | null;
  /** Ends the wait for a database that is away. */
  readonly giveUp?: AbortSignal | undefined;
}

/**
 * Opens the store and brings it to this version's tables.
 * @throws what the store throws when it cannot be reached or migrated, `AbortError` when told to give up
 */
export async function openStore(config: Config, { log, metrics, pool, giveUp }: StoreParts): Promise<SqlStore> {
  const dialect = await dialectOf(config.database, pool);
  const store = new SqlStore({
    dialect,
    capacity: config.maxActiveSessionsPerAdmin,
    shard: randomShard(),
    onCommit: (size, seconds) => {
      metrics.commitSize.observe(size);
      metrics.commitSeconds.observe(seconds);
    },
  });
  try {
    await migrateWhenReachable(store, dialect, { patienceMs: config.databaseWaitSeconds * 1000, log, giveUp });
    const wrong = await store.mendCounters();
    if (wrong > 0) log.warn({ counters: wrong }, 'others have written to the tables; counted anew');
    for (const fault of await store.durabilityFaults()) {
      log.warn({ fault }, 'the database may lose acknowledged messages at a power loss');
    }
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
  return store;
}

interface Wait {
  readonly patienceMs: number;
  readonly log: Log;
  readonly giveUp: AbortSignal | undefined;
}

/** A database that starts at the same time as we do gets a while to come up. */
async function migrateWhenReachable(store: SqlStore, dialect: Dialect, wait: Wait): Promise<void> {
  const until = performance.now() + wait.patienceMs;
  for (;;) {
    try {
      await store.migrate();
      return;
    } catch (error) {
      if (dialect.classify(error) !== 'away' || performance.now() > until) throw error;
      wait.log.warn({ err: error }, 'the database cannot be reached yet');
      await sleep(500, undefined, { signal: wait.giveUp });
    }
  }
}
