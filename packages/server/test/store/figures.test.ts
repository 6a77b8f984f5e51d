import type { SessionStatus } from '@switchboard/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DayFigures } from '../../src/domain/ports.ts';
import { SLOT_MS, STRETCH_MS } from '../../src/domain/figures.ts';
import { fromTime, type Run, toTime, type Value } from '../../src/store/dialect.ts';
import { recount } from '../../src/store/recount.ts';
import type { SqlStore } from '../../src/store/sql-store.ts';
import { admin, append, appendOk, type Bench, command, onEveryStore, user } from './open-store.ts';

const AT = Date.UTC(2024, 5, 1, 12);

/** What statistics mean, read from the rows themselves. */
async function scanned(bench: Bench, from: number, to: number): Promise<DayFigures> {
  const within = (column: string): string => `${column} >= '${toTime(from)}' AND ${column} < '${toTime(to)}'`;
  const sessions = await bench.rows('SELECT * FROM chat_sessions');
  const [messages] = await bench.rows(`SELECT COUNT(*) AS n FROM chat_messages WHERE ${within('created_at')}`);
  const inside = (value: unknown): boolean => {
    const at = fromTime(value as string | null);
    return at !== null && at >= from && at < to;
  };
  const answered = sessions.filter((s) => inside(s['first_reply_at']));
  const rated = sessions.filter((s) => inside(s['rated_at']));
  const waits = answered.map((s) =>
    Math.max(0, (fromTime(s['first_reply_at']) ?? 0) - (fromTime(s['first_user_message_at']) ?? 0)),
  );
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return {
    created: sessions.filter((s) => inside(s['created_at'])).length,
    closed: sessions.filter((s) => s['status'] === 'closed' && inside(s['closed_at'])).length,
    answered: answered.length,
    responseMs: sum(waits),
    rated: rated.length,
    ratingSum: sum(rated.map((s) => Number(s['rating_score']))),
    messages: Number(messages?.['n']),
  };
}

async function statuses(bench: Bench): Promise<Record<string, number>> {
  const counts = { waiting: 0, active: 0, closed: 0 };
  for (const row of await bench.rows('SELECT status, COUNT(*) AS n FROM chat_sessions GROUP BY status'))
    counts[row['status'] as 'waiting'] = Number(row['n']);
  return counts;
}

/** Counts anew and gives how many slots were wrong: none, if every transaction has counted what it changed. */
async function recounted(bench: Bench, watch: (run: Run) => Run = (run) => run): Promise<number> {
  const dialect = await bench.dialect();
  try {
    return await dialect.alone((run) => recount(watch(run), dialect.name));
  } finally {
    await dialect.close();
  }
}

async function agree(bench: Bench, store: SqlStore): Promise<void> {
  expect(await store.statusCounts()).toEqual(await statuses(bench));
  for (let slot = -8; slot < 8; slot++) {
    const [from, to] = [AT + slot * SLOT_MS, AT + (slot + 1) * SLOT_MS];
    expect(await store.dayFigures(from, to)).toEqual(await scanned(bench, from, to));
  }
  const [from, to] = [AT - 86_400_000, AT + 86_400_000];
  expect(await store.dayFigures(from, to)).toEqual(await scanned(bench, from, to));
}

async function list(store: SqlStore, status: SessionStatus | 'all', page: number, pageSize: number): Promise<string[]> {
  return (await store.sessions({ status, page, pageSize })).items.map((s) => s.session.sessionId);
}

/** Few sessions, few people, and clocks that go back: everything that can be taken back is taken back sometimes. */
const anyCommand = fc.record({
  kind: fc.constantFrom(
    'message',
    'message',
    'message',
    'claim',
    'transfer',
    'close',
    'close',
    'reopen',
    'rate',
    'release',
  ),
  session: fc.integer({ min: 0, max: 3 }),
  by: fc.constantFrom(user(1), user(1), admin(7), admin(8)),
  adminId: fc.constantFrom(7, 8),
  score: fc.integer({ min: 1, max: 5 }),
  key: fc.option(fc.constantFrom('a', 'b'), { nil: null }),
  // On both sides of the borders of slots, to the millisecond.
  at: fc
    .tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, 1, 999, SLOT_MS - 1))
    .map(([slot, ms]) => AT + slot * SLOT_MS + ms),
});

onEveryStore('figures', (bench) => {
  test(
    'after any commands, on two nodes at once, they are what a scan of the rows says',
    { timeout: 300_000 },
    async () => {
      await bench.fresh();
      const nodes = await bench.nodes(2);
      await nodes[0].roster.online({ id: 7, nickname: '', avatar: '' }, 'n1');
      let runs = 0;
      const property = fc.asyncProperty(fc.array(anyCommand, { minLength: 10, maxLength: 60 }), async (drafts) => {
        const name = `f${runs++}`;
        const commands = drafts.map(({ kind, session, key, ...rest }) =>
          command(kind as 'rate', `${name}-${session}`, { ...rest, comment: '', clientMessageId: key } as never),
        );
        // A few at a time: what comes at once is one transaction, and only its end would be counted.
        for (let i = 0; i < commands.length; i += 3)
          await Promise.all(commands.slice(i, i + 3).map((c, n) => append(nodes[n % 2 === 0 ? 0 : 1], c)));
        await agree(bench, nodes[0]);
      });
      await fc.assert(property, { numRuns: 12 });
      // The other direction: counting anew finds nothing to put right.
      expect(await recounted(bench)).toBe(0);
    },
  );

  test('sessions that somebody else’s SQL has made or deleted are counted when a server starts', async () => {
    await bench.fresh();
    const store = await bench.store();
    await appendOk(store, command('message', 'ours'));
    expect(await store.mendCounters()).toBe(0);
    const dialect = await bench.dialect();
    await dialect.transaction(async (tx) =>
      tx.insert('chat_sessions', ['session_id', 'user_id', 'status'], [['theirs', 7, 'closed']]),
    );
    await dialect.close();
    expect(await store.mendCounters()).toBeGreaterThan(0);
    await agree(bench, store);
    expect((await store.sessions({ status: 'all', page: 1, pageSize: 10 })).total).toBe(2);
    expect(await store.mendCounters()).toBe(0);
  });

  test('a page far down is found by the counters, and is what the list has there', async () => {
    await bench.fresh();
    const store = await bench.store();
    const statuses = ['waiting', 'active', 'closed'] as const;
    // Large stretches and small ones, more than are read at once, with borders, ties and sessions without a message; more
    // sessions than are counted off from the top.
    const stretch = (i: number): number => (i % 4 === 0 ? i % 260 : i % 4);
    const rows = Array.from({ length: 1_500 }, (_, i): Value[] => [
      `p${(i * 7919) % 1_500}`,
      1,
      statuses[i % 3] ?? 'waiting',
      i % 3 === 1 ? 7 : null,
      i % 50 === 0 ? null : toTime(AT - stretch(i) * STRETCH_MS + ((i % 11) - 1)),
    ]);
    const dialect = await bench.dialect();
    await dialect.transaction(async (tx) =>
      tx.insert('chat_sessions', ['session_id', 'user_id', 'status', 'admin_id', 'last_message_time'], rows),
    );
    await dialect.close();
    await recounted(bench);
    for (const status of ['all', ...statuses] as const) {
      const wanted: string[] = [];
      for (let page = 1; page <= 15; page++) wanted.push(...(await list(store, status, page, 100)));
      expect(wanted).toHaveLength(status === 'all' ? 1_500 : 500);
      const where = status === 'all' ? '' : `WHERE status = '${status}'`;
      const all = await bench.rows(
        `SELECT session_id FROM chat_sessions ${where} ORDER BY last_message_time DESC, session_id DESC`,
      );
      expect(wanted).toEqual(all.map((row) => row['session_id']));
      for (const [page, pageSize] of [
        [72, 7],
        [90, 7],
        [200, 7],
        [16, 33],
        [45, 33],
        [1_499, 1],
        [1_500, 1],
        [1_501, 1],
        [9_999, 100],
      ] as const)
        expect(await list(store, status, page, pageSize)).toEqual(wanted.slice((page - 1) * pageSize, page * pageSize));
    }
    // It stays right when sessions move and change.
    const moved = (await list(store, 'all', 14, 100)).slice(0, 20);
    for (const id of moved) await append(store, command('message', id, { by: user(1), at: AT + STRETCH_MS }));
    for (const id of moved.slice(0, 9)) await append(store, command('close', id, { by: user(1), at: AT + STRETCH_MS }));
    for (const status of ['all', 'closed', 'waiting'] as const) {
      const all: string[] = [];
      for (let page = 1; page <= 15; page++) all.push(...(await list(store, status, page, 100)));
      expect(new Set(all).size).toBe((await store.sessions({ status, page: 1, pageSize: 1 })).total);
    }
    expect(await recounted(bench)).toBe(0);
  });

  test('what is taken back is taken from the time in which it was counted', async () => {
    await bench.fresh();
    const store = await bench.store();
    const hour = 3_600_000;
    const of = (n: number) => store.dayFigures(AT + n * hour, AT + (n + 1) * hour);
    await appendOk(store, command('message', 's', { by: user(1), at: AT }));
    await appendOk(store, command('message', 's', { by: admin(7), at: AT + hour }));
    await appendOk(store, command('rate', 's', { by: user(1), score: 2, comment: '', at: AT + hour }));
    await appendOk(store, command('close', 's', { by: admin(7), at: AT + hour }));
    expect(await of(1)).toMatchObject({
      closed: 1,
      answered: 1,
      responseMs: hour,
      rated: 1,
      ratingSum: 2,
      messages: 1,
    });
    await appendOk(store, command('rate', 's', { by: user(1), score: 5, comment: '', at: AT + 2 * hour }));
    await appendOk(store, command('reopen', 's', { by: admin(7), at: AT + 2 * hour }));
    expect(await of(1)).toMatchObject({
      closed: 0,
      answered: 1,
      responseMs: hour,
      rated: 0,
      ratingSum: 0,
      messages: 1,
    });
    expect(await of(2)).toMatchObject({ closed: 0, rated: 1, ratingSum: 5, messages: 0 });
    expect(await store.statusCounts()).toEqual({ waiting: 1, active: 0, closed: 0 });
  });

  test('counting anew puts right what others wrote, and may be cut off after any statement', async () => {
    await bench.fresh();
    const store = await bench.store();
    for (const id of ['a', 'b', 'c']) await appendOk(store, command('message', id, { by: user(1), at: AT }));
    const dialect = await bench.dialect();
    await dialect.transaction(async (tx) => {
      await tx.run(
        `UPDATE chat_sessions SET status = 'closed', closed_at = '${toTime(AT + SLOT_MS)}' WHERE session_id = 'a'`,
        [],
      );
      await tx.run("DELETE FROM chat_messages WHERE session_id = 'b'", []);
      await tx.run("DELETE FROM chat_sessions WHERE session_id = 'b'", []);
      await tx.run('UPDATE chat_figures SET rated = 7, rating_sum = -3 WHERE slot = -1', []);
    });
    await dialect.close();
    for (let budget = 0, done = false; !done; budget++) {
      let left = budget;
      await recounted(bench, (run) => (sql, values) => {
        if (left-- === 0) throw new Error('cut off');
        return run(sql, values);
      }).then(
        () => (done = true),
        (error: Error) => expect(error.message).toBe('cut off'),
      );
    }
    await agree(bench, store);
    expect(await recounted(bench)).toBe(0);
  });

  test('counting anew while others write counts nothing twice', async () => {
    await bench.fresh();
    const store = await bench.store();
    const writing = Array.from({ length: 300 }, (_, i) =>
      append(store, command('message', `w${i % 40}`, { by: user(1), at: AT + i * 10_000 })),
    );
    const found: number[] = [];
    for (let i = 0; i < 4; i++) found.push(await recounted(bench));
    await Promise.all(writing);
    expect(found).toEqual([0, 0, 0, 0]);
    await agree(bench, store);
  });
});
