/** What is acknowledged stays, once and in order, whatever dies. */
import { expect, test } from 'vitest';
import { bootHere, useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import { staff, visit } from './scenes.ts';

const { house } = useServer();

test('R5.1 R7.10 every kind of event takes a place in the log, and the log has no holes', async () => {
  const { user, userId, sessionId } = await visit(house, 'one');
  const rest = house.adminRest(newId());
  const lastSeq = async (): Promise<number> => (await rest.session(sessionId)).lastSeq;
  const seen = [await lastSeq()];
  const step = async (work: () => Promise<unknown>): Promise<void> => {
    await work();
    seen.push(await lastSeq());
  };
  await step(() => rest.change(sessionId, 'claim'));
  await step(() => rest.reply(sessionId, { content: 'two' }));
  await step(() => user.say('three'));
  await step(() => house.userRest(userId).rate(sessionId, { score: 3 }));
  await step(() => house.userRest(userId).rate(sessionId, { score: 4 }));
  await step(() => rest.change(sessionId, 'transfer', { adminId: newId() }));
  await step(() => rest.change(sessionId, 'close'));
  await step(() => rest.change(sessionId, 'reopen'));
  await step(() => rest.change(sessionId, 'assign', { adminId: newId() }));
  // What is refused takes none.
  await step(() => rest.refused('POST', `/sessions/${sessionId}/claim`));
  await step(() => user.sayRefused({ content: '' }));
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
});

test('R5.5 frames of one connection are handled in the order sent', async () => {
  const user = await house.user(newId());
  for (let i = 0; i < 200; i += 1) user.send({ type: 'send_message', requestId: i, data: { content: `${i}` } });
  await user.reply(199);
  const acks = user.of('message_ack');
  expect(acks.map((ack) => ack.requestId)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  expect(acks.map((ack) => ack.data.seq)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  expect(new Set(acks.map((ack) => ack.data.sessionId)).size).toBe(1);
});

test('R5.5 so are frames that name their session among frames that leave it to be found', async () => {
  const { user, sessionId } = await visit(house, 'first');
  for (let i = 0; i < 60; i += 1) {
    const named = i % 3 === 0 ? {} : { sessionId };
    user.send({ type: 'send_message', requestId: i, data: { content: `${i}`, ...named } });
  }
  await Promise.all(Array.from({ length: 60 }, (_, i) => user.reply(i)));
  const { messages } = await house.adminRest(newId()).messages(sessionId, '?pageSize=100');
  expect(messages.slice(1).map((m) => Number(m.content))).toEqual(Array.from({ length: 60 }, (_, i) => i));
});

test('R5.5 so are frames to several sessions, with bad ones among them', async () => {
  const user = await house.user(newId());
  const own = [`a-${newId()}`, `b-${newId()}`];
  for (let i = 0; i < 60; i += 1) {
    user.send({
      type: 'send_message',
      requestId: i,
      data: { content: i % 10 === 9 ? '' : `${i}`, sessionId: own[i % 2] },
    });
  }
  await Promise.all(Array.from({ length: 60 }, (_, i) => user.reply(i)));
  for (const [rest, sessionId] of own.entries()) {
    const { messages } = await house.adminRest(newId()).messages(sessionId, '?pageSize=100');
    const wanted = Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 2 === rest && i % 10 !== 9);
    expect(messages.map((m) => Number(m.content))).toEqual(wanted);
  }
});

test('R5.6 a repeat is stored once and shown once, however often and by whichever way it comes', async () => {
  const adminId = newId();
  const [admin, second] = [await house.admin(adminId), await house.admin(adminId)];
  const { user, userId, sessionId } = await visit(house);
  const tabs = [user, await house.user(userId), await house.user(userId)];
  const data = { sessionId, clientMessageId: 'same' };
  const acks = await Promise.all(tabs.flatMap((tab) => Array.from({ length: 5 }, () => tab.say('once', data))));
  expect(new Set(acks.map((ack) => `${ack.messageId} ${ack.seq} ${ack.timestamp}`)).size).toBe(1);
  expect(acks.filter((ack) => ack.duplicate !== true)).toHaveLength(1);
  // The admin's, by both ways.
  const rest = house.adminRest(adminId);
  const first = await admin.say('reply', data);
  expect(await rest.reply(sessionId, { content: 'reply', clientMessageId: 'same' })).toMatchObject({
    messageId: first.messageId,
    seq: first.seq,
    duplicate: true,
  });
  expect(await second.say('reply', data)).toMatchObject({ messageId: first.messageId, duplicate: true });
  await Promise.all([user.fence(), admin.fence(), second.fence()]);
  expect(admin.of('new_user_message').map((f) => f.data.message.content)).toEqual(['你好', 'once']);
  expect(user.of('new_admin_message')).toHaveLength(1);
  expect((await rest.messages(sessionId)).messages.map((m) => m.content)).toEqual(['你好', 'once', 'reply']);
});

test('R5.7 the same id for something else is a CONFLICT, and another sender’s or session’s is another', async () => {
  const { user, sessionId } = await visit(house);
  const { admin } = await staff(house);
  await admin.expectFrame('session_status_changed', (d) => d.sessionId === sessionId);
  const data = { sessionId, clientMessageId: 'c-1' };
  const first = await user.say('mine', data);
  for (const other of [
    { content: 'mine!' },
    { content: 'mine', messageType: 'file' },
    { content: 'mine', attachments: [{ name: 'x' }] },
    { content: ' mine' },
  ]) {
    expect(await user.sayRefused({ ...data, ...other })).toMatchObject({
      code: 'CONFLICT',
      retryable: false,
      clientMessageId: 'c-1',
      sessionId,
    });
  }
  const ofAdmin = await admin.say('another sender’s', data);
  expect(ofAdmin).not.toHaveProperty('duplicate');
  const elsewhere = await user.say('another session’s', { ...data, sessionId: `${sessionId}-2` });
  expect(elsewhere).not.toHaveProperty('duplicate');
  expect(new Set([first.messageId, ofAdmin.messageId, elsewhere.messageId]).size).toBe(3);
});

test('R5.8 without an id a repeat is a new message', async () => {
  const { user, sessionId } = await visit(house, 'again');
  await user.say('again');
  user.send({ type: 'send_message', requestId: 1, data: { content: 'again' } });
  user.send({ type: 'send_message', requestId: 1, data: { content: 'again' } });
  await user.reply(1);
  await user.reply(1);
  const { messages } = await house.adminRest(newId()).messages(sessionId);
  expect(messages.map((m) => m.content)).toEqual(['again', 'again', 'again', 'again']);
});

test('R5.6 R4.8 a repeat that names no session is found though its session was closed meanwhile', async () => {
  const user = await house.user(newId());
  const admin = house.adminRest(newId());
  const first = await user.say('anybody?', { clientMessageId: 'c-1' });
  await admin.change(first.sessionId, 'close');
  const again = await user.say('anybody?', { clientMessageId: 'c-1' });
  expect(again).toMatchObject({ sessionId: first.sessionId, messageId: first.messageId, seq: 1, duplicate: true });
  expect((await admin.session(first.sessionId)).status).toBe('closed');
  // Ids are a session's own: another message under the same one opens the next session.
  const next = await user.say('still there?', { clientMessageId: 'c-1' });
  expect(next).toMatchObject({ seq: 1 });
  expect(next.sessionId).not.toBe(first.sessionId);
});

test('R5.4 R5.6 what was acknowledged is there after a kill, and a repeat is still one', async () => {
  const { house: here, server } = await bootHere();
  const userId = newId();
  const sessionId = `k-${userId}`;
  const acked = new Map<string, { messageId: string; seq: number }>();
  let sent = 0;
  for (let cycle = 0; cycle < 4; cycle += 1) {
    const user = await here.user(userId);
    const from = sent;
    for (; sent < from + 100; sent += 1) {
      user.send({ type: 'send_message', data: { sessionId, content: `${sent}`, clientMessageId: `c-${sent}` } });
    }
    // Some are answered by now, the rest are on their way.
    await user.expectFrame('message_ack', (d) => d.clientMessageId === `c-${from + cycle * 20}`);
    await server.kill();
    await user.closed;
    for (const { data } of user.of('message_ack')) acked.set(data.clientMessageId ?? '', data);
    await server.start();
  }
  expect(acked.size).toBeGreaterThan(4);
  const user = await here.user(userId);
  for (let i = 0; i < sent; i += 1) {
    const ack = await user.say(`${i}`, { sessionId, clientMessageId: `c-${i}` });
    const first = acked.get(`c-${i}`);
    if (first !== undefined) expect(ack).toMatchObject({ messageId: first.messageId, seq: first.seq, duplicate: true });
  }
  const rest = here.adminRest(newId());
  const { totalCount } = await rest.messages(sessionId);
  expect(totalCount).toBe(sent);
  const seqs: number[] = [];
  for (let page = 1; page <= 4; page += 1) {
    seqs.push(...(await rest.messages(sessionId, `?pageSize=100&page=${page}`)).messages.map((m) => m.seq));
  }
  expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, i) => i + 1));
});

test('R6.11 a grace that ran out while the server was down is dealt with when it is back', async () => {
  const { house: here, server } = await bootHere({ env: { ADMIN_OFFLINE_GRACE_SECONDS: '1' } });
  const { admin, adminId } = await staff(here);
  const { user, userId, sessionId } = await visit(here);
  await user.expectStatus(sessionId, 'active', adminId);
  await admin.vanish();
  await eventually(async () => (await here.adminRest(newId()).stats()).onlineAdmins === 0, 'the departure');
  await server.kill();
  const down = performance.now();
  await eventually(() => performance.now() - down > 1_000, 'the grace to be over');
  await server.start();
  const rest = here.adminRest(newId());
  await eventually(async () => (await rest.session(sessionId)).status === 'waiting', 'the session to wait again');
  // An admin who was there when the server was killed is not there for ever.
  const next = await staff(here);
  await eventually(async () => (await rest.session(sessionId)).adminId === next.adminId, 'the next assignment');
  await server.kill();
  await server.start();
  await here.user(userId);
  await eventually(async () => (await rest.session(sessionId)).status === 'waiting', 'the session to wait once more');
});
