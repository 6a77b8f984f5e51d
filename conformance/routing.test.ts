/** Who hears what, in which order. */
import { expect, test } from 'vitest';
import { describeStores, useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import type { Peer } from './peer.ts';
import { staff, visit } from './scenes.ts';

describeStores('routing', (store) => {
  const { house } = useServer(() => store.database());

  /** The seqs of one session as a connection heard them, in order of arrival, with what they were. */
  function heard(peer: Peer, sessionId: string): (readonly [number, string])[] {
    return peer.frames.flatMap((frame) => {
      if (frame.type === 'error' || frame.data.sessionId !== sessionId) return [];
      const seq = 'message' in frame.data ? frame.data.message.seq : frame.data.seq;
      return [[seq, frame.type] as const];
    });
  }

  test('R4.14 a user’s message goes to all connections of the admin who has the session, and to no other’s', async () => {
    const adminId = newId();
    const tabs = [await house.admin(adminId), await house.admin(adminId), await house.admin(adminId)];
    const { user, sessionId } = await visit(house, 'first');
    await user.expectStatus(sessionId, 'active', adminId);
    const { admin: other } = await staff(house);
    const [stranger] = [await house.user(newId())];
    const ack = await user.say('second', { messageType: 'image', attachments: [{ url: 'https://example.com/1' }] });
    for (const tab of tabs) {
      const first = await tab.expectFrame('new_user_message');
      expect(first.data.message.content).toBe('first');
      const second = await tab.expectFrame('new_user_message');
      expect(second.data).toMatchObject({
        sessionId,
        message: { messageId: ack.messageId, messageType: 'image', attachments: [{ url: 'https://example.com/1' }] },
      });
    }
    for (const peer of [other, stranger, ...tabs]) {
      expect((await peer.rest()).filter((frame) => frame.type !== 'session_status_changed')).toEqual([]);
    }
  });

  test('R4.14 after a transfer messages go to the new admin, and to the old one no more', async () => {
    const { admin: before, adminId } = await staff(house);
    const { user, sessionId } = await visit(house);
    await before.expectFrame('new_user_message');
    const { admin: after, adminId: to } = await staff(house);
    await house.adminRest(adminId).change(sessionId, 'transfer', { adminId: to });
    await user.say('to whom?');
    await after.expectFrame('new_user_message', (data) => data.message.content === 'to whom?');
    await before.fence();
    expect(before.of('new_user_message')).toHaveLength(1);
  });

  test('R4.15 a message to a session that waits goes to every online admin', async () => {
    // Both admins are full, by sessions given to them by hand.
    const boss = house.adminRest(newId());
    const admins = [await staff(house), await staff(house)];
    const open = await Promise.all(Array.from({ length: 20 }, (_, i) => visit(house, `${i}`)));
    await eventually(async () => (await boss.stats()).activeSessions === 20, 'both to be full');
    const { user, sessionId } = await visit(house, 'is anybody free?');
    expect((await boss.session(sessionId)).status).toBe('waiting');
    await user.say('please');
    for (const { admin } of admins) {
      await admin.expectFrame('new_user_message', (d) => d.sessionId === sessionId && d.message.seq === 1);
      await admin.expectFrame('new_user_message', (d) => d.sessionId === sessionId && d.message.seq === 2);
    }
    // The first who gets free takes it, and from then on it is theirs alone.
    const [one, other] = admins as [(typeof admins)[0], (typeof admins)[0]];
    const mine = (await boss.sessions('?status=active&pageSize=100')).sessions.find((s) => s.adminId === one.adminId);
    await boss.change(mine?.sessionId ?? '', 'close');
    await user.expectStatus(sessionId, 'active', one.adminId);
    await user.say('thank you');
    await one.admin.expectFrame('new_user_message', (d) => d.message.content === 'thank you');
    await other.admin.fence();
    expect(other.admin.of('new_user_message').filter((f) => f.data.sessionId === sessionId)).toHaveLength(2);
    expect(open).toHaveLength(20);
  });

  test('R4.16 R4.17 a reply reaches the user, the admin’s other connections and the session’s admin', async () => {
    const { admin: holder, adminId } = await staff(house);
    const { userId, user, sessionId } = await visit(house);
    await user.expectStatus(sessionId, 'active', adminId);
    const phone = await house.user(userId);
    const helperId = newId();
    const [helper, helpersOther] = [await house.admin(helperId), await house.admin(helperId)];
    const { admin: bystander } = await staff(house);
    const stranger = await house.user(newId());

    const ack = await helper.say('let me help', { sessionId });
    for (const peer of [user, phone, helpersOther, holder]) {
      const { data } = await peer.expectFrame('new_admin_message');
      expect(data).toMatchObject({
        sessionId,
        message: { messageId: ack.messageId, senderId: helperId, senderType: 'admin', seq: ack.seq },
        userInfo: { userId, nickname: `客户${userId}`, avatar: `https://example.com/${userId}.png` },
      });
    }
    // By REST no connection of the admin is the sender: all of them hear it.
    const sent = await house.adminRest(helperId).reply(sessionId, { content: 'by REST' });
    for (const peer of [user, phone, helper, helpersOther, holder]) {
      await peer.expectFrame('new_admin_message', (d) => d.message.messageId === sent.messageId);
    }
    for (const peer of [user, phone, helper, helpersOther, holder, bystander, stranger]) {
      const more = (await peer.rest()).filter((frame) => frame.type === 'new_admin_message');
      expect(more).toEqual([]);
    }
  });

  test('R4.18 news of a session reach its user and every online admin', async () => {
    const { admin, adminId } = await staff(house);
    const { userId, user, sessionId } = await visit(house);
    const phone = await house.user(userId);
    const [watcher, watchersOther] = [await house.admin(newId()), await house.admin(newId())];
    const stranger = await house.user(newId());
    await admin.expectStatus(sessionId, 'active', adminId);
    await house.adminRest(adminId).change(sessionId, 'close');
    for (const peer of [user, phone, admin, watcher, watchersOther]) {
      const { data } = await peer.expectStatus(sessionId, 'closed', adminId);
      expect(data).toEqual({ sessionId, status: 'closed', adminId, timestamp: expect.any(String), seq: 3 });
    }
    await stranger.fence();
    expect(stranger.frames).toEqual([]);
  });

  test('R4.19 R4.12 a user’s own message is told to no connection of the user but by its ack', async () => {
    const { admin } = await staff(house);
    const { userId, user } = await visit(house, 'first');
    const phone = await house.user(userId);
    await user.say('second');
    await admin.expectFrame('new_user_message', (d) => d.message.content === 'second');
    await phone.fence();
    expect(phone.frames).toEqual([]);
    await user.fence();
    expect(user.frames.map((frame) => frame.type)).toEqual(['message_ack', 'session_status_changed', 'message_ack']);
  });

  test('R2.11 one account on both sides hears each side on its own connections', async () => {
    const id = newId();
    const token = house.token({ userId: id, roles: ['user', 'admin'] });
    const user = await house.connect(token);
    const admin = await house.connect(token, { query: { type: 'admin', role: 'admin' } });
    const { sessionId } = await user.say('to myself');
    await admin.expectFrame('new_user_message');
    await admin.say('from myself', { sessionId });
    const { data } = await user.expectFrame('new_admin_message');
    expect(data.message).toMatchObject({ senderId: id, senderType: 'admin' });
    for (const peer of [user, admin]) await peer.expectStatus(sessionId, 'active', id);
    expect((await admin.rest()).map((frame) => frame.type)).toEqual(['message_ack'].filter(() => false));
    expect(await user.rest()).toEqual([]);
    const { messages } = await house.rest('/admin/chat', token).messages(sessionId);
    expect(messages.map((m) => [m.senderId, m.senderType])).toEqual([
      [id, 'user'],
      [id, 'admin'],
    ]);
  });

  test('R5.1 R5.2 R5.3 every observer sees one log, without holes, in one order', async () => {
    const { admin, adminId } = await staff(house);
    const { userId, user, sessionId } = await visit(house, 'm1');
    await user.expectStatus(sessionId, 'active', adminId);
    const rest = house.adminRest(adminId);
    const sending = [user, user, admin, admin].map(async (peer, lane) => {
      for (let i = 0; i < 10; i += 1) await peer.say(`${lane}.${i}`, { sessionId });
    });
    for (let i = 0; i < 10; i += 1) await rest.reply(sessionId, { content: `rest.${i}` });
    await Promise.all(sending);
    await house.userRest(userId).rate(sessionId, { score: 5 });
    await rest.change(sessionId, 'close');
    await user.expectStatus(sessionId, 'closed', adminId);
    await admin.expectStatus(sessionId, 'closed', adminId);

    const { messages } = await rest.messages(sessionId, '?pageSize=100');
    const { lastSeq, messageCount } = await rest.session(sessionId);
    expect([messageCount, lastSeq]).toEqual([51, 54]);
    const stored = messages.map((m) => m.seq);
    // Assignment is 2, the rating 53, the end 54; all else is messages.
    expect(stored).toEqual([1, ...Array.from({ length: 50 }, (_, i) => i + 3)]);

    await Promise.all([user.fence(), admin.fence()]);
    for (const peer of [user, admin]) {
      const told = heard(peer, sessionId);
      const pushed = told.filter(([, type]) => type !== 'message_ack').map(([seq]) => seq);
      expect(pushed).toEqual(pushed.toSorted((a, b) => a - b));
      // An admin's other sends are copied to none of its own: acks fill those places.
      const all = told.map(([seq]) => seq).toSorted((a, b) => a - b);
      expect(new Set(all).size).toBe(all.length);
      expect(all).toEqual(Array.from({ length: 54 }, (_, i) => i + 1).filter((seq) => seq !== 53));
    }
    const contents = new Map(messages.map((m) => [m.seq, m.content]));
    for (const frame of [...user.of('new_admin_message'), ...admin.of('new_user_message')]) {
      expect(contents.get(frame.data.message.seq)).toBe(frame.data.message.content);
    }
  });

  test('R5.9 a session that opens logs its message and then its assignment', async () => {
    const { admin, adminId } = await staff(house);
    const { user, sessionId } = await visit(house);
    const status = await admin.expectStatus(sessionId, 'active', adminId);
    expect(status.data.seq).toBe(2);
    expect(heard(admin, sessionId)).toEqual([
      [1, 'new_user_message'],
      [2, 'session_status_changed'],
    ]);
    await house.adminRest(adminId).change(sessionId, 'close');
    await admin.expectStatus(sessionId, 'closed', adminId);
    await user.say('again', { sessionId });
    await admin.expectStatus(sessionId, 'active', adminId);
    expect(heard(admin, sessionId).slice(3)).toEqual([
      [4, 'session_status_changed'],
      [5, 'new_user_message'],
      [6, 'session_status_changed'],
    ]);
  });
});
