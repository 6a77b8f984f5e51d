import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { dialectOf, openStore } from '../open-store.ts';
import type { Dialect } from '../store/dialect.ts';
import { NewerDatabaseError } from '../store/migrate.ts';
import { recount } from '../store/recount.ts';
import { reasonOf } from './finding.ts';
import { fail } from './verb.ts';

/** Brings the database to this version's tables, as a start would, counts anew what lists and statistics show, and ends. */
export async function migrate(config: Config): Promise<number> {
  // The log goes to stderr here: stdout says what was done.
  const log = createLog(config.logLevel, process.stderr);
  try {
    const store = await openStore(config, { log, metrics: createMetrics(), pool: null });
    await store.close();
    const { names, wrong } = await settled(config.database);
    process.stdout.write(`The database is up to date: ${names.length} migrations, the last one is ${names.at(-1)}\n`);
    if (wrong > 0) process.stdout.write(`Counters that did not agree with the rows were put right: ${wrong}\n`);
    return 0;
  } catch (error) {
    if (error instanceof NewerDatabaseError) return fail(error.message, 1);
    return fail(`DATABASE_URL: the database could not be migrated (${reasonOf(error)})`, 1);
  }
}

async function settled(database: Config['database']): Promise<{ names: string[]; wrong: number }> {
  const dialect = await dialectOf(database);
  try {
    const wrong = await dialect.alone((run) => recount(run, dialect.name));
    return { names: await migrationsDone(dialect), wrong };
  } finally {
    await dialect.close();
  }
}

/** Names of the migrations that have run, in order; none in a database that was never migrated. */
export async function migrationsDone(dialect: Dialect): Promise<string[]> {
  try {
    const rows = await dialect.transaction((tx) => tx.rows('SELECT name FROM chat_schema ORDER BY name', []));
    return rows.map((row) => String(row['name']));
  } catch (error) {
    const { errno, message } = error as { errno?: number; message?: string };
    if (errno === 1146 || /no such table/.test(message ?? '')) return [];
    throw error;
  }
}
