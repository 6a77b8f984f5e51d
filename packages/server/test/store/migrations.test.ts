import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { freshFolder } from '../../../../testing/run-folder.ts';
import { mysqlMigrations } from '../../src/store/mysql-schema.ts';
import { NewerDatabaseError } from '../../src/store/migrate.ts';
import { sqliteDialect } from '../../src/store/sqlite.ts';
import { SqlStore } from '../../src/store/sql-store.ts';
import { type Bench, command, appendOk, onEveryStore } from './open-store.ts';

onEveryStore('migrations', (bench) => {
  test('two stores that start at once on an empty database', async () => {
    for (let round = 0; round < 3; round++) {
      await bench.fresh();
      const dialects = await Promise.all((bench.name === 'sqlite' ? [1] : [1, 2, 3]).map(() => bench.dialect()));
      const stores = dialects.map((dialect) => new SqlStore({ dialect, capacity: 1 }));
      await Promise.all(stores.map((s) => s.migrate()));
      await Promise.all(stores.map((s) => s.ready()));
      await appendOk(stores[0] as SqlStore, command('message', 'works'));
      await Promise.all(stores.map((s) => s.close()));
    }
  });

  test('a database of a newer version is refused and left alone; a node that runs already goes on', async () => {
    await bench.fresh();
    const store = await bench.store();
    await execute(bench, "INSERT INTO chat_schema (name, timestamp) VALUES ('9999-from-the-future', '')");
    const before = await shape(bench);
    await expect(store.ready()).resolves.toBeUndefined();
    await expect(store.migrate()).rejects.toThrow(NewerDatabaseError);
    await expect(store.migrate()).rejects.toThrow(/9999-from-the-future.*nothing was changed/);
    expect(await shape(bench)).toEqual(before);
  });

  test('a store that is not migrated is not ready', async () => {
    await bench.fresh();
    const store = new SqlStore({ dialect: await bench.dialect(), capacity: 1 });
    await expect(store.ready()).rejects.toThrow();
    await store.migrate();
    await store.ready();
    const last = bench.name === 'sqlite' ? '0001-first-tables' : Object.keys(mysqlMigrations).at(-1);
    await execute(bench, `DELETE FROM chat_schema WHERE name = '${last}'`);
    await expect(store.ready()).rejects.toThrow(last);
    await store.close();
  });

  test('a second start changes nothing', async () => {
    await bench.fresh();
    const store = await bench.store();
    await appendOk(store, command('message', 'kept'));
    const before = await shape(bench);
    await store.migrate();
    expect(await shape(bench)).toEqual(before);
  });

  if (bench.name !== 'sqlite') {
    test('each migration run twice, and all of them once more, end in the same schema', async () => {
      await bench.fresh();
      await bench.store();
      const wanted = await shape(bench);
      await bench.fresh();
      const dialect = await bench.dialect();
      await dialect.alone(async (run) => {
        for (const up of Object.values(mysqlMigrations)) {
          await up(run);
          await up(run);
        }
        for (const up of Object.values(mysqlMigrations)) await up(run);
      });
      await dialect.close();
      await bench.store();
      expect(await shape(bench)).toEqual(wanted);
    });
  }
});

/** Processes of their own on one new file: Node 20 has no TypeScript of its own, so tsx runs them. */
const STARTER = `
const { sqliteDialect } = await import(process.env.SQLITE);
const { SqlStore } = await import(process.env.STORE);
while (Date.now() < Number(process.env.AT)) {}
const store = new SqlStore({ dialect: await sqliteDialect(process.env.FILE), capacity: 1 });
await store.migrate();
await store.ready();
await store.close();
`;

describe('migrations of one SQLite file', () => {
  test('processes that start at once all come up', async () => {
    const folder = freshFolder('sqlite-start');
    const source = (name: string): string => pathToFileURL(path.join(import.meta.dirname, '../../src/store', name)).href;
    try {
      for (let round = 0; round < 6; round++) {
        const file = path.join(folder, `new-${round}.db`);
        const env = { ...process.env, FILE: file, SQLITE: source('sqlite.ts'), STORE: source('sql-store.ts'), AT: String(Date.now() + 2_000) };
        const ends = await Promise.all([1, 2, 3].map(() => start(env)));
        expect(ends).toEqual([0, 0, 0].map((code) => ({ code, errors: '' })));
        const store = new SqlStore({ dialect: await sqliteDialect(file), capacity: 1 });
        await appendOk(store, command('message', 'works'));
        await store.close();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function start(env: NodeJS.ProcessEnv): Promise<{ code: number | null; errors: string }> {
  const child = spawn(process.execPath, ['--no-warnings', '--import', 'tsx', '--input-type=module', '-e', STARTER], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, errors })));
}

async function execute(bench: Bench, sql: string): Promise<void> {
  const dialect = await bench.dialect();
  await dialect.transaction((tx) => tx.run(sql, []));
  await dialect.close();
}

/** Everything that makes up the schema, as text; on MySQL with the rows of the migrations. */
async function shape(bench: Bench): Promise<unknown> {
  if (bench.name === 'sqlite') {
    return [await bench.rows('SELECT sql FROM sqlite_master ORDER BY name'), await bench.rows('SELECT * FROM chat_schema')];
  }
  const tables = (await bench.rows('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1')).map((r) => String(r['name']));
  const found: unknown[] = [];
  for (const table of tables) {
    const [row] = await bench.rows(`SHOW CREATE TABLE \`${table}\``);
    found.push(String(row?.['Create Table']).replace(/ AUTO_INCREMENT=\d+/, ''));
  }
  return [found, await bench.rows('SELECT name FROM chat_schema ORDER BY name')];
}
