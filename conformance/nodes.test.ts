/** Two servers on one database, with Redis between them: whoever is where, all of it is one chat. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openMariadb } from '../testing/mariadb.ts';
import { openRedis } from '../testing/redis.ts';
import type { RedisServer } from '../testing/redis.ts';
import { describeWith } from '../testing/requires.ts';
import type { SqlServer } from '../testing/sql-server.ts';
import type { Switchboard } from '../testing/switchboard.ts';
import { boot } from './boot.ts';
import { eventually, House, newId } from './house.ts';
import type { Peer } from './peer.ts';
import { nextMillisecond } from './scenes.ts';

const JWT_SECRET = 'one secret for all nodes, and long enough';

describeWith(['mariadb', 'redis'], 'two nodes', () => {
  let sql: SqlServer;
  let redis: RedisServer;
  const servers: Switchboard[] = [];
  const node = (i: number): House => new House(() => servers[i] as Switchboard);
  const [a, b] = [node(0), node(1)];
  let again: () => Promise<Switchboard>;

  beforeAll(async () => {
    [sql, redis] = await Promise.all([openMariadb(), openRedis()]);
    const database = await sql.createDatabase('nodes');
    again = () =>
      boot({
        databaseUrl: database.url,
        redisUrl: redis.url,
        env: { JWT_SECRET, ADMIN_OFFLINE_GRACE_SECONDS: '1', MAX_ACTIVE_SESSIONS_PER_ADMIN: '3' },
      });
    servers.push(...(await Promise.all([again(), again()])));
  });
  afterEach(async () => {
    // Each knows its own connections; admins must be gone from both before sessions are closed.
    await Promise.all([a.leave(), b.leave()]);
    await a.calm();
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.remove()));
    await Promise.all([sql?.stop(), redis?.stop()]);
  });

  test('R1.10 R4.14 R4.17 R4.18 a chat between a user here and an admin there', async () => {
    const adminId = newId();
    const userId = newId();
    const [there, here] = [await b.admin(adminId), await a.admin(adminId)];
    const watcher = await b.admin(newId());
    const [user, phone] = [await a.user(userId), await b.user(userId)];
    const { sessionId } = await user.say('hello');
    const first = await Promise.race([there.expectFrame('new_user_message'), watcher.expectFrame('new_user_message')]);
    expect(first.data).toMatchObject({ sessionId, message: { content: 'hello', seq: 1 } });
    const { adminId: holder } = await a.adminRest(newId()).session(sessionId);
    if (holder !== adminId) await a.adminRest(newId()).change(sessionId, 'transfer', { adminId });
    for (const peer of [user, phone, there, here, watcher]) await peer.expectStatus(sessionId, 'active', adminId);

    const ack = await user.say('to all your connections');
    for (const peer of [there, here]) {
      await peer.expectFrame('new_user_message', (d) => d.message.messageId === ack.messageId);
    }
    const reply = await there.say('to all of yours', { sessionId });
    for (const peer of [user, phone, here]) {
      await peer.expectFrame('new_admin_message', (d) => d.message.messageId === reply.messageId);
    }
    const byRest = await a.adminRest(adminId).reply(sessionId, { content: 'by REST' });
    for (const peer of [user, phone, here, there]) {
      await peer.expectFrame('new_admin_message', (d) => d.message.messageId === byRest.messageId);
    }
    // The end of it, told on the same way as all before, is a fence: what was not heard by then is not coming.
    await b.userRest(userId).change(sessionId, 'close');
    for (const peer of [user, phone, there, here, watcher]) await peer.expectStatus(sessionId, 'closed', adminId);
    expect(watcher.of('new_admin_message')).toEqual([]);
    expect(watcher.of('new_user_message').filter((f) => f.data.message.messageId === ack.messageId)).toEqual([]);
    expect(there.of('new_admin_message').map((f) => f.data.message.messageId)).toEqual([byRest.messageId]);
  });

  test('R4.15 a message to a session that waits reaches every admin on every node', async () => {
    const [one, other] = [newId(), newId()];
    const admins = [await a.admin(one), await b.admin(other)];
    const rest = a.adminRest(newId());
    for (let i = 0; i < 6; i += 1) await (await a.user(newId())).say(`${i}`);
    await eventually(async () => (await rest.stats()).activeSessions === 6, 'both to be full');
    const user = await b.user(newId());
    const { sessionId } = await user.say('anybody?');
    for (const admin of admins) await admin.expectFrame('new_user_message', (d) => d.sessionId === sessionId);
    expect((await rest.session(sessionId)).status).toBe('waiting');
  });

  test('R3.12 isOnline is true wherever the user is', async () => {
    const userId = newId();
    const [here, there] = [await a.user(userId), await b.user(userId)];
    const { sessionId } = await there.say('hello');
    const isOnline = (house: House): Promise<boolean> =>
      house
        .adminRest(newId())
        .session(sessionId)
        .then((session) => session.isOnline);
    const both = async (wanted: boolean): Promise<boolean> =>
      (await isOnline(a)) === wanted && (await isOnline(b)) === wanted;
    expect(await both(true)).toBe(true);
    await here.close();
    await eventually(() => both(true), 'both nodes to see the other connection');
    await there.close();
    await eventually(() => both(false), 'both nodes to see the user gone');
    await a.user(userId);
    await eventually(() => both(true), 'both nodes to see the user back');
    expect((await b.adminRest(newId()).sessions('?status=waiting')).sessions).toMatchObject([
      { sessionId, isOnline: true },
    ]);
  });

  test('R6.13 of claims on both nodes exactly one wins', async () => {
    for (let round = 0; round < 15; round += 1) {
      const user = await a.user(newId());
      const { sessionId } = await user.say('who takes it?');
      const claimers = [a, b, a, b].map((house) => ({ house, id: newId() }));
      const outcomes = await Promise.all(
        claimers.map(async ({ house, id }) => {
          const { status, error } = await house.adminRest(id).request('POST', `/sessions/${sessionId}/claim`);
          return status === 200 ? id : error.code;
        }),
      );
      const [winner, ...more] = outcomes.filter((outcome) => typeof outcome === 'number');
      expect([more, outcomes.filter((outcome) => outcome === 'CONFLICT').length]).toEqual([[], 3]);
      await user.expectStatus(sessionId, 'active', winner as number);
      expect((await b.adminRest(newId()).session(sessionId)).lastSeq).toBe(2);
    }
  });

  test('R6.1 R6.7 assignment counts all nodes together', async () => {
    const ids = [newId(), newId()];
    await a.admin(ids[0] as number);
    await b.admin(ids[1] as number);
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => (await (i % 2 === 0 ? a : b).user(newId())).say('at once')),
    );
    const rest = b.adminRest(newId());
    await eventually(async () => (await rest.stats()).activeSessions >= 6, 'both to be full');
    const { sessions } = await rest.sessions('?status=all&pageSize=8');
    for (const id of ids) expect(sessions.filter((s) => s.adminId === id)).toHaveLength(3);
    expect(sessions.filter((s) => s.status === 'waiting')).toHaveLength(2);
  });

  test('R6.5 R6.6 who comes or gets free on one node takes what waits on the other', async () => {
    const waiting: { user: Peer; sessionId: string }[] = [];
    for (let i = 0; i < 4; i += 1) {
      const user = await a.user(newId());
      waiting.push({ user, sessionId: (await user.say(`${i}`)).sessionId });
      await nextMillisecond();
    }
    const adminId = newId();
    await b.admin(adminId);
    for (const { user, sessionId } of waiting.slice(0, 3)) await user.expectStatus(sessionId, 'active', adminId);
    await b.adminRest(newId()).change(waiting[0]?.sessionId ?? '', 'close');
    await waiting[3]?.user.expectStatus(waiting[3].sessionId, 'active', adminId);
  });

  test('R6.10 a connection on another node is presence enough', async () => {
    const adminId = newId();
    const [here, there] = [await a.admin(adminId), await b.admin(adminId)];
    const user = await a.user(newId());
    const { sessionId } = await user.say('hello');
    await user.expectStatus(sessionId, 'active', adminId);
    await here.vanish();
    // Another admin's grace begins later, and runs out.
    const control = newId();
    const passing = await a.admin(control);
    const theirs = await a.user(newId());
    const { sessionId: other } = await theirs.say('hello');
    if ((await a.adminRest(1).session(other)).adminId !== control) {
      await a.adminRest(1).change(other, 'transfer', { adminId: control });
    }
    await passing.vanish();
    await theirs.expectStatus(other, 'waiting', null);
    expect((await a.adminRest(newId()).session(sessionId)).adminId).toBe(adminId);
    await there.vanish();
    await user.expectStatus(sessionId, 'waiting', null);
  });

  test('R4.8 R5.1 R5.6 what is sent on both nodes at once is one log', async () => {
    const userId = newId();
    const tabs = [await a.user(userId), await b.user(userId)];
    const firsts = await Promise.all(tabs.map((tab, i) => tab.say(`first of ${i}`)));
    expect(new Set(firsts.map((ack) => ack.sessionId)).size).toBe(1);
    const sessionId = firsts[0]?.sessionId ?? '';
    for (let round = 0; round < 10; round += 1) {
      const data = { sessionId, clientMessageId: `both-${round}` };
      const acks = await Promise.all(tabs.map((tab) => tab.say('the same', data)));
      expect(acks[0]).toMatchObject({ messageId: acks[1]?.messageId, seq: acks[1]?.seq });
      expect(acks.filter((ack) => ack.duplicate === true)).toHaveLength(1);
    }
    await Promise.all(
      tabs.flatMap((tab, t) => Array.from({ length: 20 }, (_, i) => tab.say(`${t}.${i}`, { sessionId }))),
    );
    const { messages } = await b.adminRest(newId()).messages(sessionId, '?pageSize=100');
    expect(messages.map((m) => m.seq)).toEqual(Array.from({ length: 52 }, (_, i) => i + 1));
  });

  test('R5.3 R5.2 observers on either node hear one order', async () => {
    const adminId = newId();
    const [here, there] = [await a.admin(adminId), await b.admin(adminId)];
    const tabs = [await a.user(31_000_001), await b.user(31_000_001)];
    const { sessionId } = await (tabs[0] as Peer).say('first');
    await Promise.all(
      tabs.flatMap((tab, t) => Array.from({ length: 25 }, (_, i) => tab.say(`${t}.${i}`, { sessionId }))),
    );
    const heard: string[][] = [];
    for (const admin of [here, there]) {
      for (let i = 0; i < 51; i += 1) await admin.expectFrame('new_user_message');
      const frames = admin.of('new_user_message').map((f) => f.data.message);
      const seqs = frames.map((m) => m.seq);
      expect(seqs).toEqual(seqs.toSorted((x, y) => x - y));
      heard.push(frames.map((m) => `${m.seq} ${m.content}`));
    }
    expect(heard[0]).toEqual(heard[1]);
  });

  test('R6.8 R1.10 when a node dies its admins’ sessions go to others, and its clients to another node', async () => {
    const [dying, staying] = [newId(), newId()];
    await b.admin(dying);
    const user = await a.user(newId());
    const { sessionId } = await user.say('hello');
    await user.expectStatus(sessionId, 'active', dying);
    await a.admin(staying);
    const stranded = await b.user(newId());
    const { sessionId: theirs } = await stranded.say('I am on the other node');
    await servers[1]?.kill();
    await stranded.closed;
    // Any node will do.
    const rest = a.adminRest(newId());
    expect((await rest.messages(theirs)).totalCount).toBe(1);
    await eventually(async () => (await rest.session(sessionId)).adminId === staying, 'the new assignment', 40_000);
    await user.say('still here');
    servers[1] = await again();
    expect((await b.adminRest(newId()).messages(sessionId)).totalCount).toBe(2);
  });
});
