import type { Kysely } from 'kysely';
import type { Dialect } from './dialect.ts';
import { patiently } from './patiently.ts';

const MIGRATION_TABLE = 'chat_schema';

/** The database was written by a newer Switchboard than this one. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError';
}

/**
 * Brings the database to this code's schema. Processes that start at once take turns: what has run is read and written
 * under one lock. (Kysely's Migrator reads its state before it has the lock of SQLite, and the second process fails.)
 * @throws NewerDatabaseError when the database has migrations that this code does not know
 */
export function migrate(dialect: Dialect): Promise<void> {
  const known = dialect.migrations;
  return patiently(dialect, () =>
    dialect.alone(async (run) => {
      await run(
        `CREATE TABLE IF NOT EXISTS ${MIGRATION_TABLE} (name VARCHAR(255) PRIMARY KEY NOT NULL, timestamp VARCHAR(255) NOT NULL)`,
      );
      const done = (await run(`SELECT name FROM ${MIGRATION_TABLE}`)).map((row) => row['name'] as string);
      const unknown = done.filter((name) => !(name in known));
      if (unknown.length > 0) {
        throw new NewerDatabaseError(
          `The database has migrations that this version does not know (${unknown.join(', ')}; ` +
            `it knows up to ${Object.keys(known).at(-1)}). ` +
            'Start the version that wrote it, or a newer one; nothing was changed.',
        );
      }
      for (const [name, up] of Object.entries(known)) {
        if (done.includes(name)) continue;
        await up(run);
        await run(`INSERT INTO ${MIGRATION_TABLE} (name, timestamp) VALUES (?, ${dialect.now()})`, [name]);
      }
    }),
  );
}

/**
 * Throws unless every migration of this code has run. More may have: while nodes are replaced one by one, the first new
 * one migrates, and the old ones go on serving.
 */
export async function assertMigrated(db: Kysely<never>, dialect: Dialect): Promise<void> {
  const rows = await db
    .selectFrom(MIGRATION_TABLE as never)
    .select('name' as never)
    .execute();
  const done = new Set(rows.map((row) => (row as { name: string }).name));
  const missing = Object.keys(dialect.migrations).filter((name) => !done.has(name));
  if (missing.length > 0) throw new Error(`migrations have not run: ${missing.join(', ')}`);
}
