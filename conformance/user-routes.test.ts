import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import { staff, visit } from './scenes.ts';

const { house } = useServer();

test('R3.1 both prefixes of the users answer alike', async () => {
  const { userId, sessionId } = await visit(house);
  const [one, other] = [house.userRest(userId, '/api/chat'), house.userRest(userId, '/chat')];
  for (const path of ['/sessions/current', `/sessions/${sessionId}/messages`, '/sessions/none/messages']) {
    const answer = await one.request('GET', path);
    expect((await other.request('GET', path)).text).toBe(answer.text);
  }
  await house.adminRest(newId()).change(sessionId, 'claim');
  expect((await other.rate(sessionId, { score: 3 })).rating?.score).toBe(3);
  expect((await other.change(sessionId, 'close')).status).toBe('closed');
  expect((await one.rate(sessionId, { score: 4 })).rating?.score).toBe(4);
});

test('R3.25 the current session is the newest one that is not closed', async () => {
  const userId = newId();
  const rest = house.userRest(userId);
  expect(await rest.current()).toBeNull();
  const { user, sessionId } = await visit(house, 'hello', userId);
  expect(await rest.current()).toMatchObject({ sessionId, userId, status: 'waiting', isOnline: true, messageCount: 1 });
  await house.adminRest(newId()).change(sessionId, 'claim');
  expect(await rest.current()).toMatchObject({ sessionId, status: 'active' });
  await rest.change(sessionId, 'close');
  expect(await rest.current()).toBeNull();
  const next = await user.say('a new matter');
  expect(next.sessionId).not.toBe(sessionId);
  expect(await rest.current()).toMatchObject({ sessionId: next.sessionId });
});

test('R3.15 R3.16 a user reads the messages of a session as admins do', async () => {
  const { userId, user, sessionId } = await visit(house, 'm1');
  for (let i = 2; i <= 22; i += 1) await user.say(`m${i}`);
  const [own, admins] = [house.userRest(userId), house.adminRest(newId())];
  for (const query of ['', '?page=2', '?afterSeq=20', '?beforeSeq=3&pageSize=1']) {
    expect(await own.messages(sessionId, query)).toEqual(await admins.messages(sessionId, query));
  }
  expect((await own.messages(sessionId)).messages.map((m) => m.content)[0]).toBe('m3');
});

test('R3.26 a session is nobody’s but its user’s', async () => {
  const { adminId } = await staff(house);
  const { sessionId } = await visit(house);
  const rest = house.adminRest(adminId);
  const before = await rest.session(sessionId);
  // Neither another user, nor the very admin who has it, while acting as a user.
  for (const stranger of [house.userRest(newId()), house.rest('/api/chat', house.adminToken(adminId))]) {
    for (const [method, path, body] of [
      ['GET', '/messages', undefined],
      ['POST', '/rating', { score: 1 }],
      ['POST', '/close', undefined],
    ] as const) {
      const { status, error } = await stranger.request(method, `/sessions/${sessionId}${path}`, body);
      expect([status, error.code]).toEqual([403, 'FORBIDDEN']);
    }
    expect(await stranger.current()).toBeNull();
  }
  expect(await rest.session(sessionId)).toEqual(before);
});

test('R2.12 R2.11 an admin’s account is a user like any other', async () => {
  const id = newId();
  const asUser = await house.connect(house.adminToken(id));
  const { sessionId } = await asUser.say('I need help myself');
  const rest = house.rest('/api/chat', house.adminToken(id));
  expect(await rest.current()).toMatchObject({ sessionId, userId: id });
  expect((await rest.messages(sessionId)).messages[0]).toMatchObject({ senderId: id, senderType: 'user' });
  await house.adminRest(id).change(sessionId, 'claim');
  expect((await rest.rate(sessionId, { score: 5 })).adminId).toBe(id);
  expect((await rest.change(sessionId, 'close')).status).toBe('closed');
});

test('R2.10 users’ paths ask for a token too', async () => {
  for (const token of [null, 'not.a.token', house.token({ userId: 1, exp: 1 })]) {
    const rest = house.rest('/api/chat', token);
    for (const [method, path] of [
      ['GET', '/sessions/current'],
      ['GET', '/sessions/x/messages'],
      ['POST', '/sessions/x/rating'],
      ['POST', '/sessions/x/close'],
    ] as const) {
      expect((await rest.request(method, path)).status).toBe(401);
    }
  }
});
