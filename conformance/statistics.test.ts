import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documentSql } from '../testing/document-sql.ts';
import { openMariadb } from '../testing/mariadb.ts';
import { describeWith } from '../testing/requires.ts';
import type { SqlServer } from '../testing/sql-server.ts';
import { bootHere, useServer } from './boot.ts';
import { newId } from './house.ts';
import { staff, visit } from './scenes.ts';

describe('today', () => {
  const { house } = useServer();

  test('R10.1 R10.3 R10.4 with nothing to count everything is 0', async () => {
    const answer = await house.adminRest(newId()).request('GET', '/stats/today');
    expect(JSON.parse(answer.text)).toEqual({
      success: true,
      data: {
        stats: {
          totalSessions: 0,
          completedSessions: 0,
          avgResponseTime: '0秒',
          customerSatisfaction: 0,
          avgResponseSeconds: 0,
          ratedSessions: 0,
          waitingSessions: 0,
          activeSessions: 0,
          onlineAdmins: 0,
          messagesToday: 0,
        },
      },
    });
    const english = await house.adminRest(newId()).stats({ 'accept-language': 'en' });
    expect(english.avgResponseTime).toBe('0 s');
  });

  test('R10.2 R10.5 what happens is counted', async () => {
    const rest = house.adminRest(newId());
    const before = await rest.stats();
    const [one, other] = [await visit(house), await visit(house)];
    await one.user.say('second');
    expect(await rest.stats()).toMatchObject({
      totalSessions: before.totalSessions + 2,
      completedSessions: before.completedSessions,
      messagesToday: before.messagesToday + 3,
      waitingSessions: 2,
      activeSessions: 0,
      onlineAdmins: 0,
    });
    await rest.change(one.sessionId, 'claim');
    await rest.reply(one.sessionId, { content: 'hello' });
    await rest.change(one.sessionId, 'close');
    expect(await rest.stats()).toMatchObject({
      completedSessions: before.completedSessions + 1,
      messagesToday: before.messagesToday + 4,
      waitingSessions: 1,
      activeSessions: 0,
    });
    // Reopened is completed no more.
    await rest.reply(one.sessionId, { content: 'one more thing' });
    expect(await rest.stats()).toMatchObject({ completedSessions: before.completedSessions, activeSessions: 1 });
    const { adminId } = await staff(house);
    await house.admin(adminId);
    await other.user.expectStatus(other.sessionId, 'active', adminId);
    expect(await rest.stats()).toMatchObject({ waitingSessions: 0, activeSessions: 2, onlineAdmins: 1 });
  });

  test('R10.4 satisfaction is the mean of today’s ratings, to one decimal', async () => {
    const rest = house.adminRest(newId());
    const seen: number[] = [];
    for (const score of [5, 4, 4]) {
      const { userId, sessionId } = await visit(house);
      await rest.change(sessionId, 'claim');
      await house.userRest(userId).rate(sessionId, { score: 1 });
      await house.userRest(userId).rate(sessionId, { score });
      seen.push((await rest.stats()).customerSatisfaction);
    }
    expect(seen).toEqual([5, 4.5, 4.3]);
    expect((await rest.stats()).ratedSessions).toBe(3);
  });
});

describeWith('mariadb', 'days and durations', () => {
  let sql: SqlServer;
  beforeAll(async () => {
    sql = await openMariadb();
  });
  afterAll(() => sql?.stop());

  /** A moment as the document's tables have it: UTC, whole seconds. */
  const at = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');

  /** Statistics of a server that found these sessions, in seconds between question and answer. */
  async function adminOf(waits: readonly number[]) {
    const database = await sql.createDatabase('durations');
    await database.script(documentSql);
    const now = Math.floor(Date.now() / 1000) * 1000;
    for (const [i, wait] of waits.entries()) {
      await database.script(`SET time_zone = '+00:00';
        INSERT INTO chat_sessions (session_id, user_id, created_at) VALUES ('s${i}', ${i + 1}, '${at(now - wait * 1000)}');
        INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, created_at) VALUES
          ('q${i}', 's${i}', ${i + 1}, 'user', 'question', '${at(now - wait * 1000)}'),
          ('a${i}', 's${i}', 9, 'admin', 'answer', '${at(now)}'),
          ('b${i}', 's${i}', 9, 'admin', 'more', '${at(now)}')`);
    }
    const { house } = await bootHere({ databaseUrl: database.url });
    return house.adminRest(newId());
  }

  test.for([
    [[44, 46], 45, '45秒', '45 s'],
    [[170, 190], 180, '3分钟', '3 min'],
    [[3_900], 3_900, '1小时5分钟', '1 h 5 min'],
  ] as const)('R10.3 the mean of %j seconds is %d: %s, %s', async ([waits, seconds, chinese, english]) => {
    const admin = await adminOf(waits);
    for (const [language, avgResponseTime] of [
      ['', chinese],
      ['zh-CN', chinese],
      ['en', english],
    ] as const) {
      const stats = await admin.stats({ 'accept-language': language });
      expect(stats).toMatchObject({ avgResponseTime, avgResponseSeconds: seconds });
    }
  });

  test('R10.6 today is the day of TZ_BUSINESS', async () => {
    const database = await sql.createDatabase('days');
    await database.script(documentSql);
    // A zone in which a new day has begun within the last hour, or is about to: sessions on both sides of midnight.
    const hour = new Date().getUTCHours();
    const offset = hour <= 12 ? -hour : 24 - hour;
    const midnight = new Date().setUTCMinutes(0, 0, 0);
    // In Etc/GMT+5 it is five hours earlier than in UTC.
    const zone = offset === 0 ? 'Etc/UTC' : `Etc/GMT${offset < 0 ? '+' : '-'}${Math.abs(offset)}`;
    const rows = [midnight - 3_600_000, midnight - 1_000, midnight, midnight + 1_000].map(
      (ms, i) => `('s${i}', ${i + 1}, 'closed', '${at(ms)}', '${at(ms)}')`,
    );
    await database.script(`SET time_zone = '+00:00';
      INSERT INTO chat_sessions (session_id, user_id, status, created_at, updated_at) VALUES ${rows.join(', ')}`);
    const { house, server } = await bootHere({ databaseUrl: database.url, env: { TZ_BUSINESS: zone } });
    expect(await house.adminRest(newId()).stats()).toMatchObject({ totalSessions: 2, completedSessions: 2 });
    await server.stop();

    // Without the setting it is Shanghai's, 8 hours ahead of UTC.
    const { house: other } = await bootHere({ databaseUrl: database.url });
    const day = (ms: number): number => Math.floor((ms + 8 * 3_600_000) / 86_400_000);
    const wanted = [midnight - 3_600_000, midnight - 1_000, midnight, midnight + 1_000].filter(
      (ms) => day(ms) === day(Date.now()),
    );
    expect((await other.adminRest(newId()).stats()).totalSessions).toBe(wanted.length);
  });
});
