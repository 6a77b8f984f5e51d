import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import { frameTypes } from './peer.ts';
import { staff, visit } from './scenes.ts';

const { house } = useServer();

test('R4.1 the side is told by type, and /api/chat is /chat', async () => {
  const id = newId();
  const token = house.token({ userId: id, roles: ['user', 'admin'] });
  const sides = async (path: string, query: Record<string, string>): Promise<string> => {
    const peer = await house.connect(token, { path, query });
    // Only a user's message may go without a session.
    const reply = await peer.ask('send_message', { content: 'x' });
    await peer.close();
    return reply.type === 'message_ack' ? 'user' : 'admin';
  };
  expect(await sides('/chat', {})).toBe('user');
  expect(await sides('/chat', { type: 'user' })).toBe('user');
  expect(await sides('/chat', { type: 'user', role: 'admin' })).toBe('user');
  expect(await sides('/chat', { role: 'admin' })).toBe('user');
  expect(await sides('/chat', { type: 'admin' })).toBe('admin');
  expect(await sides('/chat', { type: 'admin', role: 'admin' })).toBe('admin');
  expect(await sides('/api/chat', { type: 'admin', role: 'user' })).toBe('admin');
  expect(await sides('/api/chat', {})).toBe('user');
});

test('R4.3 an old front end hears five types of frames and no others, whatever happens', async () => {
  const admins = [await staff(house), await staff(house)];
  const { userId, user, sessionId } = await visit(house);
  const [one, other] = admins.map(({ adminId }) => house.adminRest(adminId));
  const rating = house.userRest(userId);
  await one?.reply(sessionId, { content: 'hello' });
  await rating.rate(sessionId, { score: 5, comment: 'good' });
  await other?.request('POST', `/sessions/${sessionId}/transfer`, { adminId: admins[1]?.adminId });
  await other?.request('POST', `/sessions/${sessionId}/transfer`, { adminId: admins[0]?.adminId });
  await rating.change(sessionId, 'close');
  await rating.rate(sessionId, { score: 1 });
  await one?.change(sessionId, 'reopen');
  await user.say('still there?', { sessionId });
  for (const type of ['ping', 'typing', 'read', 'subscribe', 'welcome', 'rating', 'message_ack']) {
    expect((await user.ask(type, { sessionId })).type).toBe('error');
  }
  for (const peer of [user, ...admins.map(({ admin }) => admin)]) {
    await peer.fence();
    expect(peer.texts.length).toBeGreaterThan(3);
    for (const text of peer.texts) expect(frameTypes).toContain((JSON.parse(text) as { type: string }).type);
  }
});

test('R4.4 requestId is repeated in the reply', async () => {
  const user = await house.user(newId());
  for (const requestId of ['r-1', 'x'.repeat(64), '请求', 7, 0, -5]) {
    user.send({ type: 'send_message', requestId, data: { content: 'fine' } });
    const ack = await user.reply(requestId);
    expect(ack).toMatchObject({ type: 'message_ack', requestId, data: { requestId } });
    user.send({ type: 'send_message', requestId, data: { content: '' } });
    expect(await user.reply(requestId)).toMatchObject({ type: 'error', data: { requestId } });
  }
  user.send({ type: 'send_message', data: { content: 'without' } });
  const ack = await user.expectFrame('message_ack');
  expect(ack).not.toHaveProperty('requestId');
  expect(ack.data).not.toHaveProperty('requestId');
  user.send({ type: 'send_message', data: { content: '' } });
  expect((await user.expectFrame('error')).data).not.toHaveProperty('requestId');
});

test('R4.5 a connection survives a hundred bad frames', async () => {
  const user = await house.user(newId());
  const bad = ['{', '[]', 'null', '{}', '{"type":1}', '{"type":"send_message"}', Buffer.from([1, 2]), '"x"', '', ' '];
  for (let i = 0; i < 100; i += 1) user.send(bad[i % bad.length]);
  await user.say('still here');
  expect(user.of('error')).toHaveLength(100);
});

test('R4.6 R4.7 a message as the requirements document writes it is taken', async () => {
  const userId = newId();
  const user = await house.user(userId);
  const sessionId = `session_doc_${userId}`;
  const data = { sessionId, content: '用户消息内容', messageType: 'text' };
  user.send({ type: 'send_message', data: { ...data, senderInfo: { userId, userType: 'user' } } });
  const { data: ack } = await user.expectFrame('message_ack');
  expect(ack).toEqual({
    sessionId,
    messageId: expect.any(String),
    clientMessageId: null,
    seq: 1,
    status: 'sent',
    timestamp: expect.any(String),
  });
  for (const senderInfo of [
    { userId: `${userId}`, userType: 'user' },
    { userId },
    { userType: 'user' },
    {},
    undefined,
  ]) {
    await user.say('variant', { ...data, senderInfo });
  }
  await user.say('more', { ...data, senderInfo: { userId, userType: 'user', nickname: 'x' }, unknown: { deep: [1] } });
  expect((await user.ask('send_message', data, { version: 3, extra: null })).type).toBe('message_ack');
});

test('R4.8 a message without a session goes to the open one, or opens one', async () => {
  const user = await house.user(newId());
  const first = await user.say('first');
  expect(first.sessionId).toMatch(/^[A-Za-z0-9_-]{1,100}$/);
  expect((await user.say('second')).sessionId).toBe(first.sessionId);
  expect((await user.say('third', { sessionId: null })).sessionId).toBe(first.sessionId);
  await house.adminRest(newId()).change(first.sessionId, 'claim');
  expect((await user.say('fourth')).sessionId).toBe(first.sessionId);
  await house.adminRest(newId()).change(first.sessionId, 'close');
  const next = await user.say('fifth');
  expect(next).toMatchObject({ seq: 1 });
  expect(next.sessionId).not.toBe(first.sessionId);
});

test('R4.8 R5.5 first messages that are sent at once open one session, in the order sent', async () => {
  const userId = newId();
  const tabs = await Promise.all([house.user(userId), house.user(userId), house.user(userId)]);
  const acks = await Promise.all(tabs.flatMap((tab, t) => Array.from({ length: 5 }, (_, i) => tab.say(`${t}.${i}`))));
  expect(new Set(acks.map((ack) => ack.sessionId)).size).toBe(1);
  expect(acks.map((ack) => ack.seq).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  const { messages } = await house.userRest(userId).messages(acks[0]?.sessionId ?? '');
  for (const tab of ['0', '1', '2']) {
    const order = messages.map((m) => m.content).filter((content) => content.startsWith(`${tab}.`));
    expect(order).toEqual([0, 1, 2, 3, 4].map((i) => `${tab}.${i}`));
  }
});

test('R4.9 a well-formed id that nobody uses opens a session of that id', async () => {
  const [one, other] = [await house.user(newId()), await house.user(newId())];
  const stem = `s-${newId()}_aA`;
  const longest = stem + 'z'.repeat(100 - stem.length);
  for (const sessionId of [stem, stem.toLowerCase(), longest, `${newId()}`]) {
    expect(await one.say('mine', { sessionId })).toMatchObject({ sessionId, seq: 1 });
  }
  expect(await one.say('mine again', { sessionId: stem })).toMatchObject({ sessionId: stem, seq: 2 });
  expect(await other.sayRefused({ content: 'theirs', sessionId: stem })).toMatchObject({ code: 'FORBIDDEN' });
  // Differing in case alone is differing.
  expect((await other.say('another', { sessionId: stem.toUpperCase() })).seq).toBe(1);
});

test('R4.10 R5.9 a user’s message to a closed session reopens it', async () => {
  const { user, sessionId } = await visit(house);
  const { admin, adminId } = await staff(house);
  await admin.expectStatus(sessionId, 'active', adminId);
  await house.adminRest(adminId).change(sessionId, 'close');
  await admin.expectStatus(sessionId, 'closed', adminId);
  expect(await user.say('I am back', { sessionId })).toMatchObject({ sessionId, seq: 5 });
  const told = [
    (await admin.expectStatus(sessionId, 'waiting', null)).data.seq,
    (await admin.expectFrame('new_user_message', (d) => d.message.seq > 1)).data.message.seq,
    (await admin.expectStatus(sessionId, 'active', adminId)).data.seq,
  ];
  expect(told).toEqual([4, 5, 6]);
});

test('R4.11 a reply by a connection is a reply like any other', async () => {
  const { user, userId, sessionId } = await visit(house);
  const adminId = newId();
  const admin = await house.admin(adminId, { query: { type: 'admin' } });
  await admin.expectStatus(sessionId, 'active', adminId);
  const ack = await admin.say('what can I do?', { sessionId, senderInfo: { userId: adminId, userType: 'admin' } });
  const { data } = await user.expectFrame('new_admin_message');
  expect(data).toMatchObject({
    sessionId,
    message: { messageId: ack.messageId, senderId: adminId, senderType: 'admin' },
  });
  await house.userRest(userId).change(sessionId, 'close');
  await admin.say('one more thing', { sessionId });
  await user.expectStatus(sessionId, 'active', adminId);
});

test('R4.12 R5.6 an ack repeats the clientMessageId, and a repeat gets the first one again', async () => {
  const user = await house.user(newId());
  const clientMessageId = `${'x'.repeat(62)}_-`;
  const first = await user.say('once', { clientMessageId });
  expect(first).toMatchObject({ clientMessageId, seq: 1 });
  expect(first).not.toHaveProperty('duplicate');
  for (const sessionId of [undefined, null, first.sessionId]) {
    const repeat = await user.say('once', { clientMessageId, sessionId });
    expect(repeat).toEqual({ ...first, requestId: repeat.requestId, duplicate: true });
  }
});

test('R4.20 an error names the frame that it answers, to its sender alone', async () => {
  const { user, userId, sessionId } = await visit(house);
  const bystander = await house.user(userId);
  const { admin } = await staff(house);
  const error = await user.sayRefused({ sessionId, content: '', clientMessageId: 'c-9' });
  expect(error).toEqual({
    code: 'INVALID_PARAMETER',
    message: expect.any(String),
    retryable: false,
    details: { field: 'data.content', fault: expect.any(String) },
    requestId: expect.any(String),
    clientMessageId: 'c-9',
    sessionId,
  });
  for (const peer of [bystander, admin]) {
    await peer.fence();
    expect(peer.of('error')).toEqual([]);
  }
});

test('R3.29 the texts of errors are Chinese, or English for who prefers that', async () => {
  const chinese = await house.user(newId());
  const english = await house.user(newId(), { headers: { 'accept-language': 'en-GB,en;q=0.9,zh;q=0.5' } });
  const [zh, en] = [await chinese.sayRefused({ content: ' ' }), await english.sayRefused({ content: ' ' })];
  expect(zh.message).toMatch(/[一-鿿]/);
  expect(en.message).toMatch(/^[\x20-\x7e]+$/);
  expect([zh.code, zh.details?.field]).toEqual([en.code, en.details?.field]);
  for (const [language, pattern] of [
    ['', /[一-鿿]/],
    ['fr', /[一-鿿]/],
    ['en', /^[\x20-\x7e]+$/],
    ['zh-CN', /[一-鿿]/],
  ] as const) {
    const error = await house.adminRest(newId()).refused('GET', '/sessions?page=0', undefined, {
      'accept-language': language,
    });
    expect(error.message).toMatch(pattern);
    expect(error.details?.fault).toMatch(pattern);
  }
});
