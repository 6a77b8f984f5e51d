import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshFolder } from '../../../../testing/run-folder.ts';
import type { Dialect, Value } from '../../src/store/dialect.ts';
import type * as dialects from '../../src/store/sqlite.ts';
import type * as threads from '../../src/store/sqlite-thread.ts';

/** The built files: a thread is started from a file, and not every Node.js of ours starts one of TypeScript. */
const built = (file: string): string => new URL(`../../dist/store/${file}`, import.meta.url).href;
const { sqliteDialect } = (await import(built('sqlite.js'))) as typeof dialects;
const { SqliteThread } = (await import(built('sqlite-thread.js'))) as typeof threads;

let folder = '';
let files = 0;
beforeAll(() => {
  folder = freshFolder('thread');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const freshFile = (): string => path.join(folder, `${files++}.db`);

async function withTable(work: (dialect: Dialect, write: (rows: number) => Promise<void>) => Promise<void>) {
  const dialect = await sqliteDialect(freshFile());
  let next = 0;
  try {
    await dialect.alone((run) => run('CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)'));
    await work(dialect, (rows) =>
      dialect.transaction(async (tx) => {
        const [row] = await tx.rows('SELECT COUNT(*) AS n FROM things', []);
        expect(row?.['n']).toBe(next);
        const names = Array.from({ length: rows }, (): Value[] => [next, `thing ${next++}`]);
        tx.insert('things', ['id', 'name'], names);
      }),
    );
    const [row] = await dialect.transaction((tx) => tx.rows('SELECT COUNT(*) AS n, MAX(id) AS last FROM things', []));
    expect(row).toEqual({ n: next, last: next - 1 });
  } finally {
    await dialect.close();
  }
}

/** True: somebody else did the work, here it would have been done before the event loop turned. False: they may have been as fast. */
async function isElsewhere(work: () => Promise<unknown>): Promise<boolean> {
  let done = false;
  const promise = work().finally(() => (done = true));
  await new Promise(setImmediate);
  const elsewhere = !done;
  await promise;
  return elsewhere;
}

async function writtenElsewhere(write: (rows: number) => Promise<void>): Promise<void> {
  while (!(await isElsewhere(() => write(300))));
}

test('a thread takes over while much is written, and no longer; each sees what the other wrote', async () => {
  await withTable(async (_, write) => {
    expect(await isElsewhere(() => write(1))).toBe(false);
    for (let round = 0; round < 2; round++) {
      await writtenElsewhere(write);
      while (await isElsewhere(() => write(1)));
    }
  });
});

test('says where the next transaction runs', async () => {
  await withTable(async (dialect, write) => {
    expect(dialect.runsBeside()).toBe(false);
    let seen = 0;
    for (let i = 0; i < 60; i++) {
      const beside = dialect.runsBeside();
      const elsewhere = await isElsewhere(() => write(i < 30 ? 300 : 1));
      if (elsewhere) seen++;
      if (!beside) expect(elsewhere).toBe(false);
      // The thread says by itself when it is there.
      if (i === 20) await expect.poll(() => dialect.runsBeside()).toBe(true);
    }
    expect(seen).toBeGreaterThan(0);
    expect(dialect.runsBeside()).toBe(false);
  });
});

test.each(['here', 'in the thread'])(
  'rows that are not as expected fail as stale, and nothing is stored: %s',
  async (where) => {
    await withTable(async (dialect, write) => {
      await write(1);
      if (where === 'in the thread') await writtenElsewhere(write);
      const attempt = (id: number): Promise<void> =>
        dialect.transaction(async (tx) => {
          tx.insert('things', ['id', 'name'], [[1_000_000, 'lost']]);
          tx.laterExactly(1, 'UPDATE things SET name=? WHERE id=?', ['thing 0', id]);
        });
      expect(dialect.runsBeside()).toBe(where === 'in the thread');
      const refused = attempt(-1);
      expect(dialect.classify(await refused.catch((error: unknown) => error))).toBe('stale');
    });
  },
);

test('what fails in the thread is what would have failed here, leaves nothing behind and does not stop the next', async () => {
  await withTable(async (dialect, write) => {
    await writtenElsewhere(write);
    const rows = Array.from({ length: 100 }, (_, i): Value[] => [1_000_000 + i, i === 70 ? 'thing 0' : `other ${i}`]);
    const twice = dialect.transaction(async (tx) => tx.insert('things', ['id', 'name'], rows));
    expect(dialect.classify(await twice.catch((error: unknown) => error))).toBe('duplicate');
    const refused = dialect.transaction(async (tx) => {
      tx.insert('things', ['id', 'name'], rows.slice(0, 50));
      await tx.rows('SELECT 1', []);
      throw new Error('after all not');
    });
    await expect(refused).rejects.toThrow('after all not');
    expect(dialect.runsBeside()).toBe(true);
    await write(300);
  });
});

test('a thread that has ended leaves nobody waiting, and says that the store is away', async () => {
  await withTable(async (dialect, write) => {
    await write(1);
    for (const file of [freshFile(), path.join(folder, 'no', 'such', 'folder.db')]) {
      const thread = new SqliteThread(file);
      const asked = thread.perform([['rows', 'SELECT 1 AS one', []]]).catch((error: unknown) => error);
      await thread.close();
      const answer = await asked;
      if (answer instanceof Error) expect(dialect.classify(answer)).toBe('away');
      else expect(answer).toEqual([{ one: 1 }]);
      const late = await thread.perform([['begin']]).catch((error: unknown) => error);
      expect(dialect.classify(late)).toBe('away');
      expect(thread.ready).toBe(false);
    }
  });
});
