import { expect, test } from 'vitest';
import { businessDay } from '../../src/domain/statistics.ts';
import type { MessageRange, SessionSummary } from '../../src/domain/ports.ts';
import type { SessionState } from '../../src/domain/session.ts';
import { recount } from '../../src/store/recount.ts';
import type { SqlStore } from '../../src/store/sql-store.ts';
import type { Receipt, ReceiptResult } from '../../src/domain/receipts.ts';
import { admin, append, appendOk, command, messagesOf, onEveryStore, user } from './open-store.ts';

onEveryStore('reads', (bench) => {
  const AT = Date.UTC(2024, 5, 1, 12);
  const execute = async (sql: string): Promise<void> => {
    const dialect = await bench.dialect();
    await dialect.transaction((tx) => tx.run(sql, []));
    await dialect.close();
  };
  const seed = async (): Promise<SqlStore> => {
    await bench.fresh();
    return bench.store();
  };

  test('of concurrent reservations one is for all, on every node, until its session is closed', async () => {
    await bench.fresh();
    const nodes = await bench.nodes();
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, i) => nodes[i % 2 === 0 ? 0 : 1].reserveSession(5, `p${i}`)),
    );
    expect(new Set(ids).size).toBe(1);
    const [id] = ids as [string];
    await appendOk(nodes[0], command('message', id, { by: user(5) }));
    expect(await nodes[1].reserveSession(5, 'next')).toBe(id);
    await appendOk(nodes[0], command('close', id, { by: user(5) }));
    const again = await Promise.all(
      Array.from({ length: 10 }, (_, i) => nodes[i % 2 === 0 ? 0 : 1].reserveSession(5, `q${i}`)),
    );
    expect(new Set(again).size).toBe(1);
    expect(again[0]).toMatch(/^q/);
    // Somebody else took the reserved id: it leads nowhere.
    await append(nodes[0], command('message', again[0] as string, { by: user(6) }));
    expect(await nodes[0].reserveSession(5, 'mine')).toBe('mine');
    expect(await nodes[0].reserveSession(6, 'other')).toBe('other');
  });

  test('lists sessions newest message first, those without a message last, page by page', async () => {
    const store = await seed();
    for (let i = 0; i < 25; i++)
      await appendOk(
        store,
        command('message', `s${String(i).padStart(2, '0')}`, { by: user(i + 1), at: AT + (i % 5) * 1000 }),
      );
    const dialect = await bench.dialect();
    await dialect.transaction(async (tx) =>
      tx.insert('chat_sessions', ['session_id', 'user_id', 'status'], [['empty', 99, 'waiting']]),
    );
    // A row that somebody else wrote is counted when rows are counted anew.
    await dialect.alone((run) => recount(run, dialect.name));
    await dialect.close();
    await appendOk(store, command('claim', 's03', { by: admin(1) }));
    await appendOk(store, command('close', 's04', { by: admin(1) }));
    const all: string[] = [];
    for (let page = 1; page <= 3; page++) {
      const { items, total } = await store.sessions({ status: 'all', page, pageSize: 10 });
      expect(total).toBe(26);
      all.push(...items.map((s) => s.session.sessionId));
    }
    expect(all).toHaveLength(26);
    expect(new Set(all).size).toBe(26);
    expect(all.at(-1)).toBe('empty');
    const times = (await store.sessions({ status: 'all', page: 1, pageSize: 100 })).items.map(
      (s) => s.session.lastMessageTime ?? 0,
    );
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    const by = async (status: 'waiting' | 'active' | 'closed') =>
      (await store.sessions({ status, page: 1, pageSize: 100 })).items.map((s) => s.session.sessionId);
    expect([await by('active'), await by('closed'), (await by('waiting')).length]).toEqual([['s03'], ['s04'], 24]);
    expect(await store.sessions({ status: 'all', page: 9, pageSize: 10 })).toEqual({ items: [], total: 26 });
    expect((await store.session('empty'))?.lastMessage).toBeNull();
    expect(await store.statusCounts()).toEqual({ waiting: 24, active: 1, closed: 1 });
  });

  test('behind a place, whatever moves meanwhile: each session that stays comes once, those without a message last', async () => {
    const store = await seed();
    // Many of one moment: the id decides.
    for (let i = 0; i < 23; i++)
      await appendOk(
        store,
        command('message', `c${String(i).padStart(2, '0')}`, { by: user(i + 1), at: AT + (i % 3) }),
      );
    const dialect = await bench.dialect();
    const silent = ['n1', 'n2', 'n3', 'n4', 'n5'];
    await dialect.transaction(async (tx) =>
      tx.insert(
        'chat_sessions',
        ['session_id', 'user_id', 'status'],
        silent.map((id) => [id, 99, 'waiting']),
      ),
    );
    await dialect.close();
    for (const id of ['c03', 'n2']) await appendOk(store, command('close', id, { by: user(id === 'n2' ? 99 : 4) }));
    const walk = async (status: 'all' | 'waiting', pageSize: number, between: (n: number) => Promise<void>) => {
      const seen: string[] = [];
      let page = await store.sessions({ status, page: 1, pageSize });
      for (let n = 0; page.items.length > 0; n++) {
        seen.push(...page.items.map((s) => s.session.sessionId));
        await between(n);
        const last = page.items.at(-1)?.session as SessionState;
        page = await store.sessions({ status, after: last, pageSize });
      }
      return seen;
    };
    const still = async (): Promise<void> => undefined;
    const byPage = async (status: 'all' | 'waiting') =>
      (await store.sessions({ status, page: 1, pageSize: 100 })).items.map((s) => s.session.sessionId);
    for (const pageSize of [1, 2, 7, 28]) {
      for (const status of ['all', 'waiting'] as const)
        expect(await walk(status, pageSize, still)).toEqual(await byPage(status));
    }
    const before = await byPage('all');
    expect(before.slice(-5)).toEqual(silent.toReversed());
    const seen = await walk('all', 5, async (n) => {
      if (n === 1)
        await appendOk(store, command('message', before.at(-8) as string, { by: admin(7), at: AT + 60_000 }));
    });
    expect(seen).toEqual(before.toSpliced(-8, 1));
    expect(await byPage('all')).toEqual([before.at(-8), ...seen]);
    // Places that nobody was given are places too.
    for (const lastMessageTime of [0, 9_999_999_999_999])
      expect(
        (await store.sessions({ status: 'all', after: { lastMessageTime, sessionId: '\u{10ffff}' }, pageSize: 50 }))
          .items,
      ).toHaveLength(lastMessageTime === 0 ? 5 : 28);
  });

  test.each([
    [40, 20, 50],
    [150, 70, 200],
  ])(
    'a page counted from the newest is the same whatever lies between its messages: %i of them',
    async (count, least, most) => {
      const store = await seed();
      const texts: string[] = [];
      // Claims, closes and reopens at every place, also before the first page and behind the last one.
      for (let i = 0; i < count; i++) {
        await appendOk(store, command('message', 'mixed', { content: `m${i}` }));
        texts.push(`m${i}`);
        if (i % 3 === 0) await append(store, command('claim', 'mixed', { by: admin(7) }));
        if (i % 7 === 0) await append(store, command('close', 'mixed', { by: user(31) }));
        if (i % 5 === 0) await append(store, command('rate', 'mixed', { by: user(31), score: 3, comment: '' }));
      }
      await append(store, command('close', 'mixed', { by: user(31) }));
      const { session } = (await store.session('mixed')) as SessionSummary;
      // With few other events, messages are read that are not on the page; with many, the database numbers them.
      expect(session.lastSeq - session.messageCount).toBeGreaterThan(least);
      expect(session.lastSeq - session.messageCount).toBeLessThanOrEqual(most);
      for (const pageSize of [1, 3, 7, 40, 100]) {
        for (let page = 1; page <= Math.ceil(count / pageSize) + 1; page++) {
          const wanted = texts.slice(Math.max(0, count - page * pageSize), Math.max(0, count - (page - 1) * pageSize));
          expect((await store.messages(session, { page, pageSize })).map((m) => m.content)).toEqual(wanted);
        }
      }
      // What comes after the session was read is not in its pages: they do not shift.
      await appendOk(store, command('message', 'mixed', { content: 'later' }));
      expect((await store.messages(session, { page: 1, pageSize: 2 })).map((m) => m.content)).toEqual(texts.slice(-2));
    },
  );

  test('a page of a session whose count or messages own SQL has changed is short, and overlaps with none', async () => {
    const store = await seed();
    for (let i = 0; i < 40; i++) await appendOk(store, command('message', 'mixed', { content: `m${i}` }));
    const { session } = (await store.session('mixed')) as SessionSummary;
    expect(await store.messages({ ...session, messageCount: 100 }, { page: 2, pageSize: 20 })).toEqual([]);
    await execute(`DELETE FROM chat_messages WHERE session_id = 'mixed' AND seq IN (12, 15, 33)`);
    const contents = async (page: number) =>
      (await store.messages(session, { page, pageSize: 10 })).map((m) => m.content);
    expect(await contents(3)).toEqual(['m10', 'm12', 'm13', 'm15', 'm16', 'm17', 'm18', 'm19']);
    expect(await contents(2)).toEqual(Array.from({ length: 10 }, (_, i) => `m${20 + i}`));
  });

  test('changedWithin finds what messages and what other events have changed, by the clock of the store', async () => {
    const store = await seed();
    const at = Date.now();
    for (const id of ['said', 'closed', 'old']) await appendOk(store, command('message', id, { by: user(1), at }));
    await execute(`UPDATE chat_sessions SET updated_at = '2024-01-01 00:00:00'`);
    const found = async (): Promise<string[]> => (await store.changedWithin(60_000)).map((s) => s.sessionId).toSorted();
    expect(await found()).toEqual([]);
    // Nodes' clocks may be off by a minute and more.
    await appendOk(store, command('message', 'said', { by: user(1), at: at - 100_000 }));
    await appendOk(store, command('close', 'closed', { by: user(1), at: at - 100_000 }));
    expect(await found()).toEqual(['closed', 'said']);
  });

  test('messages by page, before and after a place; the log with all events; many logs at once; heads', async () => {
    const store = await seed();
    for (let i = 0; i < 12; i++) {
      await appendOk(store, command('message', 'log', { content: `m${i}` }));
      if (i === 3) await appendOk(store, command('claim', 'log', { by: admin(7) }));
    }
    const texts = async (range: MessageRange): Promise<string[]> =>
      (await messagesOf(store, 'log', range)).map((m) => m.content);
    expect(await texts({ page: 1, pageSize: 5 })).toEqual(['m7', 'm8', 'm9', 'm10', 'm11']);
    expect(await texts({ page: 3, pageSize: 5 })).toEqual(['m0', 'm1']);
    expect(await texts({ page: 4, pageSize: 5 })).toEqual([]);
    expect(await texts({ beforeSeq: 7, pageSize: 3 })).toEqual(['m2', 'm3', 'm4']);
    expect(await texts({ afterSeq: 4, pageSize: 2 })).toEqual(['m4', 'm5']);
    expect(await texts({ afterSeq: 13, pageSize: 2 })).toEqual([]);
    const log = await store.log('log', 0, 100);
    expect(log.map((e) => e.seq)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    expect(log[4]).toMatchObject({ kind: 'status', reason: 'claimed', adminId: 7, by: { type: 'admin', id: 7 } });
    expect((await store.log('log', 4, 3)).map((e) => e.seq)).toEqual([5, 6, 7]);
    await appendOk(store, command('message', 'log-2', { by: user(2) }));
    const logs = await store.logs([
      { sessionId: 'log', afterSeq: 10 },
      { sessionId: 'nobody', afterSeq: 0 },
      { sessionId: 'log-2', afterSeq: 0 },
      { sessionId: 'log', afterSeq: 12 },
    ]);
    expect(logs.map((l) => l && l.events.map((e) => e.seq))).toEqual([[11, 12, 13], null, [1], [13]]);
    expect(await store.heads(['log', 'log-2', 'nobody'])).toEqual(
      new Map([
        ['log', 13],
        ['log-2', 1],
      ]),
    );
    expect(await store.heads([])).toEqual(new Map());
  });

  test('logs whose clients are far behind, a little, and not at all, with events of both kinds, in one question', async () => {
    const store = await seed();
    for (const id of ['far', 'near', 'same']) {
      for (let i = 0; i < (id === 'far' ? 60 : 4); i++) {
        await appendOk(store, command('message', id, { content: `m${i}` }));
        if (i === 3) await appendOk(store, command('claim', id, { by: admin(7) }));
      }
    }
    await appendOk(store, command('close', 'far', { by: admin(7) }));
    const whole = await store.log('far', 0, 500);
    expect(whole.map((e) => e.seq)).toEqual(Array.from({ length: whole.length }, (_, i) => i + 1));
    const end = whole.length;
    const logs = await store.logs([
      { sessionId: 'far', afterSeq: 0 },
      { sessionId: 'near', afterSeq: 3 },
      { sessionId: 'same', afterSeq: 5 },
      { sessionId: 'far', afterSeq: end - 8 },
      { sessionId: 'far', afterSeq: end },
      { sessionId: 'far', afterSeq: end + 1 },
    ]);
    expect(logs.map((l) => l?.session.lastSeq)).toEqual([end, 5, 5, end, end, end]);
    expect(logs.map((l) => l?.events)).toEqual([whole, await store.log('near', 3, 2), [], whole.slice(-8), [], []]);
    expect(logs[1]?.events.map((e) => e.kind)).toEqual(['message', 'status']);
    expect(new Set(logs[3]?.events.map((e) => e.kind))).toContain('status');
  });

  test('inbox: what is open, and what was said, closed or rated since a moment', async () => {
    const store = await seed();
    for (const id of ['open', 'old-closed', 'new-closed', 'spoke', 'new-rated'])
      await appendOk(store, command('message', id, { at: AT, by: user(1) }));
    for (const [id, at] of [
      ['old-closed', AT],
      ['new-closed', AT + 5_000],
      ['spoke', AT],
      ['new-rated', AT],
    ] as const)
      await appendOk(store, command('close', id, { at, by: user(1) }));
    await appendOk(store, command('rate', 'new-rated', { at: AT + 5_000, by: user(1), score: 4, comment: '' }));
    const ids = async (since: number | null): Promise<string[]> =>
      (await store.inbox(since)).map((s) => s.sessionId).toSorted();
    expect(await ids(null)).toEqual(['open']);
    expect(await ids(AT + 1)).toEqual(['new-closed', 'new-rated', 'open']);
    expect(await ids(AT)).toEqual(['new-closed', 'new-rated', 'old-closed', 'open', 'spoke']);
    expect((await store.openSessionOf(1))?.session.sessionId).toBe('open');
    expect(await store.openSessionOf(77)).toBeNull();
  });

  test('receipts go forward only, and take the status of messages with them', async () => {
    const store = await seed();
    for (const by of [user(1), admin(7), user(1), admin(7)]) await appendOk(store, command('message', 'rec', { by }));
    // Seq: 1 user, 2 claimed, 3 admin, 4 user, 5 admin.
    const receipt = (deliveredSeq: number, readSeq: number, more: Partial<Receipt> = {}): Receipt => ({
      sessionId: 'rec',
      readerType: 'user',
      readerId: 1,
      deliveredSeq,
      readSeq,
      ...more,
    });
    const put = async (...r: Receipt[]): Promise<unknown[]> =>
      (await store.storeReceipts(r)).map(
        (x: ReceiptResult) => x.fault ?? (x.changed && [x.changed.deliveredSeq, x.changed.readSeq]),
      );
    const statuses = async (): Promise<string> =>
      (await messagesOf(store, 'rec', { afterSeq: 0, pageSize: 9 })).map((m) => m.status).join(' ');
    expect(await put(receipt(3, 0))).toEqual([[3, 0]]);
    expect(await statuses()).toBe('sent delivered sent sent');
    expect(await put(receipt(3, 3), receipt(5, 0), receipt(2, 1))).toEqual([[3, 3], [5, 3], null]);
    expect(await statuses()).toBe('sent read sent delivered');
    expect(await put(receipt(0, 0), receipt(5, 3))).toEqual([null, null]);
    expect(await put(receipt(4, 4, { readerType: 'admin', readerId: 7 }))).toEqual([[4, 4]]);
    expect(await put(receipt(4, 1, { readerType: 'admin', readerId: 8 }))).toEqual([[4, 1]]);
    expect(await statuses()).toBe('read read read delivered');
    expect(await put(receipt(6, 0), receipt(1, 1, { readerId: 2 }), receipt(1, 1, { sessionId: 'nobody' }))).toEqual([
      'beyond',
      'foreign',
      'unknown',
    ]);
    const [log] = await store.logs([{ sessionId: 'rec', afterSeq: 9 }]);
    expect(log?.receipts).toHaveLength(3);
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.storeReceipts([receipt(5, 3 + (i % 3))])));
    expect(await statuses()).toBe('read read read read');
  });

  test.each([
    ['Asia/Shanghai', '2024-06-01T12:00:00Z', '2024-05-31T16:00:00Z', 24],
    ['America/New_York', '2024-03-10T12:00:00Z', '2024-03-10T05:00:00Z', 23],
    ['America/New_York', '2024-11-03T12:00:00Z', '2024-11-03T04:00:00Z', 25],
    ['Pacific/Kiritimati', '2024-06-01T12:00:00Z', '2024-06-01T10:00:00Z', 24],
    ['America/Santiago', '2024-09-08T12:00:00Z', '2024-09-08T04:00:00Z', 23],
  ])('the day of %s at %s counts what happened in it and nothing else', async (zone, now, from, hours) => {
    const day = businessDay(Date.parse(now), zone);
    expect([new Date(day.from).toISOString(), (day.to - day.from) / 3_600_000]).toEqual([
      new Date(from).toISOString(),
      hours,
    ]);
    const store = await seed();
    for (const [id, at] of [
      ['before', day.from - 1],
      ['first', day.from],
      ['last', day.to - 1],
      ['after', day.to],
    ] as const) {
      await appendOk(store, command('message', id, { by: user(1), at }));
      await appendOk(store, command('message', id, { by: admin(7), at }));
      await appendOk(store, command('message', id, { by: admin(7), at: at + 500 }));
      await appendOk(store, command('rate', id, { by: user(1), score: id === 'first' ? 5 : 2, comment: '', at }));
      await appendOk(store, command('close', id, { by: user(1), at }));
    }
    expect(await store.dayFigures(day.from, day.to)).toEqual({
      created: 2,
      closed: 2,
      answered: 2,
      responseMs: 0,
      rated: 2,
      ratingSum: 7,
      messages: 6,
    });
  });
});

test.each([
  'Asia/Shanghai',
  'America/New_York',
  'Pacific/Kiritimati',
  'Europe/London',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Asia/Kathmandu',
])('the days of %s follow one another without a gap', (zone) => {
  let { from, to } = businessDay(Date.UTC(2024, 0, 1), zone);
  for (let i = 0; i < 370; i++) {
    for (const at of [to, to + 1, to + 3_600_000 * 12]) expect(businessDay(at, zone).from).toBe(to);
    expect(businessDay(to - 1, zone)).toEqual({ from, to });
    ({ from, to } = businessDay(to, zone));
  }
});
