import { expect, test } from 'vitest';
import { SqlStore } from '../../src/store/sql-store.ts';
import {
  admin,
  append,
  appendOk,
  brokenRules,
  command,
  messagesOf,
  onEveryStore,
  user,
  verdict,
} from './open-store.ts';

onEveryStore('append', (bench) => {
  test('numbers the events of a session 1, 2, 3 … whichever node they come through', async () => {
    const nodes = await bench.nodes();
    const sends = Array.from({ length: 600 }, (_, i) =>
      append(
        nodes[i % 2] as SqlStore,
        command('message', `busy-${i % 7}`, { by: user(100 + (i % 7)), clientMessageId: `m${i}` }),
      ),
    );
    expect(new Set((await Promise.all(sends)).map(verdict))).toEqual(new Set(['ok']));
    expect(await brokenRules(bench)).toEqual([]);
    const stored = await bench.rows('SELECT COUNT(*) AS n FROM chat_messages');
    expect(Number(stored[0]?.['n'])).toBe(600);
  });

  test('a command sent the moment the one before was answered is stored too', async () => {
    const store = await bench.store();
    for (let i = 0; i < 20; i++) {
      await appendOk(store, command('message', 'one-by-one'));
      // From within `settle`, a microtask later, and some microtasks later: nothing else comes to wake the writer.
      const inside = new Promise<string>((resolve) => {
        store.append(command('message', 'one-by-one'), () =>
          store.append(command('claim', 'nowhere'), (a) => resolve(verdict(a))),
        );
      });
      expect(await inside).toBe('SESSION_NOT_FOUND');
      for (let pause = 0; pause < i % 5; pause++) await Promise.resolve();
    }
    expect((await store.session('one-by-one'))?.session.messageCount).toBe(40);
  });

  test('goes by what is stored, not by what this node last stored: another node has been there, or own SQL', async () => {
    const [one, two] = await bench.nodes();
    const send = (more = {}): ReturnType<typeof appendOk> => appendOk(one, command('message', 'known', more));
    await send();
    await send();
    await appendOk(two, command('claim', 'known', { by: admin(7) }));
    expect((await send()).session).toMatchObject({ status: 'active', adminId: 7, messageCount: 3, lastSeq: 4 });
    await appendOk(two, command('message', 'known'));
    expect((await send()).session).toMatchObject({ messageCount: 5, lastSeq: 6 });
    const changes = [
      ["user_nickname='jo'", { nickname: 'jo' }],
      ["user_nickname='Jo '", { nickname: 'Jo ' }],
      ["user_avatar=' '", { avatar: ' ' }],
      ["admin_id=8, status='active'", { adminId: 8, status: 'active' }],
      ["admin_id=NULL, status='waiting'", { adminId: null, status: 'waiting' }],
      ['message_count=100', { messageCount: 101 }],
      ["status='closed'", { status: 'waiting' }],
    ] as const;
    for (const [i, [change, wanted]] of changes.entries()) {
      // Each session was written often enough to be known well, and none was ever found to be changed by others.
      const id = `own-sql-${i}`;
      for (let n = 0; n < 3; n++) await appendOk(one, command('message', id));
      await bench.rows(`UPDATE chat_sessions SET ${change} WHERE session_id='${id}'`);
      const { session } = await appendOk(one, command('message', id));
      expect({ change, ...session }).toMatchObject({ change, ...wanted });
      expect({ change, ...(await one.session(id))?.session }).toMatchObject({ change, ...wanted });
    }
    // The count that own SQL made wrong is put right by it; everything else is whole.
    await bench.rows("UPDATE chat_sessions SET message_count=4 WHERE session_id='own-sql-5'");
    expect(await brokenRules(bench)).toEqual([]);
  });

  /** A store of its own that tells how often a transaction waited for rows. */
  async function countingReads(): Promise<{ store: SqlStore; reads: () => number }> {
    const dialect = await bench.dialect();
    let reads = 0;
    const transaction: typeof dialect.transaction = (work) =>
      dialect.transaction(async (tx) => {
        const rows = tx.rows.bind(tx);
        tx.rows = (sql, values) => {
          reads++;
          return rows(sql, values);
        };
        const result = await work(tx);
        tx.rows = rows;
        return result;
      });
    const store = new SqlStore({ dialect: { ...dialect, transaction }, capacity: 10 });
    await store.migrate();
    const counted = (): number => {
      const before = reads;
      reads = 0;
      return before;
    };
    return { store, reads: counted };
  }

  test('sessions that it has just written to need not be read before their next messages', async () => {
    const { store, reads } = await countingReads();
    const send = (sessions: number): Promise<unknown> =>
      Promise.all(Array.from({ length: sessions }, (_, i) => appendOk(store, command('message', `fresh-${i}`))));
    for (let i = 0; i < 3; i++) await send(1);
    reads();
    for (let i = 0; i < 5; i++) await send(1);
    expect(reads()).toBe(0);
    // To MySQL each comparison is a statement: of many it rather reads all, in two lanes.
    await send(100);
    await send(100);
    reads();
    await send(100);
    expect(reads()).toBe(bench.name === 'sqlite' ? 0 : 2);
    await store.close();
  });

  test('a session that others write too is read first, until it was found unchanged for a while', async () => {
    const { store, reads } = await countingReads();
    const [other] = await bench.nodes();
    const ids = ['shared', ...['a', 'b', 'c', 'd'].map((name) => `alone-${name}`)];
    const send = (): Promise<unknown> => Promise.all(ids.map((id) => appendOk(store, command('message', id))));
    for (let i = 0; i < 3; i++) await send();
    await appendOk(other, command('message', 'shared'));
    // The guess is wrong, and those in the same batch are looked at again with it.
    await send();
    reads();
    for (const id of ids.slice(1)) await appendOk(store, command('message', id));
    expect(reads()).toBe(0);
    for (let i = 0; i < 8; i++) await appendOk(store, command('message', 'shared'));
    expect(reads()).toBe(8);
    await appendOk(store, command('message', 'shared'));
    expect(reads()).toBe(0);
    expect(await brokenRules(bench)).toEqual([]);
    await store.close();
  });

  test.each([
    { beside: true, wanted: ['begin', 'begin', 'told', 'told'] },
    { beside: false, wanted: ['begin', 'told', 'begin', 'told'] },
  ])('where a transaction runs beside us ($beside), the next one begins before the last is told', async (way) => {
    const dialect = await bench.dialect();
    const happened: string[] = [];
    let sent = 0;
    const send = (): void => store.append(command('message', 'beside'), () => happened.push('told'));
    const transaction: typeof dialect.transaction = (work) => {
      happened.push('begin');
      if (++sent === 1) send();
      return dialect.transaction(work);
    };
    const store = new SqlStore({ dialect: { ...dialect, transaction, runsBeside: () => way.beside }, capacity: 10 });
    await store.migrate();
    send();
    await store.close();
    expect(happened).toEqual(way.wanted);
  });

  test("keeps one sender's order", async () => {
    const store = await bench.store();
    const sent = Array.from({ length: 300 }, (_, i) => command('message', 'ordered', { content: String(i) }));
    const outcomes = await Promise.all(sent.map((c) => appendOk(store, c)));
    const seqs = outcomes.map((o) => o.message?.seq ?? 0);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    const found = await messagesOf(store, 'ordered', { page: 1, pageSize: 300 });
    expect(found.map((m) => m.content)).toEqual(sent.map((_, i) => String(i)));
  });

  test('stores a repeat once and answers it with the first result: together, later, and through another node', async () => {
    const [one, two] = await bench.nodes();
    const message = {
      clientMessageId: 'again',
      content: 'once',
      attachments: [{ url: 'https://a', name: 'b', size: 1 }],
    };
    const together = await Promise.all([1, 2, 3].map(() => appendOk(one, command('message', 'repeats', message))));
    const later = await appendOk(one, command('message', 'repeats', message));
    const shuffled = { ...message, attachments: [{ size: 1, url: 'https://a', name: 'b' }] };
    const elsewhere = await appendOk(two, command('message', 'repeats', shuffled));
    const all = [...together, later, elsewhere];
    expect(all.map((o) => o.duplicate)).toEqual([false, true, true, true, true]);
    expect(new Set(all.map((o) => o.message?.messageId)).size).toBe(1);
    expect(new Set(all.map((o) => o.message?.createdAt)).size).toBe(1);
    expect((await one.session('repeats'))?.session.messageCount).toBe(1);
  });

  test('a repeat that two nodes get at once is stored once', async () => {
    const nodes = await bench.nodes();
    await appendOk(nodes[0], command('message', 'race'));
    for (let i = 0; i < 40; i++) {
      const sends = nodes.map((node) => appendOk(node, command('message', 'race', { clientMessageId: `r${i}` })));
      const [a, b] = await Promise.all(sends);
      expect(a?.message?.messageId).toBe(b?.message?.messageId);
      expect([a?.duplicate, b?.duplicate].filter(Boolean)).toHaveLength(1);
    }
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('the same clientMessageId with another payload is a CONFLICT; of another sender or session it is another message', async () => {
    const store = await bench.store();
    await appendOk(store, command('message', 'keys', { clientMessageId: 'k' }));
    expect(verdict(await append(store, command('message', 'keys', { clientMessageId: 'k', content: 'other' })))).toBe(
      'CONFLICT',
    );
    expect(
      verdict(await append(store, command('message', 'keys', { clientMessageId: 'k', messageType: 'image' }))),
    ).toBe('CONFLICT');
    expect(verdict(await append(store, command('message', 'keys', { clientMessageId: 'k', by: admin(31) })))).toBe(
      'ok',
    );
    expect(verdict(await append(store, command('message', 'keys-2', { clientMessageId: 'k' })))).toBe('ok');
    expect(verdict(await append(store, command('message', 'keys', { clientMessageId: 'K' })))).toBe('ok');
  });

  test('one bad command fails alone: refused by the rules or by the database', async () => {
    const store = await bench.store();
    await appendOk(store, command('message', 'mine', { by: user(1) }));
    const tooLong = { id: 2, nickname: 'x'.repeat(200), avatar: '' };
    const results = await Promise.all([
      append(store, command('message', 'good-1', { by: user(2) })),
      append(store, command('message', 'mine', { by: user(2) })),
      append(store, command('message', 'good-2', { by: user(3) })),
      append(store, command('message', 'too-long', { by: user(2), identity: tooLong })),
      append(store, command('claim', 'nowhere', { by: admin(9) })),
      append(store, command('message', 'good-3', { by: user(4) })),
    ]);
    const verdicts = results.map(verdict);
    expect(verdicts.filter((_, i) => i !== 3)).toEqual(['ok', 'FORBIDDEN', 'ok', 'SESSION_NOT_FOUND', 'ok']);
    // SQLite has no limit to the length of a text.
    if (bench.name !== 'sqlite') expect(verdicts[3]).not.toBe('ok');
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('very long messages are committed in smaller batches, which no packet limit cuts', async () => {
    const sizes: number[] = [];
    const store = new SqlStore({ dialect: await bench.dialect(), capacity: 10, onCommit: (size) => sizes.push(size) });
    try {
      const content = '😀'.repeat(10_000);
      const sends = Array.from({ length: 400 }, () => append(store, command('message', 'long', { content })));
      expect(new Set((await Promise.all(sends)).map(verdict))).toEqual(new Set(['ok']));
    } finally {
      await store.close();
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(125);
    expect(Math.max(...sizes)).toBeGreaterThan(100);
  });

  test('so are messages with long attachments', async () => {
    const store = await bench.store();
    const attachments = Array.from({ length: 10 }, (_, i) => ({ url: `https://a/${'😀'.repeat(900)}${i}`, name: 'b' }));
    const sends = Array.from({ length: 400 }, () => append(store, command('message', 'laden', { attachments })));
    expect(new Set((await Promise.all(sends)).map(verdict))).toEqual(new Set(['ok']));
    expect((await store.session('laden'))?.session.messageCount).toBe(400);
  });

  test('of two users who open one new id at once, on two nodes, one gets it', async () => {
    const nodes = await bench.nodes();
    for (let i = 0; i < 20; i++) {
      const tries = nodes.map((node, n) => append(node, command('message', `contested-${i}`, { by: user(500 + n) })));
      expect((await Promise.all(tries)).map(verdict).toSorted()).toEqual(['FORBIDDEN', 'ok']);
    }
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('ids that differ only in case are two sessions', async () => {
    const store = await bench.store();
    await appendOk(store, command('message', 'Case_A', { by: user(1) }));
    await appendOk(store, command('message', 'case_a', { by: user(2) }));
    expect((await store.session('Case_A'))?.session.userId).toBe(1);
    expect((await store.session('case_a'))?.session.userId).toBe(2);
    expect(await store.session('CASE_A')).toBeNull();
  });

  test.each([
    ['4-byte characters', '👩‍👩‍👧‍👦 𠮷野家 🀄'],
    ['markup, quotes and backslashes', `<b>"it's" \\ \\' -- ; DROP TABLE x; %s ? :a`],
    ['white space at both ends', '  \n\t spaced \u00a0 '],
    ['bidi and zero width', '\u202eabc\u202c \u200b\ufeff'],
    ['10,000 emoji', '😀'.repeat(10_000)],
    ['control characters', '\u0001\u001f\u007f\u0080'],
  ])('keeps %s exactly', async (_name, content) => {
    const store = await bench.store();
    const { message } = await appendOk(store, command('message', 'texts', { content }));
    const found = await messagesOf(store, 'texts', { afterSeq: (message?.seq ?? 1) - 1, pageSize: 1 });
    expect(found[0]?.content).toBe(content);
    expect((await store.session('texts'))?.lastMessage?.content).toBe(content);
  });

  test('writes the operation with the change, and none for what was refused', async () => {
    const store = await bench.store();
    await appendOk(store, command('message', 'logged'));
    const operation = {
      adminId: 7,
      action: 'session.claim',
      sessionId: 'logged',
      outcome: 'ok',
      address: '::1',
      at: 1_700_000_000_123,
    };
    await append(store, command('claim', 'logged', { by: admin(7), operation }));
    await append(store, command('claim', 'logged', { by: admin(8), operation: { ...operation, adminId: 8 } }));
    const { items } = await store.operations(1, 10);
    expect(items.filter((o) => o.sessionId === 'logged')).toEqual([{ ...operation, id: expect.any(Number) }]);
  });
});
