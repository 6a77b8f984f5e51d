import { createRequire } from 'node:module';

export interface Sqlite {
  exec(sql: string): void;
  prepare(sql: string): {
    run(...values: (string | number | null)[]): unknown;
    all(...values: (string | number | null)[]): Record<string, unknown>[];
  };
  close(): void;
}

/** Opens a file with the driver that the server would use. */
export function openSqlite(file: string): Sqlite {
  const require = createRequire(new URL('../../packages/server/package.json', import.meta.url));
  const driver = process.getBuiltinModule?.('node:sqlite') ?? (require('@photostructure/sqlite') as unknown);
  const { DatabaseSync } = driver as { DatabaseSync: new (file: string) => Sqlite };
  return new DatabaseSync(file);
}
