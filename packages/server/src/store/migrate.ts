import { type Kysely, Migrator } from 'kysely';
import type { Dialect } from './dialect.ts';

const MIGRATION_TABLE = 'chat_schema';

/** The database was written by a newer Switchboard than this one. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError';
}

/**
 * Brings the database to this code's schema. Two processes that start at once take turns: on MySQL under a named lock,
 * on SQLite under the write lock.
 * @throws NewerDatabaseError when the database has migrations that this code does not know
 */
export async function migrate(db: Kysely<never>, dialect: Dialect): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...dialect.migrations }) },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: `${MIGRATION_TABLE}_lock`,
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const failed = results?.find((r) => r.status === 'Error')?.migrationName;
  if (!failed && /corrupted migrations/.test(String((error as Error).message))) {
    throw new NewerDatabaseError(
      `The database has migrations that this version does not know (it knows up to ${Object.keys(dialect.migrations).at(-1)}). ` +
        'Start the version that wrote it, or a newer one; nothing was changed.',
      { cause: error },
    );
  }
  throw error;
}

/** Throws unless every migration of this code has run. */
export async function assertMigrated(db: Kysely<never>, dialect: Dialect): Promise<void> {
  const done = await db
    .selectFrom(MIGRATION_TABLE as never)
    .select(({ fn }) => fn.countAll().as('count') as never)
    .executeTakeFirst();
  const known = Object.keys(dialect.migrations).length;
  const count = Number((done as { count?: number | string } | undefined)?.count ?? 0);
  if (count !== known) throw new Error(`${count} of ${known} migrations have run`);
}
