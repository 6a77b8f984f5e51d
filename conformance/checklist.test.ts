/** The checklist of the requirements document: account 13612227930, user and admin at once, with userId 31. */
import { expect, test } from 'vitest';
import { describeStores, useServer } from './boot.ts';
import { eventually } from './house.ts';
import { visit } from './scenes.ts';

const ACCOUNT = { userId: 31, roles: ['user', 'admin'], phone: '13612227930', nickname: '用户昵称' };

describeStores('the checklist', (store) => {
  const { house } = useServer(() => store.database());

  test('R2.11 R4.6 R4.13 R4.16 R4.18 R10.1 account 13612227930 writes to itself, and every step of it arrives', async () => {
    const token = house.token(ACCOUNT);
    const [bare, api] = [house.rest('/admin/chat', token), house.rest('/api/admin/chat', token)];
    const before = await api.stats();

    const admin = await house.connect(token, { query: { type: 'admin', role: 'admin' } });
    const user = await house.connect(token);
    const sessionId = `session_${store.name}_31`;
    const senderInfo = { userId: 31, userType: 'user' };
    const sent = { sessionId, content: '用户消息内容', messageType: 'text', senderInfo };
    user.send({ type: 'send_message', data: sent });
    const { data: ack } = await user.expectFrame('message_ack');

    // The admin's console hears it, in the shape of the document and nothing but additions to it.
    const heard = await admin.expectFrame('new_user_message');
    expect(heard).toEqual({
      type: 'new_user_message',
      data: {
        sessionId,
        message: {
          messageId: ack.messageId,
          senderId: 31,
          senderType: 'user',
          content: '用户消息内容',
          messageType: 'text',
          createdAt: ack.timestamp,
          seq: 1,
          status: 'sent',
          attachments: [],
        },
        userInfo: { userId: 31, nickname: '用户昵称', avatar: '' },
      },
    });
    const status = { sessionId, status: 'active', adminId: 31, timestamp: expect.any(String), seq: 2 };
    for (const peer of [admin, user]) {
      expect(await peer.expectFrame('session_status_changed')).toEqual({
        type: 'session_status_changed',
        data: status,
      });
    }

    // The lists that answered 404 answer now.
    for (const rest of [bare, api]) {
      expect((await rest.sessions('?status=pending&page=1&pageSize=10')).totalCount).toBe(0);
      expect((await rest.sessions()).sessions[0]).toMatchObject({
        sessionId,
        userId: 31,
        userInfo: { userId: 31, nickname: '用户昵称' },
        adminId: 31,
        status: 'active',
        lastMessage: { content: '用户消息内容', messageType: 'text', senderId: 31, senderType: 'user' },
        messageCount: 1,
        isOnline: true,
      });
      const { messages, totalCount } = await rest.messages(sessionId, '?page=1&pageSize=20');
      expect(totalCount).toBe(1);
      expect(messages[0]).toMatchObject({ messageId: ack.messageId, sessionId, senderId: 31, status: 'sent' });
    }

    // The reply reaches the user's socket.
    const reply = await bare.reply(sessionId, { content: '管理员回复内容', messageType: 'text', adminId: 31 });
    expect(reply).toMatchObject({ status: 'sent', seq: 3 });
    expect(await user.expectFrame('new_admin_message')).toEqual({
      type: 'new_admin_message',
      data: {
        sessionId,
        message: {
          messageId: reply.messageId,
          senderId: 31,
          senderType: 'admin',
          content: '管理员回复内容',
          messageType: 'text',
          createdAt: reply.timestamp,
          seq: 3,
          status: 'sent',
          attachments: [],
        },
        userInfo: { userId: 31, nickname: '用户昵称', avatar: '' },
      },
    });
    expect((await admin.expectFrame('new_admin_message')).data.message.messageId).toBe(reply.messageId);
    expect([await user.rest(), await admin.rest()]).toEqual([[], []]);

    // The statistics count it.
    const after = await bare.stats();
    expect(after).toMatchObject({
      totalSessions: before.totalSessions + 1,
      completedSessions: before.completedSessions,
      messagesToday: before.messagesToday + 2,
      activeSessions: 1,
      waitingSessions: 0,
      onlineAdmins: 1,
      avgResponseTime: expect.stringMatching(/^\d+秒$/),
    });
    await house.rest('/api/chat', token).change(sessionId, 'close');
    await house.rest('/chat', token).rate(sessionId, { score: 5 });
    expect(await api.stats()).toMatchObject({
      completedSessions: before.completedSessions + 1,
      customerSatisfaction: 5,
      ratedSessions: before.ratedSessions + 1,
    });
  });

  test('R3.5 R3.12 R6.4 with nobody at work the account waits, and is found', async () => {
    const token = house.token(ACCOUNT);
    const user = await house.connect(token);
    const { sessionId } = await user.say('有人吗');
    for (const prefix of ['/admin/chat', '/api/admin/chat']) {
      const { sessions } = await house.rest(prefix, token).sessions('?status=pending&page=1&pageSize=10');
      expect(sessions).toMatchObject([{ sessionId, status: 'waiting', adminId: null, isOnline: true }]);
    }
  });

  test('R4.14 R6.1 different people, several sessions, several admins', async () => {
    const admins = await Promise.all([301, 302, 303].map((id) => house.admin(id)));
    const visits = [];
    for (let i = 0; i < 6; i += 1) visits.push(await visit(house, `question ${i}`));
    const rest = house.adminRest(301);
    const { sessions } = await rest.sessions('?status=active&pageSize=100');
    const holders = sessions.map((s) => s.adminId ?? 0);
    expect(holders.toSorted((a, b) => a - b)).toEqual([301, 301, 302, 302, 303, 303]);
    for (const [i, admin] of admins.entries()) {
      await admin.fence();
      const own = sessions.filter((s) => s.adminId === 301 + i).map((s) => s.sessionId);
      expect(admin.of('new_user_message').map((f) => f.data.sessionId)).toEqual(
        visits.map((v) => v.sessionId).filter((id) => own.includes(id)),
      );
    }
    for (const { user, sessionId } of visits) {
      const { adminId } = await rest.session(sessionId);
      await house.adminRest(adminId ?? 0).reply(sessionId, { content: `answer to ${sessionId}`, adminId });
      const { data } = await user.expectFrame('new_admin_message');
      expect([data.sessionId, data.message.content]).toEqual([sessionId, `answer to ${sessionId}`]);
    }
    expect((await rest.stats()).onlineAdmins).toBe(3);
  });

  test('R6.5 R6.9 an admin goes away and comes back', async () => {
    const admin = await house.admin(311);
    const { user, sessionId } = await visit(house);
    await user.expectStatus(sessionId, 'active', 311);
    await admin.vanish();
    await eventually(async () => (await house.adminRest(312).stats()).onlineAdmins === 0, 'the departure');
    await user.say('are you there?');
    const back = await house.admin(311);
    await user.say('hello again');
    await back.expectFrame('new_user_message', (data) => data.message.content === 'hello again');
    const { messages } = await house.adminRest(311).messages(sessionId);
    expect(messages.map((m) => m.content)).toEqual(['你好', 'are you there?', 'hello again']);
    await user.fence();
    expect(user.of('session_status_changed')).toHaveLength(1);
  });
});
