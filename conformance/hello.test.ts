/** What connections that said hello get besides: following, catching up, receipts, heartbeats, new tokens. */
import { afterEach, describe, expect, test } from 'vitest';
import { bootHere, useServer } from './boot.ts';
import { GreetedPeer } from './greeted-peer.ts';
import { type House, newId } from './house.ts';
import { visit } from './scenes.ts';

const peers: GreetedPeer[] = [];
async function greet(house: House, type: 'user' | 'admin', id: number): Promise<GreetedPeer> {
  const token = type === 'user' ? house.userToken(id) : house.adminToken(id);
  const peer = await GreetedPeer.open(house.url, token, type);
  peers.push(peer);
  return peer;
}

const upTo = (seq: number): number[] => Array.from({ length: seq }, (_, i) => i + 1);

describe('hello', () => {
  const { house } = useServer(() => ({ env: { MAX_ACTIVE_SESSIONS_PER_ADMIN: '1000' } }));
  // After the server's own hook in the text, so before it in time: it waits until everybody is gone.
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer.leave()));
  });

  test('R14.1 hello is answered by welcome, every time', async () => {
    const id = newId();
    const peer = await greet(house, 'user', id);
    peer.send('hello', { clientId: 'tab-1' }, 'again');
    const welcome = await peer.expect('welcome');
    expect(welcome).toMatchObject({ protocol: 2, actor: { type: 'user', id }, heartbeatMs: 25_000 });
    expect(welcome.limits).toMatchObject({ frameBytes: 65_536, contentCharacters: 10_000, attachments: 10 });
    expect(Date.parse(welcome.expiresAt as string)).toBeGreaterThan(Date.now());
  });

  test('R14.2 without hello the rest of the chapter is not there', async () => {
    const { user, sessionId } = await visit(house);
    for (const [type, data] of [
      ['resume', { sessions: [{ sessionId, afterSeq: 0 }] }],
      ['ping', {}],
      ['receipt', { sessionId, kind: 'read', upToSeq: 1 }],
    ] as const) {
      expect(await user.ask(type, data)).toMatchObject({
        type: 'error',
        data: { code: 'INVALID_PARAMETER', details: { field: 'type' } },
      });
    }
  });

  test('R14.3 the five frames go on as before', async () => {
    const admin = await greet(house, 'admin', newId());
    const user = await greet(house, 'user', newId());
    const { sessionId } = await user.say({ content: 'hi' });
    await admin.expect('new_user_message', (data) => data.sessionId === sessionId);
    await admin.expect('session_status_changed', (data) => data.sessionId === sessionId && data.status === 'active');
    await admin.say({ sessionId, content: 'hello' });
    await user.expect('new_admin_message', (data) => data.sessionId === sessionId);
  });

  test('R14.4 resume tells everything after a place, however much', async () => {
    const { user, userId, sessionId } = await visit(house, 'number 0');
    for (let i = 1; i < 1_300; i++) user.send({ type: 'send_message', data: { sessionId, content: `number ${i}` } });
    await user.say('the last', { sessionId });
    const late = await greet(house, 'user', userId);
    const resumed = await late.resume(sessionId, 0);
    expect(resumed).toMatchObject({ complete: true, reset: false, upToSeq: 1_301, status: 'waiting', adminId: null });
    expect(late.told(sessionId)).toEqual(upTo(1_301));
    const later = await greet(house, 'user', userId);
    await later.resume(sessionId, 1_290);
    expect(later.told(sessionId)).toEqual(upTo(1_301).slice(1_290));
  });

  test('R14.5 a follower is told every event once, of every kind, whoever caused it', async () => {
    const userId = newId();
    const [tab, other] = [await greet(house, 'user', userId), await greet(house, 'user', userId)];
    const admin = await greet(house, 'admin', newId());
    const { sessionId } = await tab.say({ content: 'from one tab' });
    const bystander = await greet(house, 'admin', newId());
    for (const peer of [tab, other, admin, bystander]) await peer.resume(sessionId, 0);
    await other.say({ sessionId, content: 'from the other' });
    await admin.say({ sessionId, content: 'reply' });
    await house.adminRest(newId()).request('POST', `/sessions/${sessionId}/close`);
    await house.userRest(userId).request('POST', `/sessions/${sessionId}/rating`, { score: 5 });
    const rated = await bystander.expect('session_event', ({ event }) => event.kind === 'rating');
    const head = rated.event.seq;
    for (const peer of [tab, other, admin, bystander]) {
      await peer.fence();
      // What a connection heard before it followed is asked for again by `afterSeq: 0`.
      expect(peer.told(sessionId, 'session_events')).toEqual(upTo(head));
    }
  });

  test('R14.6 what happens meanwhile comes after, without hole or repeat', async () => {
    const { user, userId, sessionId } = await visit(house);
    const follower = await greet(house, 'user', userId);
    for (let i = 0; i < 300; i++) {
      user.send({ type: 'send_message', data: { sessionId, content: `during ${i}` } });
      if (i === 150) follower.send('resume', { sessions: [{ sessionId, afterSeq: 0 }] });
    }
    const { seq } = await user.say('the last', { sessionId });
    await follower.expect('resumed');
    for (const deadline = Date.now() + 8_000; !follower.told(sessionId).includes(seq) && Date.now() < deadline;)
      await follower.fence();
    expect(follower.told(sessionId)).toEqual(upTo(seq));
  });

  test('R14.7 a client that is ahead of the log is told to start afresh', async () => {
    const { userId, sessionId } = await visit(house);
    const peer = await greet(house, 'user', userId);
    expect(await peer.resume(sessionId, 99)).toMatchObject({ complete: false, reset: true, upToSeq: 1 });
  });

  test('R14.8 an unknown or foreign session costs an error, the others are followed', async () => {
    const [mine, foreign] = [await visit(house), await visit(house)];
    const peer = await greet(house, 'user', mine.userId);
    const sessions = ['nobody-has-this', foreign.sessionId, mine.sessionId].map((sessionId) => ({
      sessionId,
      afterSeq: 0,
    }));
    peer.send('resume', { sessions });
    expect(await peer.expect('error', (e) => e.sessionId === 'nobody-has-this')).toMatchObject({
      code: 'SESSION_NOT_FOUND',
    });
    expect(await peer.expect('error', (e) => e.sessionId === foreign.sessionId)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await peer.expect('resumed')).toMatchObject({ sessionId: mine.sessionId, complete: true });
    await foreign.user.say('not for others');
    await peer.fence();
    expect(peer.told(foreign.sessionId)).toEqual([]);
  });

  test('R14.9 after unfollow only the five frames are left', async () => {
    const { user, userId, sessionId } = await visit(house);
    const peer = await greet(house, 'user', userId);
    await peer.resume(sessionId, 0);
    peer.send('unfollow', { sessions: [sessionId] });
    await peer.fence();
    await user.say('unheard', { sessionId });
    await peer.fence();
    expect(peer.told(sessionId)).toEqual([1]);
  });

  test('R14.9 unfollow in the middle of catching up loses none of the five frames', async () => {
    const admin = await greet(house, 'admin', newId());
    const { user, sessionId } = await visit(house, 'number 0');
    await admin.expect('session_status_changed', (data) => data.sessionId === sessionId && data.status === 'active');
    for (let i = 1; i < 1_500; i++) user.send({ type: 'send_message', data: { sessionId, content: `number ${i}` } });
    let { seq } = await user.say('the last', { sessionId });
    await admin.expect('new_user_message', (data) => data.message.seq === seq);
    for (let round = 0; round < 10; round += 1) {
      const from = seq;
      admin.send('resume', { sessions: [{ sessionId, afterSeq: 0 }] });
      // The first stretch of the log is there, and more is to come.
      await admin.expect('session_events', (data) => data.sessionId === sessionId && data.events[0]?.seq === 1);
      const said = Promise.all(Array.from({ length: 5 }, (_, i) => user.say(`round ${round} ${i}`, { sessionId })));
      admin.send('unfollow', { sessions: [sessionId] });
      for (const ack of await said) seq = Math.max(seq, ack.seq);
      await admin.fence();
      const told = admin.told(sessionId);
      expect(told.filter((one) => one > from)).toEqual(upTo(seq).slice(from));
    }
  });

  test('R14.10 pong and heartbeat carry the newest seq of what is followed', async () => {
    const { userId, user, sessionId } = await visit(house);
    const peer = await greet(house, 'user', userId);
    await peer.resume(sessionId, 0);
    const { seq } = await user.say('second', { sessionId });
    peer.send('ping', { t: 7 });
    expect(await peer.expect('pong')).toMatchObject({ t: 7, heads: { [sessionId]: seq } });
    expect(await peer.expect('heartbeat', () => true, 30_000)).toMatchObject({ heads: { [sessionId]: seq } });
  });

  test('R14.11 the inbox of an admin: what is open, and what changed since', async () => {
    const [open, closed] = [await visit(house), await visit(house)];
    await house.adminRest(newId()).request('POST', `/sessions/${closed.sessionId}/close`);
    const admin = await greet(house, 'admin', newId());
    admin.send('inbox', {});
    const now = await admin.expect('inbox_snapshot');
    expect(now.last).toBe(true);
    expect(now.sessions).toContainEqual(expect.objectContaining({ sessionId: open.sessionId, userId: open.userId }));
    expect(now.sessions.map((s) => s.sessionId)).not.toContain(closed.sessionId);
    admin.send('inbox', { since: new Date(Date.now() - 60_000).toISOString() });
    const since = await admin.expect('inbox_snapshot');
    expect(since.sessions).toContainEqual(
      expect.objectContaining({ sessionId: closed.sessionId, status: 'closed', lastSeq: 2 }),
    );
    const user = await greet(house, 'user', newId());
    user.send('inbox', {}, 'mine');
    expect(await user.expect('error')).toMatchObject({ code: 'FORBIDDEN', requestId: 'mine' });
  });

  test('R14.12 R14.13 receipts move messages on and are told to the others, and never go back', async () => {
    const { userId, user, sessionId } = await visit(house, 'one');
    await user.say('two', { sessionId });
    const [admin, reader] = [await greet(house, 'admin', newId()), await greet(house, 'user', userId)];
    await reader.resume(sessionId, 0);
    const { seq } = await admin.say({ sessionId, content: 'reply' });
    const statuses = async (): Promise<string[]> =>
      (await house.adminRest(newId()).messages(sessionId)).messages.map((m: { status: string }) => m.status);
    admin.send('receipt', { sessionId, kind: 'delivered', upToSeq: 2 });
    expect(await reader.expect('receipt_update')).toMatchObject({
      sessionId,
      readerType: 'admin',
      kind: 'delivered',
      upToSeq: 2,
    });
    expect(await statuses()).toEqual(['delivered', 'delivered', 'sent']);
    admin.send('receipt', { sessionId, kind: 'read', upToSeq: 1 });
    expect(await reader.expect('receipt_update')).toMatchObject({ kind: 'read', upToSeq: 1 });
    expect(await statuses()).toEqual(['read', 'delivered', 'sent']);
    reader.send('receipt', { sessionId, kind: 'read', upToSeq: seq });
    await admin.expect('receipt_update', (r) => r.readerType === 'user' && r.upToSeq === seq);
    reader.send('receipt', { sessionId, kind: 'delivered', upToSeq: 1 });
    await reader.fence();
    expect(await statuses()).toEqual(['read', 'delivered', 'read']);
    reader.send('receipt', { sessionId, kind: 'read', upToSeq: seq + 50 }, 'beyond');
    expect(await reader.expect('error')).toMatchObject({
      code: 'INVALID_PARAMETER',
      requestId: 'beyond',
      details: { field: 'data.upToSeq' },
    });
    const stranger = await greet(house, 'user', newId());
    stranger.send('receipt', { sessionId, kind: 'read', upToSeq: 1 });
    expect(await stranger.expect('error')).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('R14.14 a new token keeps a connection open, another account’s does not', async () => {
    const id = newId();
    const soon = Math.floor(Date.now() / 1000) + 6;
    const token = (userId: number, exp: number): string => house.token({ userId, roles: ['user'], exp });
    const [kept, lost] = [
      await GreetedPeer.open(house.url, token(id, soon)),
      await GreetedPeer.open(house.url, token(newId(), soon)),
    ];
    peers.push(kept, lost);
    await kept.expect('auth_expiring');
    lost.send('auth_refresh', { token: token(newId(), soon + 600) });
    expect(await lost.expect('error')).toMatchObject({ code: 'FORBIDDEN' });
    kept.send('auth_refresh', { token: token(id, soon + 600) });
    expect(Date.parse((await kept.expect('auth_refreshed')).expiresAt as string)).toBe((soon + 600) * 1000);
    expect(await lost.closed).toBe(4001);
    await kept.say({ content: 'still here' });
  });

  test('R14.14 each token is warned of once, however short its life', async () => {
    const id = newId();
    const token = (seconds: number): string =>
      house.token({ userId: id, roles: ['user'], exp: Math.ceil(Date.now() / 1000) + seconds });
    const peer = await GreetedPeer.open(house.url, token(8));
    peers.push(peer);
    await peer.expect('auth_expiring');
    peer.send('auth_refresh', { token: token(10) });
    const { expiresAt } = await peer.expect('auth_refreshed');
    expect((await peer.expect('auth_expiring')).expiresAt).toBe(expiresAt);
    // Half of its life is left, and nothing more is said of it.
    expect(Date.parse(expiresAt as string) - Date.now()).toBeLessThan(6_500);
    expect(await peer.closed).toBe(4001);
    expect(peer.frames.filter(({ type }) => type === 'auth_expiring')).toHaveLength(2);
  });
});

test('R14.1 welcome tells which frames have other names', async () => {
  const { house } = await bootHere({ env: { FRAME_NAMES: 'new_admin_message=admin_message,message_ack=ack' } });
  const peer = await greet(house, 'user', newId());
  peer.send('hello', {}, 'again');
  expect((await peer.expect('welcome')).frameNames).toEqual({
    new_admin_message: 'admin_message',
    message_ack: 'ack',
  });
});

test('R14.15 before it ends the server says when to come back', async () => {
  const { server, house } = await bootHere();
  const peer = await greet(house, 'user', newId());
  const stopped = server.stop();
  expect((await peer.expect('draining')).reconnectInMs).toBeGreaterThanOrEqual(0);
  expect(await peer.closed).toBe(1012);
  expect(await stopped).toBe(0);
});
