import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import { nextMillisecond, staff, visit } from './scenes.ts';

const { house } = useServer();

test('R3.1 both prefixes of the admins answer alike', async () => {
  const { sessionId } = await visit(house);
  const adminId = newId();
  const [one, other] = [house.adminRest(adminId, '/api/admin/chat'), house.adminRest(adminId, '/admin/chat')];
  for (const path of [
    '/sessions',
    '/sessions?status=pending&page=1&pageSize=10',
    `/sessions/${sessionId}`,
    `/sessions/${sessionId}/messages`,
    '/stats/today',
    '/operation-logs',
  ]) {
    const answer = await one.request('GET', path);
    expect(answer.status).toBe(200);
    expect((await other.request('GET', path)).text).toBe(answer.text);
  }
  expect((await other.change(sessionId, 'claim')).adminId).toBe(adminId);
  expect((await one.refused('POST', `/sessions/${sessionId}/claim`)).code).toBe('CONFLICT');
});

test('R3.2 R3.3 success is JSON in its envelope, with times in UTC', async () => {
  const before = Date.now();
  const { sessionId } = await visit(house);
  const answer = await house.adminRest(newId()).request('GET', `/sessions/${sessionId}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(JSON.parse(answer.text)).toEqual({ success: true, data: { session: expect.any(Object) } });
  const { createdAt } = answer.data['session'] as { createdAt: string };
  expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before - 1000);
  expect(Date.parse(createdAt)).toBeLessThanOrEqual(Date.now());
});

test('R3.2 failure is JSON in its envelope', async () => {
  const answer = await house.adminRest(newId()).request('GET', '/sessions/nobody-has-this');
  expect(answer.status).toBe(404);
  expect(JSON.parse(answer.text)).toEqual({
    success: false,
    error: { code: 'SESSION_NOT_FOUND', message: expect.any(String), retryable: false },
  });
});

test('R3.4 R3.11 R3.14 a session has every field of the requirements document, alone and in the list', async () => {
  const { userId, user, sessionId } = await visit(house, '第一条');
  const last = await user.say('最后一条消息内容');
  const rest = house.adminRest(newId());
  const { sessions } = await rest.sessions('?status=pending&page=1&pageSize=10');
  expect(sessions).toEqual([
    {
      sessionId,
      userId,
      userInfo: { userId, nickname: `客户${userId}`, avatar: `https://example.com/${userId}.png` },
      adminId: null,
      status: 'waiting',
      createdAt: expect.any(String),
      lastMessageTime: last.timestamp,
      lastMessage: {
        content: '最后一条消息内容',
        messageType: 'text',
        senderId: userId,
        senderType: 'user',
        messageId: last.messageId,
        seq: 2,
      },
      messageCount: 2,
      isOnline: true,
      lastSeq: 2,
      waitingSince: expect.any(String),
      closedAt: null,
      rating: null,
    },
  ]);
  expect(await rest.session(sessionId)).toEqual(sessions[0]);
});

test('R3.11 the last message is the newest one of either side', async () => {
  const { user, sessionId } = await visit(house, 'question');
  const adminId = newId();
  const rest = house.adminRest(adminId);
  const sent = await rest.reply(sessionId, { content: 'answer' });
  const { lastMessage, lastMessageTime } = await rest.session(sessionId);
  expect(lastMessage).toMatchObject({ content: 'answer', senderId: adminId, senderType: 'admin', seq: sent.seq });
  expect(lastMessageTime).toBe(sent.timestamp);
  await user.say('thanks');
  expect((await rest.session(sessionId)).lastMessage).toMatchObject({ content: 'thanks', senderType: 'user' });
});

test('R3.5 status filters, and pending is waiting', async () => {
  const waiting = await visit(house);
  const active = await visit(house);
  const closed = await visit(house);
  const rest = house.adminRest(newId());
  await rest.change(active.sessionId, 'claim');
  await rest.change(closed.sessionId, 'close');
  const ids = async (query: string): Promise<string[]> => (await rest.sessions(query)).sessions.map((s) => s.sessionId);
  expect(await ids('?status=waiting')).toEqual([waiting.sessionId]);
  expect(await ids('?status=pending')).toEqual([waiting.sessionId]);
  expect(await ids('?status=active')).toEqual([active.sessionId]);
  expect(await ids('?status=closed')).toContain(closed.sessionId);
  const all = await ids('?status=all&pageSize=100');
  expect(all).toEqual(expect.arrayContaining([waiting.sessionId, active.sessionId, closed.sessionId]));
  expect(await ids('?pageSize=100')).toEqual(all);
  for (const { status } of (await rest.sessions('?status=closed&pageSize=100')).sessions) expect(status).toBe('closed');
});

test('R3.6 R3.8 R3.9 pages count from 1 and are 10 sessions long unless asked otherwise', async () => {
  const rest = house.adminRest(newId());
  expect(await rest.sessions('?status=waiting')).toEqual({
    sessions: [],
    totalCount: 0,
    pagination: { currentPage: 1, totalPages: 0, hasMore: false, nextCursor: null },
  });
  for (let i = 0; i < 11; i += 1) {
    await visit(house);
    await nextMillisecond();
  }
  const first = await rest.sessions('?status=waiting');
  expect(first.sessions).toHaveLength(10);
  expect(first).toMatchObject({ totalCount: 11, pagination: { currentPage: 1, totalPages: 2, hasMore: true } });
  const second = await rest.sessions('?status=waiting&page=2');
  expect(second.sessions).toHaveLength(1);
  expect(second).toMatchObject({ totalCount: 11, pagination: { currentPage: 2, totalPages: 2, hasMore: false } });
  const all = await rest.sessions('?status=waiting&pageSize=100');
  expect([...first.sessions, ...second.sessions]).toEqual(all.sessions);
  expect(await rest.sessions('?status=waiting&page=3')).toEqual({
    sessions: [],
    totalCount: 11,
    pagination: { currentPage: 3, totalPages: 2, hasMore: false, nextCursor: null },
  });
  expect((await rest.sessions('?status=waiting&page=1000000')).sessions).toEqual([]);
  expect((await rest.sessions('?status=waiting&pageSize=1&page=11')).sessions).toEqual(second.sessions);
  expect((await rest.sessions('?status=waiting&pageSize=11')).pagination).toEqual({
    currentPage: 1,
    totalPages: 1,
    hasMore: false,
    nextCursor: null,
  });
});

test('R3.32 R3.33 cursors lead through the list, past what moves meanwhile', async () => {
  const rest = house.adminRest(newId());
  const visitors: Awaited<ReturnType<typeof visit>>[] = [];
  for (let i = 0; i < 7; i += 1) visitors.push(await visit(house));
  const all = (await rest.sessions('?status=waiting&pageSize=100')).sessions.map((s) => s.sessionId);
  expect(all).toHaveLength(7);
  const [moved] = visitors.filter(({ sessionId }) => sessionId === all[5]);
  const seen: string[] = [];
  let cursor: string | null = '';
  for (let pageSize = 2; cursor !== null; pageSize += 1) {
    const from: string = cursor === '' ? '&page=1' : `&cursor=${encodeURIComponent(cursor)}`;
    const list = await rest.sessions(`?status=pending&pageSize=${pageSize}${from}`);
    expect(list.totalCount).toBe(7);
    seen.push(...list.sessions.map((s) => s.sessionId));
    cursor = list.pagination.nextCursor;
    expect(list.pagination).toMatchObject({ currentPage: 1, hasMore: cursor !== null });
    // Said on the way: it is in front now, where the walk has been.
    if (pageSize === 2) await moved?.user.say('here I am again');
  }
  expect(seen).toEqual(all.toSpliced(5, 1));
  expect((await rest.sessions('?status=waiting&pageSize=1')).sessions[0]?.sessionId).toBe(all[5]);
  const past = await rest.sessions('?status=waiting&page=2');
  expect(past).toMatchObject({ sessions: [], pagination: { hasMore: false, nextCursor: null } });
});

test('R3.32 a cursor that is none is refused, and so is one beside a page', async () => {
  const rest = house.adminRest(newId());
  for (const query of [
    'cursor=',
    'cursor=x',
    'cursor=17',
    'cursor=-1.a',
    `cursor=${'1'.repeat(14)}.a`,
    'cursor=1.a&cursor=1.b',
  ]) {
    const { code, details } = await rest.refused('GET', `/sessions?${query}`);
    expect([query, code, details?.field]).toEqual([query, 'INVALID_PARAMETER', 'cursor']);
  }
  expect((await rest.refused('GET', '/sessions?cursor=1.a&page=1')).details?.field).toBe('cursor');
  // Well-formed places that nobody gave out are places all the same.
  for (const time of ['', '0', '9999999999999']) {
    expect((await rest.sessions(`?cursor=${time}.%F0%9F%98%80'%00"`)).pagination.currentPage).toBe(1);
  }
});

test('R3.7 the session with the newest message comes first', async () => {
  const ids: string[] = [];
  const users = [];
  for (let i = 0; i < 3; i += 1) {
    const { user, sessionId } = await visit(house);
    users.push(user);
    ids.push(sessionId);
    await nextMillisecond();
  }
  const rest = house.adminRest(newId());
  const order = async (): Promise<string[]> =>
    (await rest.sessions('?status=all&pageSize=3')).sessions.map((s) => s.sessionId);
  expect(await order()).toEqual([ids[2], ids[1], ids[0]]);
  await users[0]?.say('once more');
  expect(await order()).toEqual([ids[0], ids[2], ids[1]]);
});

test('R3.10 nobody is named as a session’s admin until it is assigned', async () => {
  const { sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  expect((await rest.session(sessionId)).adminId).toBeNull();
  const { adminId } = await staff(house);
  await eventually(async () => (await rest.session(sessionId)).adminId === adminId, 'the assignment');
});

test('R3.12 isOnline follows the user’s connections, and no admin’s', async () => {
  const { userId, user, sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  const isOnline = async (): Promise<boolean> => (await rest.session(sessionId)).isOnline;
  expect(await isOnline()).toBe(true);
  const second = await house.user(userId);
  await user.close();
  await second.fence();
  expect(await isOnline()).toBe(true);
  const asAdmin = await house.admin(userId);
  await second.close();
  await eventually(async () => !(await isOnline()), 'the user to be offline');
  await asAdmin.fence();
  expect(await isOnline()).toBe(false);
  await house.user(userId);
  expect(await isOnline()).toBe(true);
});

test('R3.13 messageCount counts messages alone', async () => {
  const { userId, sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  await rest.change(sessionId, 'claim');
  await house.userRest(userId).rate(sessionId, { score: 5 });
  await rest.reply(sessionId, { content: 'hello' });
  await rest.change(sessionId, 'close');
  expect(await rest.session(sessionId)).toMatchObject({ messageCount: 2, lastSeq: 5 });
});

test('R3.31 answers are not to be cached', async () => {
  const rest = house.adminRest(newId());
  for (const path of ['/sessions', '/stats/today', '/nothing-here']) {
    expect((await rest.request('GET', path)).headers.get('cache-control')).toBe('no-store');
  }
});
