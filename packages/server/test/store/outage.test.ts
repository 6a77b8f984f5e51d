import { afterAll, beforeAll, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { startMariadb } from '../../../../testing/mariadb.ts';
import { describeWith } from '../../../../testing/requires.ts';
import type { Database, PrivateSqlServer } from '../../../../testing/sql-server.ts';
import type { Outcome } from '../../src/domain/command.ts';
import { mysqlDialect } from '../../src/store/mysql.ts';
import { SqlStore } from '../../src/store/sql-store.ts';
import {
  admin,
  append,
  appendOk,
  type Bench,
  brokenRules,
  command,
  mysqlOptions,
  user,
  verdict,
} from './open-store.ts';

describeWith(
  'mariadb',
  'outage · mariadb',
  () => {
    let server: PrivateSqlServer;
    let database: Database;
    let store: SqlStore;
    beforeAll(async () => {
      server = await startMariadb();
      database = await server.createDatabase();
      store = new SqlStore({ dialect: mysqlDialect(mysqlOptions(database.url)), capacity: 10 });
      await store.migrate();
    });
    afterAll(async () => {
      await store.close();
      await server.stop();
    });
    const broken = (): Promise<string[]> =>
      brokenRules({ rows: (sql: string) => database.query(sql) } as unknown as Bench);

    test('killed under load: every answer is true, nothing is half-written, and it goes on after the restart', async () => {
      for (let round = 0; round < 3; round++) {
        const stored: Outcome[] = [];
        const refused: string[] = [];
        let sent = 0;
        let stop = false;
        const senders = Array.from({ length: 8 }, async (_, n) => {
          while (!stop) {
            const id = `kill-${n % 5}`;
            const what = command('message', id, {
              by: user(100 + (n % 5)),
              clientMessageId: `${round}-${n}-${sent++}`,
            });
            const { outcome, error } = await append(store, what);
            if (outcome) stored.push(outcome);
            else refused.push(verdict({ error } as never));
            if (error) await sleep(20);
          }
        });
        await sleep(300);
        await server.kill();
        await sleep(300);
        expect(verdict(await append(store, command('claim', 'kill-0', { by: admin(1) })))).toBe('UNAVAILABLE');
        await expect(store.session('kill-0')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await expect(store.roster.onlineAdmins()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await expect(store.ready()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await server.start();
        await sleep(300);
        stop = true;
        await Promise.all(senders);
        await store.ready();
        expect(new Set(refused)).toEqual(new Set(['UNAVAILABLE']));
        const rows = await database.query('SELECT message_id FROM chat_messages');
        const there = new Set(rows.map((r) => r['message_id']));
        expect(stored.filter((o) => !there.has(o.message?.messageId))).toEqual([]);
        expect(await broken()).toEqual([]);
      }
    });

    test('a repeat of what got no answer is stored once', async () => {
      const what = command('message', 'again', { clientMessageId: 'k' });
      const pending = append(store, what);
      await server.kill();
      const first = await pending;
      await server.start();
      const second = await appendOk(store, { ...what, messageId: 'msg_repeat' } as typeof what);
      if (first.outcome) expect(second.duplicate).toBe(true);
      const rows = await database.query("SELECT message_id FROM chat_messages WHERE session_id = 'again'");
      expect(rows).toHaveLength(1);
      expect(await broken()).toEqual([]);
    });

    test('a frozen server is UNAVAILABLE within seconds, and the store recovers when it thaws', async () => {
      await server.pause();
      const started = performance.now();
      expect(verdict(await append(store, command('message', 'frozen')))).toBe('UNAVAILABLE');
      expect(performance.now() - started).toBeLessThan(12_000);
      server.resume();
      await appendOk(store, command('message', 'frozen'));
      expect(await broken()).toEqual([]);
    });
  },
  { own: true },
);
