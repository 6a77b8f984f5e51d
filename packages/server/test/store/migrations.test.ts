import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { freshFolder } from '../../../../testing/run-folder.ts';
import { mysqlMigrations } from '../../src/store/mysql-schema.ts';
import { NewerDatabaseError } from '../../src/store/migrate.ts';
import { sqliteMigrations } from '../../src/store/sqlite-schema.ts';
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
    const last = Object.keys(bench.name === 'sqlite' ? sqliteMigrations : mysqlMigrations).at(-1);
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

/** Processes of their own that make the same new files at the same moments. Node 20 cannot run TypeScript: tsx does. */
const FILES = 20;
const STARTER = `
const { sqliteDialect } = await import(process.env.SQLITE);
const { SqlStore } = await import(process.env.STORE);
process.stdout.write('ready');
const at = await new Promise((resolve) => process.stdin.once('data', (text) => resolve(Number(text))));
for (let i = 0; i < ${FILES}; i++) {
  while (Date.now() < at + i * 100) {}
  const store = new SqlStore({ dialect: await sqliteDialect(process.env.FILES_IN + '/' + i + '.db'), capacity: 1 });
  await store.migrate();
  await store.ready();
  await store.close();
}
process.exit(0);
`;

describe('migrations of one SQLite file', () => {
  test('processes that start at once all come up', async () => {
    const folder = freshFolder('sqlite-start');
    const source = (name: string): string =>
      pathToFileURL(path.join(import.meta.dirname, '../../src/store', name)).href;
    const env = { ...process.env, FILES_IN: folder, SQLITE: source('sqlite.ts'), STORE: source('sql-store.ts') };
    try {
      const starters = [1, 2, 3].map(() => new Starter(env));
      await Promise.all(starters.map((s) => s.ready));
      const at = Date.now() + 200;
      const ends = await Promise.all(starters.map((s) => s.go(at)));
      expect(ends).toEqual([0, 0, 0].map((code) => ({ code, errors: '' })));
      const store = new SqlStore({ dialect: await sqliteDialect(path.join(folder, '0.db')), capacity: 1 });
      await appendOk(store, command('message', 'works'));
      await store.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

class Starter {
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  #errors = '';

  constructor(env: NodeJS.ProcessEnv) {
    this.#child = spawn(process.execPath, ['--no-warnings', '--import', 'tsx', '--input-type=module', '-e', STARTER], {
      env,
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.ready = new Promise((resolve) => {
      this.#child.stdout?.once('data', () => resolve());
      this.#child.once('close', () => resolve());
    });
  }

  go(at: number): Promise<{ code: number | null; errors: string }> {
    this.#child.stdin?.on('error', () => undefined).write(String(at));
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null) resolve({ code: this.#child.exitCode, errors: this.#errors });
      this.#child.once('close', (code) => resolve({ code, errors: this.#errors }));
    });
  }
}

async function execute(bench: Bench, sql: string): Promise<void> {
  const dialect = await bench.dialect();
  await dialect.transaction((tx) => tx.run(sql, []));
  await dialect.close();
}

/** Everything that makes up the schema, as text; on MySQL with the rows of the migrations. */
async function shape(bench: Bench): Promise<unknown> {
  if (bench.name === 'sqlite') {
    return [
      await bench.rows('SELECT sql FROM sqlite_master ORDER BY name'),
      await bench.rows('SELECT * FROM chat_schema'),
    ];
  }
  const tables = (
    await bench.rows(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1',
    )
  ).map((r) => String(r['name']));
  const found: unknown[] = [];
  for (const table of tables) {
    const [row] = await bench.rows(`SHOW CREATE TABLE \`${table}\``);
    found.push(String(row?.['Create Table']).replace(/ AUTO_INCREMENT=\d+/, ''));
  }
  return [found, await bench.rows('SELECT name FROM chat_schema ORDER BY name')];
}
