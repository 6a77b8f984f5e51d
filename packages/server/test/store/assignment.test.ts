import { beforeEach, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SqlStore } from '../../src/store/sql-store.ts';
import {
  admin,
  append,
  appendOk,
  type Bench,
  brokenRules,
  command,
  onEveryStore,
  user,
  verdict,
} from './open-store.ts';

onEveryStore('assignment', (bench) => {
  beforeEach(() => bench.fresh());

  const online = async (store: SqlStore, ...ids: number[]): Promise<void> => {
    for (const id of ids) await store.roster.online({ id, nickname: `a${id}`, avatar: '' }, 'n1');
  };
  const open = async (store: SqlStore, id: string, by = 1): Promise<number | null> =>
    (await appendOk(store, command('message', id, { by: user(by) }))).session.adminId;
  /** Times of the store's clock have milliseconds; what must differ is kept apart. */
  const tick = (): Promise<void> => sleep(5);

  test('a new session goes to the fewest active, and its message and assignment are one commit', async () => {
    const store = await bench.store();
    await online(store, 1, 2);
    const first = await appendOk(store, command('message', 's1', { by: user(1) }));
    expect(first.events.map((e) => e.kind)).toEqual(['message', 'status']);
    expect(first.session).toMatchObject({ status: 'active', adminId: 1, waitingSince: null });
    const second = await open(store, 's2', 2);
    expect(second).toBe(2);
    await appendOk(store, command('close', 's1', { by: admin(1) }));
    expect(await open(store, 's3', 3)).toBe(1);
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('a tie goes to the one idle longest; messages do not cost a place, gains and losses do', async () => {
    const store = await bench.store();
    await online(store, 1);
    await tick();
    await online(store, 2);
    // Both get one; 1 has had it for longer.
    expect(await open(store, 'a', 1)).toBe(1);
    await tick();
    expect(await open(store, 'b', 2)).toBe(2);
    await tick();
    // In one batch with somebody else's status event: only a message for 1.
    await Promise.all([
      appendOk(store, command('message', 'a', { by: user(1) })),
      appendOk(store, command('message', 'a', { by: admin(1) })),
      appendOk(store, command('rate', 'a', { by: user(1), score: 5, comment: '' })),
      appendOk(store, command('message', 'c', { by: user(3) })),
    ]).then((outcomes) => expect(outcomes[3]?.session.adminId).toBe(1));
    await tick();
    expect(await open(store, 'd', 4)).toBe(2);
    await tick();
    // Both have two, 2 the last gain. Then 1 loses one and gains one: 2 is idle longer.
    await appendOk(store, command('close', 'c', { by: admin(1) }));
    await appendOk(store, command('message', 'c', { by: admin(1) }));
    await tick();
    expect(await open(store, 'e', 5)).toBe(2);
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('a message alone, in a batch with an assignment, keeps the place of its admin', async () => {
    const store = await bench.store();
    for (const id of [1, 2, 3]) {
      await online(store, id);
      await tick();
    }
    for (const id of [1, 2, 3]) {
      expect(await open(store, `own-${id}`, id)).toBe(id);
      await tick();
    }
    const batch = await Promise.all([
      appendOk(store, command('message', 'own-2', { by: user(2) })),
      appendOk(store, command('message', 'new', { by: user(9) })),
    ]);
    expect(batch[1]?.session.adminId).toBe(1);
    await tick();
    expect(await open(store, 'next', 10)).toBe(2);
  });

  test('what a batch itself takes counts for its assignments', async () => {
    const store = await bench.store(2);
    await open(store, 'w1', 1);
    await open(store, 'w2', 2);
    await online(store, 1);
    // The claims and the opening share a commit; the admin is full after the claims.
    const [, , opened] = await Promise.all([
      appendOk(store, command('claim', 'w1', { by: admin(1) })),
      appendOk(store, command('claim', 'w2', { by: admin(1) })),
      appendOk(store, command('message', 'w3', { by: user(3) })),
    ]);
    expect(opened.session).toMatchObject({ status: 'waiting', adminId: null });
    expect(await store.activeSessionsOf(1)).toHaveLength(2);
  });

  test('capacity is never exceeded by openings on two nodes at once; the rest waits, in order', async () => {
    const nodes = await bench.nodes(5);
    await online(nodes[0], 1, 2, 3);
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        append(nodes[i % 2 === 0 ? 0 : 1], command('message', `s${i}`, { by: user(i + 1) })),
      ),
    );
    expect(new Set(results.map(verdict))).toEqual(new Set(['ok']));
    for (let round = 0; round < 20; round++) {
      const waiting = await nodes[0].waiting(20);
      await Promise.all(
        waiting.slice(0, 6).map((id, i) => append(nodes[i % 2 === 0 ? 0 : 1], command('auto_assign', id))),
      );
    }
    for (const id of [1, 2, 3]) expect(await nodes[0].activeSessionsOf(id)).toHaveLength(5);
    expect(await nodes[0].statusCounts()).toEqual({ waiting: 45, active: 15, closed: 0 });
    expect(await brokenRules(bench)).toEqual([]);
  });

  test('who waits longer is not overtaken by a new session', async () => {
    const store = await bench.store(1);
    expect(await open(store, 'old', 1)).toBeNull();
    await online(store, 1);
    expect(await open(store, 'young', 2)).toBeNull();
    expect(await store.waiting(10)).toEqual(['old', 'young']);
    // The queue's run names the session whose turn it is.
    expect((await appendOk(store, command('auto_assign', 'old'))).session.adminId).toBe(1);
    expect((await appendOk(store, command('auto_assign', 'young'))).session).toMatchObject({
      status: 'waiting',
      lastSeq: 1,
    });
  });

  test('a reopened session prefers its last admin, else goes to the freest', async () => {
    const store = await bench.store(2);
    await online(store, 1, 2);
    expect(await open(store, 'mine', 1)).toBe(1);
    expect(await open(store, 'two', 2)).toBe(2);
    await appendOk(store, command('close', 'mine', { by: user(1) }));
    // Now 1 has fewer; fill it so that fewest-active alone would choose 2.
    await open(store, 'three', 3);
    await appendOk(store, command('close', 'two', { by: admin(2) }));
    const again = await appendOk(store, command('message', 'mine', { by: user(1) }));
    expect(again.session.adminId).toBe(1);
    expect(again.events.map((e) => (e.kind === 'status' ? e.reason : e.kind))).toEqual([
      'reopened',
      'message',
      'assigned',
    ]);
    // 1 is full now: its old session goes elsewhere.
    const reopened = await appendOk(store, command('reopen', 'two', { by: admin(1) }));
    expect(reopened.session.adminId).toBe(2);
  });

  test('nobody online: it waits', async () => {
    const store = await bench.store();
    expect(await open(store, 'alone', 1)).toBeNull();
    expect((await store.session('alone'))?.session.status).toBe('waiting');
    await online(store, 1);
    await store.roster.offline(1, 'n1', 0);
    expect((await appendOk(store, command('auto_assign', 'alone'))).session.status).toBe('waiting');
  });

  test('roster: an admin is online while any node has a lease; the grace starts with the last one', async () => {
    const { roster } = await bench.store();
    const me = { id: 1, nickname: 'n', avatar: '' };
    await roster.online(me, 'n1');
    await roster.online(me, 'n2');
    await roster.offline(1, 'n1', 0);
    expect([await roster.onlineAdmins(), await roster.overdue()]).toEqual([[1], []]);
    await roster.offline(1, 'n2', 60_000);
    expect([await roster.onlineAdmins(), await roster.overdue()]).toEqual([[], []]);
    await roster.online(me, 'n1');
    await roster.offline(1, 'n1', 0);
    await tick();
    expect(await roster.overdue()).toEqual([1]);
    await roster.settled(1);
    expect(await roster.overdue()).toEqual([]);
  });

  test('roster: a lease that lapsed ends; renewing brings it back and calls the grace off', async () => {
    const { roster } = await bench.store();
    await roster.online({ id: 1, nickname: '', avatar: '' }, 'n1');
    await lapse(bench);
    expect(await roster.onlineAdmins()).toEqual([]);
    await roster.expire(0, null);
    await tick();
    expect(await roster.overdue()).toEqual([1]);
    await roster.renew([1], 'n1');
    expect([await roster.onlineAdmins(), await roster.overdue()]).toEqual([[1], []]);
    // Who came back meanwhile is not settled away.
    await roster.settled(1);
    expect(await roster.onlineAdmins()).toEqual([1]);
  });

  test('roster: a node that is alone ends the leases of an earlier run, and its own stay', async () => {
    const { roster } = await bench.store();
    await roster.online({ id: 1, nickname: '', avatar: '' }, 'earlier');
    await roster.online({ id: 2, nickname: '', avatar: '' }, 'me');
    await roster.expire(0, null);
    expect(new Set(await roster.onlineAdmins())).toEqual(new Set([1, 2]));
    await roster.expire(0, 'me');
    await tick();
    expect([await roster.onlineAdmins(), await roster.overdue()]).toEqual([[2], [1]]);
  });

  test('roster: a short absence keeps the place in the order, a long one does not', async () => {
    const store = await bench.store();
    const since = async (id: number): Promise<unknown> =>
      (await bench.rows('SELECT idle_since AS t FROM chat_admins WHERE admin_id = ?', [id]))[0]?.['t'];
    await online(store, 1);
    const first = await since(1);
    await tick();
    await store.roster.offline(1, 'n1', 60_000);
    await online(store, 1);
    expect(await since(1)).toBe(first);
    await store.roster.offline(1, 'n1', 0);
    await tick();
    await store.roster.settled(1);
    await online(store, 1);
    expect(await since(1)).not.toBe(first);
  });

  test('roster: many nodes coming, going and renewing at once do not stop each other', async () => {
    const nodes = await bench.nodes();
    const work = Array.from({ length: 60 }, (_, i) => {
      const { roster } = nodes[i % 2 === 0 ? 0 : 1];
      const [id, node] = [i % 5, `n${i % 2}`];
      if (i % 3 === 0) return roster.offline(id, node, 1_000);
      return i % 3 === 1 ? roster.online({ id, nickname: '', avatar: '' }, node) : roster.renew([0, 1, 2, 3, 4], node);
    });
    await Promise.all([...work, ...nodes.map((n) => n.roster.expire(1_000, null))]);
  });
});

async function lapse(bench: Bench): Promise<void> {
  const dialect = await bench.dialect();
  await dialect.transaction((tx) => tx.run('UPDATE chat_admin_leases SET expires_at = ?', ['2024-01-01 00:00:00.000']));
  await dialect.close();
}
