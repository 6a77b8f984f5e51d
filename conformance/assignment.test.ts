/** Which admin gets which session, and when. */
import { expect, test } from 'vitest';
import { describeStores, useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import type { Peer } from './peer.ts';
import { nextMillisecond, staff, visit } from './scenes.ts';

const CAPACITY = 3;
const GRACE_SECONDS = 1;

describeStores('assignment', (store) => {
  const { house } = useServer(async () => ({
    ...(await store.database()),
    env: {
      MAX_ACTIVE_SESSIONS_PER_ADMIN: String(CAPACITY),
      ADMIN_OFFLINE_GRACE_SECONDS: String(GRACE_SECONDS),
    },
  }));
  const boss = () => house.adminRest(newId());

  /** Who has the session now; null while it waits. */
  async function holder(sessionId: string): Promise<number | null> {
    return (await boss().session(sessionId)).adminId;
  }

  async function leave(peer: Peer): Promise<void> {
    const before = (await boss().stats()).onlineAdmins;
    await peer.close();
    await eventually(async () => (await boss().stats()).onlineAdmins === before - 1, 'the departure');
  }

  test('R6.1 a new session goes at once to the online admin with the fewest active ones', async () => {
    const [a, b] = [await staff(house), await staff(house)];
    const given = new Map<number, number>();
    for (let i = 0; i < 4; i += 1) {
      const { user, sessionId } = await visit(house);
      const { data } = await user.expectFrame('session_status_changed');
      expect(data).toMatchObject({ sessionId, status: 'active' });
      given.set(data.adminId ?? 0, (given.get(data.adminId ?? 0) ?? 0) + 1);
      await nextMillisecond();
    }
    expect([given.get(a.adminId), given.get(b.adminId)]).toEqual([2, 2]);
    const { sessions } = await boss().sessions('?status=active');
    const freed = sessions.filter((s) => s.adminId === b.adminId);
    for (const { sessionId } of freed) await boss().change(sessionId, 'close');
    for (let i = 0; i < 2; i += 1) expect(await holder((await visit(house)).sessionId)).toBe(b.adminId);
  });

  test('R6.2 of equals the one idle longest gets the session', async () => {
    const people = [];
    for (let i = 0; i < 3; i += 1) {
      people.push(await staff(house));
      await nextMillisecond();
    }
    const [a, b, c] = people.map((p) => p.adminId);
    const order = [];
    const sessions: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const { sessionId } = await visit(house);
      order.push(await holder(sessionId));
      sessions.push(sessionId);
      await nextMillisecond();
    }
    expect(order).toEqual([a, b, c]);
    // Who was freed first has been idle longest.
    for (const i of [1, 2, 0]) {
      await boss().change(sessions[i] ?? '', 'close');
      await nextMillisecond();
    }
    order.length = 0;
    for (let i = 0; i < 3; i += 1) {
      order.push(await holder((await visit(house)).sessionId));
      await nextMillisecond();
    }
    expect(order).toEqual([b, c, a]);
  });

  test('R6.3 a reopened session prefers its last admin', async () => {
    const [a] = [await staff(house)];
    const { user, userId, sessionId } = await visit(house);
    await user.expectStatus(sessionId, 'active', a.adminId);
    await boss().change(sessionId, 'close');
    const b = await staff(house);
    // Somebody else has less to do.
    await visit(house);
    const other = await visit(house);
    await boss().request('POST', `/sessions/${other.sessionId}/transfer`, { adminId: a.adminId });
    await user.say('again', { sessionId });
    await user.expectStatus(sessionId, 'active', a.adminId);
    await house.userRest(userId).change(sessionId, 'close');
    await boss().change(sessionId, 'reopen');
    await user.expectStatus(sessionId, 'active', a.adminId);
    // Full, and then away, the last admin is preferred no more.
    await boss().change(sessionId, 'close');
    for (let i = 0; i < CAPACITY; i += 1) {
      const { sessionId: more } = await visit(house);
      if ((await holder(more)) !== a.adminId) await boss().change(more, 'transfer', { adminId: a.adminId });
    }
    await user.say('once more', { sessionId });
    await user.expectStatus(sessionId, 'active', b.adminId);
    await boss().change(sessionId, 'transfer', { adminId: a.adminId });
    await boss().change(sessionId, 'close');
    await leave(a.admin);
    await user.say('and again', { sessionId });
    await user.expectStatus(sessionId, 'active', b.adminId);
  });

  test('R6.4 R6.5 with nobody at work sessions wait, and the first who comes gets the longest wait first', async () => {
    const waiting: string[] = [];
    for (let i = 0; i < CAPACITY + 1; i += 1) {
      waiting.push((await visit(house)).sessionId);
      await nextMillisecond();
    }
    // A later message does not send its session to the end of the queue.
    const { sessions } = await boss().sessions('?status=waiting');
    expect(sessions).toHaveLength(CAPACITY + 1);
    for (const session of sessions) expect(session.waitingSince).not.toBeNull();
    const { admin, adminId } = await staff(house);
    const order: string[] = [];
    for (let i = 0; i < CAPACITY; i += 1) {
      const { data } = await admin.expectFrame('session_status_changed', (d) => d.adminId === adminId);
      order.push(data.sessionId);
    }
    expect(order).toEqual(waiting.slice(0, CAPACITY));
    expect(await holder(waiting[CAPACITY] ?? '')).toBeNull();
  });

  test('R6.6 R6.7 an admin who gets free gets the longest wait first, and never more than the capacity', async () => {
    const { admin, adminId } = await staff(house);
    const taken: string[] = [];
    for (let i = 0; i < CAPACITY; i += 1) taken.push((await visit(house)).sessionId);
    const first = await visit(house);
    await nextMillisecond();
    const second = await visit(house);
    expect([await holder(first.sessionId), await holder(second.sessionId)]).toEqual([null, null]);
    await first.user.say('still waiting');
    await second.user.say('so do I');
    expect((await boss().stats()).activeSessions).toBe(CAPACITY);
    await boss().change(taken[0] ?? '', 'close');
    await first.user.expectStatus(first.sessionId, 'active', adminId);
    expect(await holder(second.sessionId)).toBeNull();
    await house.adminRest(adminId).change(taken[1] ?? '', 'transfer', { adminId: newId() });
    await second.user.expectStatus(second.sessionId, 'active', adminId);
    await admin.fence();
    expect((await boss().stats()).waitingSessions).toBe(0);
  });

  test('R6.7 by hand an admin may have more than the capacity', async () => {
    const { adminId } = await staff(house);
    for (let i = 0; i < CAPACITY; i += 1) await visit(house);
    const more = [await visit(house), await visit(house), await visit(house), await visit(house)] as const;
    const rest = house.adminRest(adminId);
    await rest.change(more[0].sessionId, 'claim');
    await boss().change(more[1].sessionId, 'assign', { adminId });
    await rest.reply(more[2].sessionId, { content: 'mine' });
    const other = newId();
    await house.adminRest(other).change(more[3].sessionId, 'claim');
    await house.adminRest(other).change(more[3].sessionId, 'transfer', { adminId });
    const { sessions } = await rest.sessions('?status=active&pageSize=100');
    expect(sessions.filter((s) => s.adminId === adminId)).toHaveLength(CAPACITY + 4);
    const { sessionId, user } = await visit(house);
    await rest.change(more[0].sessionId, 'close');
    await user.say('is it my turn?');
    expect(await holder(sessionId)).toBeNull();
  });

  test('R6.8 sessions of an admin who stays away return to waiting, and are assigned anew', async () => {
    const { admin, adminId } = await staff(house);
    const [one, other] = [await visit(house), await visit(house)];
    await one.user.expectStatus(one.sessionId, 'active', adminId);
    await other.user.expectStatus(other.sessionId, 'active', adminId);
    const began = performance.now();
    await admin.vanish();
    for (const { user, sessionId } of [one, other]) await user.expectStatus(sessionId, 'waiting', null);
    expect(performance.now() - began).toBeGreaterThan(GRACE_SECONDS * 1000 - 100);
    const next = await staff(house);
    for (const { user, sessionId } of [one, other]) {
      await user.expectStatus(sessionId, 'active', next.adminId);
      expect(await boss().session(sessionId)).toMatchObject({ status: 'active', adminId: next.adminId, lastSeq: 4 });
    }
    // Somebody else is there at once this time.
    const third = await staff(house);
    await next.admin.vanish();
    for (const { user, sessionId } of [one, other]) await user.expectStatus(sessionId, 'active', third.adminId);
  });

  test('R6.9 R6.10 who comes back within the grace, or has another connection, keeps their sessions', async () => {
    const adminId = newId();
    const [desk, phone] = [await house.admin(adminId), await house.admin(adminId)];
    const { user, sessionId } = await visit(house);
    await user.expectStatus(sessionId, 'active', adminId);
    await staff(house);
    await desk.vanish();
    // Another admin's grace, begun at the same time, has run out: so would this one's have.
    const control = await staff(house);
    const their = await visit(house);
    if ((await holder(their.sessionId)) !== control.adminId) {
      await boss().change(their.sessionId, 'transfer', { adminId: control.adminId });
    }
    await leave(control.admin);
    await their.user.expectStatus(their.sessionId, 'waiting', null);
    expect(await holder(sessionId)).toBe(adminId);
    // Now the last one goes, and comes back.
    await leave(phone);
    await house.admin(adminId);
    const again = await staff(house);
    await boss().change(their.sessionId, 'transfer', { adminId: again.adminId });
    await leave(again.admin);
    await their.user.expectStatus(their.sessionId, 'waiting', null);
    expect(await holder(sessionId)).toBe(adminId);
    await user.fence();
    expect(user.of('session_status_changed')).toHaveLength(1);
  });

  test('R6.12 a session may be given by hand to an admin who is away, and stays there', async () => {
    const away = newId();
    const [assigned, transferred] = [await visit(house), await visit(house)];
    await boss().change(assigned.sessionId, 'assign', { adminId: away });
    await boss().change(transferred.sessionId, 'claim');
    await boss().change(transferred.sessionId, 'transfer', { adminId: away });
    // Somebody's grace begins after that and runs out: had one begun for the admin who is away, it would have too.
    const { admin, adminId } = await staff(house);
    const { user, sessionId } = await visit(house);
    await user.expectStatus(sessionId, 'active', adminId);
    await admin.vanish();
    await user.expectStatus(sessionId, 'waiting', null);
    for (const { sessionId: given } of [assigned, transferred]) {
      expect(await boss().session(given)).toMatchObject({ status: 'active', adminId: away });
    }
    // The admin comes, and finds them.
    const back = await house.admin(away);
    await assigned.user.say('at last');
    await back.expectFrame('new_user_message', (d) => d.sessionId === assigned.sessionId);
  });

  test('R6.13 automatic assignment and claims at the same moment give a session to one admin', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { user, sessionId } = await visit(house);
      const claimers = [newId(), newId(), newId()];
      const [{ adminId, admin }, ...outcomes] = await Promise.all([
        staff(house),
        ...claimers.map((id) => house.adminRest(id).request('POST', `/sessions/${sessionId}/claim`)),
      ]);
      const { data } = await user.expectFrame('session_status_changed');
      const winners = claimers.filter((_, i) => outcomes[i]?.status === 200);
      expect([...winners, ...(data.adminId === adminId ? [adminId] : [])]).toEqual([data.adminId]);
      await user.fence();
      expect(user.of('session_status_changed')).toHaveLength(1);
      await boss().change(sessionId, 'close');
      await leave(admin);
    }
  });
});
