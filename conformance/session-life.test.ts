import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import type { Change } from './rest.ts';
import { staff, visit } from './scenes.ts';

const { house } = useServer();

/** A session in this state, had by this admin, with its user's connection. */
async function sessionIn(status: 'waiting' | 'active' | 'closed', adminId: number) {
  const found = await visit(house);
  const rest = house.adminRest(adminId);
  if (status !== 'waiting') await rest.change(found.sessionId, 'claim');
  if (status === 'closed') await rest.change(found.sessionId, 'close');
  await found.user.fence();
  return { ...found, rest, told: found.user.of('session_status_changed').length };
}

test('R7.1 claim takes a waiting session for the caller', async () => {
  const adminId = newId();
  const { user, sessionId, rest } = await sessionIn('waiting', adminId);
  const session = await rest.change(sessionId, 'claim');
  expect(session).toMatchObject({
    sessionId,
    status: 'active',
    adminId,
    waitingSince: null,
    closedAt: null,
    lastSeq: 2,
  });
  const told = await user.expectStatus(sessionId, 'active', adminId);
  expect(told.data.seq).toBe(2);
});

test('R7.2 assign gives a waiting session to any admin', async () => {
  const [by, to] = [newId(), newId()];
  const { user, sessionId, rest } = await sessionIn('waiting', by);
  expect(await rest.change(sessionId, 'assign', { adminId: to })).toMatchObject({ status: 'active', adminId: to });
  await user.expectStatus(sessionId, 'active', to);
});

test('R7.3 transfer moves an active session to another admin', async () => {
  const [by, to] = [newId(), newId()];
  const { user, sessionId, rest } = await sessionIn('active', by);
  expect(await rest.change(sessionId, 'transfer', { adminId: to })).toMatchObject({ status: 'active', adminId: to });
  await user.expectStatus(sessionId, 'active', to);
  // Not only its own admin may do that.
  expect(await rest.change(sessionId, 'transfer', { adminId: by })).toMatchObject({ adminId: by });
  await user.expectStatus(sessionId, 'active', by);
});

test('R7.4 close ends a session that waits or is active, and it keeps its admin', async () => {
  const adminId = newId();
  const waiting = await sessionIn('waiting', adminId);
  expect(await waiting.rest.change(waiting.sessionId, 'close')).toMatchObject({
    status: 'closed',
    adminId: null,
    closedAt: expect.any(String),
    waitingSince: null,
  });
  await waiting.user.expectStatus(waiting.sessionId, 'closed', null);
  const active = await sessionIn('active', adminId);
  const byAnother = house.adminRest(newId());
  expect(await byAnother.change(active.sessionId, 'close')).toMatchObject({ status: 'closed', adminId });
  await active.user.expectStatus(active.sessionId, 'closed', adminId);
});

test('R7.4 a user may close their own session', async () => {
  const { admin, adminId } = await staff(house);
  const { userId, sessionId } = await visit(house);
  await admin.expectStatus(sessionId, 'active', adminId);
  const session = await house.userRest(userId).change(sessionId, 'close');
  expect(session).toMatchObject({ status: 'closed', adminId });
  await admin.expectStatus(sessionId, 'closed', adminId);
  expect((await house.userRest(userId).refused('POST', `/sessions/${sessionId}/close`)).code).toBe('CONFLICT');
});

test('R7.5 reopen makes a closed session wait', async () => {
  const adminId = newId();
  const { user, sessionId, rest } = await sessionIn('closed', adminId);
  const session = await rest.change(sessionId, 'reopen');
  expect(session).toMatchObject({ status: 'waiting', adminId: null, closedAt: null, waitingSince: expect.any(String) });
  await user.expectStatus(sessionId, 'waiting', null);
});

test('R7.5 a session that is reopened is assigned to whoever is free', async () => {
  const gone = newId();
  const { user, sessionId, rest } = await sessionIn('closed', gone);
  const { adminId } = await staff(house);
  await rest.change(sessionId, 'reopen');
  await user.expectStatus(sessionId, 'waiting', null);
  await user.expectStatus(sessionId, 'active', adminId);
});

test('R7.6 a reply to a waiting session claims it', async () => {
  const adminId = newId();
  const { user, sessionId, rest } = await sessionIn('waiting', adminId);
  await rest.reply(sessionId, { content: 'I take it' });
  expect(await rest.session(sessionId)).toMatchObject({ status: 'active', adminId, messageCount: 2 });
  await user.expectStatus(sessionId, 'active', adminId);
  await user.expectFrame('new_admin_message');
});

test('R7.7 a reply to a closed session reopens it to that admin', async () => {
  const before = newId();
  const { user, sessionId } = await sessionIn('closed', before);
  const adminId = newId();
  const other = house.adminRest(adminId);
  await other.reply(sessionId, { content: 'one more thing' });
  expect(await other.session(sessionId)).toMatchObject({ status: 'active', adminId, closedAt: null });
  const [status] = [await user.expectStatus(sessionId, 'active', adminId), await user.expectFrame('new_admin_message')];
  expect(status.data.seq).toBe(4);
});

test('R7.8 a reply to another’s session does not take it over', async () => {
  const adminId = newId();
  const { user, sessionId, rest, told } = await sessionIn('active', adminId);
  await house.adminRest(newId()).reply(sessionId, { content: 'a colleague helps' });
  await user.expectFrame('new_admin_message');
  expect(await rest.session(sessionId)).toMatchObject({ status: 'active', adminId });
  await user.fence();
  expect(user.of('session_status_changed')).toHaveLength(told);
});

test.for<readonly [string, 'waiting' | 'active' | 'closed', Change]>([
  ['R7.1 R7.10', 'active', 'claim'],
  ['R7.1 R7.10', 'closed', 'claim'],
  ['R7.2 R7.10', 'active', 'assign'],
  ['R7.2 R7.10', 'closed', 'assign'],
  ['R7.3 R7.10', 'waiting', 'transfer'],
  ['R7.3 R7.10', 'closed', 'transfer'],
  ['R7.4 R7.10', 'closed', 'close'],
  ['R7.5 R7.10', 'waiting', 'reopen'],
  ['R7.5 R7.10', 'active', 'reopen'],
])('R7.10 (%s) a session that is %s refuses: %s', async ([, status, change]) => {
  const adminId = newId();
  const { user, sessionId, rest, told } = await sessionIn(status, adminId);
  const before = await rest.session(sessionId);
  const body = change === 'assign' || change === 'transfer' ? { adminId: newId() } : undefined;
  for (const caller of [rest, house.adminRest(newId())]) {
    const error = await caller.refused('POST', `/sessions/${sessionId}/${change}`, body);
    expect(error).toMatchObject({ code: 'CONFLICT', retryable: false, message: expect.stringContaining('status') });
  }
  expect(await rest.session(sessionId)).toEqual(before);
  await user.fence();
  expect(user.of('session_status_changed')).toHaveLength(told);
});

test('R7.3 transfer to the admin who has the session is a CONFLICT', async () => {
  const adminId = newId();
  const { sessionId, rest } = await sessionIn('active', adminId);
  const error = await rest.refused('POST', `/sessions/${sessionId}/transfer`, { adminId });
  expect(error).toMatchObject({ code: 'CONFLICT' });
});

test('R7.9 a rating is taken while the session is active or closed, and a later one replaces it', async () => {
  const adminId = newId();
  const { userId, sessionId, rest } = await sessionIn('waiting', adminId);
  const user = house.userRest(userId);
  expect((await user.refused('POST', `/sessions/${sessionId}/rating`, { score: 5 })).code).toBe('CONFLICT');
  await rest.change(sessionId, 'claim');
  expect((await user.rate(sessionId, { score: 2, comment: '慢' })).rating).toEqual({
    score: 2,
    comment: '慢',
    ratedAt: expect.any(String),
  });
  await rest.change(sessionId, 'close');
  expect((await user.rate(sessionId, { score: 5 })).rating).toMatchObject({ score: 5, comment: '' });
  const comment = '很'.repeat(999) + '😀';
  expect((await user.rate(sessionId, { score: 4, comment })).rating).toMatchObject({ score: 4, comment });
  expect((await rest.session(sessionId)).rating).toMatchObject({ score: 4, comment });
});

test('R7.10 every change is told once, in its place of the log', async () => {
  const [a, b] = [newId(), newId()];
  const { user, sessionId, rest } = await sessionIn('waiting', a);
  const watcher = await house.admin(newId());
  await eventually(async () => (await rest.session(sessionId)).status === 'active', 'the assignment');
  await rest.change(sessionId, 'transfer', { adminId: a });
  await rest.change(sessionId, 'transfer', { adminId: b });
  await rest.change(sessionId, 'close');
  await rest.reply(sessionId, { content: 'again' });
  await rest.change(sessionId, 'close');
  await user.expectFrame('new_admin_message');
  for (const peer of [user, watcher]) {
    await peer.fence();
    const told = peer.of('session_status_changed').map(({ data: d }) => [d.seq, d.status, d.adminId]);
    expect(told.slice(1)).toEqual([
      [3, 'active', a],
      [4, 'active', b],
      [5, 'closed', b],
      [6, 'active', a],
      [8, 'closed', a],
    ]);
    expect(told[0]?.slice(0, 2)).toEqual([2, 'active']);
  }
});

test('R7.11 a session that does not exist cannot be changed', async () => {
  const rest = house.adminRest(newId());
  const user = house.userRest(newId());
  const path = '/sessions/session_nobody';
  for (const change of ['claim', 'close', 'reopen']) {
    expect((await rest.refused('POST', `${path}/${change}`)).code).toBe('SESSION_NOT_FOUND');
  }
  for (const change of ['assign', 'transfer']) {
    expect((await rest.refused('POST', `${path}/${change}`, { adminId: 1 })).code).toBe('SESSION_NOT_FOUND');
  }
  expect((await rest.refused('POST', `${path}/messages`, { content: 'x' })).code).toBe('SESSION_NOT_FOUND');
  expect((await user.refused('POST', `${path}/close`)).code).toBe('SESSION_NOT_FOUND');
  expect((await user.refused('POST', `${path}/rating`, { score: 1 })).code).toBe('SESSION_NOT_FOUND');
  expect((await rest.refused('GET', path)).code).toBe('SESSION_NOT_FOUND');
});

test('R6.13 of claims at the same moment exactly one wins', async () => {
  for (let round = 0; round < 25; round += 1) {
    const { user, sessionId } = await visit(house);
    const admins = Array.from({ length: 4 }, newId);
    const outcomes = await Promise.all(
      admins.map(async (id) => {
        const { status, error } = await house.adminRest(id).request('POST', `/sessions/${sessionId}/claim`);
        return status === 200 ? id : error.code;
      }),
    );
    const winners = outcomes.filter((outcome) => typeof outcome === 'number');
    expect(winners).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'CONFLICT')).toHaveLength(3);
    await user.expectStatus(sessionId, 'active', winners[0] as number);
    await user.fence();
    expect(user.of('session_status_changed')).toHaveLength(1);
  }
});
