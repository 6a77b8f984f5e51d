import { documentSql } from '../../../../testing/document-sql.ts';
import { openMariadb } from '../../../../testing/mariadb.ts';
import { openMysql } from '../../../../testing/real-mysql.ts';
import { describeWith } from '../../../../testing/requires.ts';
import type { Database, SqlServer } from '../../../../testing/sql-server.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mysqlDialect } from '../../src/store/mysql.ts';
import { mysqlMigrations } from '../../src/store/mysql-schema.ts';
import type { Run } from '../../src/store/dialect.ts';
import { SqlStore } from '../../src/store/sql-store.ts';
import {
  columns,
  content,
  documentColumns,
  everything,
  exceptions,
  keys,
  OLD_MESSAGE,
  OLD_SESSION,
  oldRows,
  sum,
} from './adopted-content.ts';
import { fillOldTables } from './document-tables.ts';
import { admin, appendOk, command, messagesOf, mysqlOptions, user } from './open-store.ts';

const SESSIONS = Number(process.env['ADOPT_SESSIONS'] ?? 5_000);

for (const [service, open] of [
  ['mariadb', openMariadb],
  ['mysql', openMysql],
] as const) {
  describeWith(service, `adoption · ${service}`, () => {
    let server: SqlServer;
    const stores: SqlStore[] = [];
    beforeAll(async () => {
      server = await open();
    });
    afterAll(async () => {
      await Promise.all(stores.map((s) => s.close()));
      await server.stop();
    });
    const adopt = async (database: Database): Promise<SqlStore> => {
      const store = new SqlStore({ dialect: mysqlDialect(mysqlOptions(database.url)), capacity: 10 });
      stores.push(store);
      await store.migrate();
      return store;
    };
    const old = async (charset: 'utf8mb4' | 'latin1'): Promise<Database> => {
      const database = await server.createDatabase();
      await database.query(`ALTER DATABASE ${database.name} CHARACTER SET ${charset}`);
      await database.script(documentSql);
      await database.script(oldRows);
      if (charset === 'utf8mb4')
        await database.script(
          "INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, created_at) VALUES ('w2', 's_wrong_count', 4, 'user', '👩‍👩‍👧‍👦 𠮷', '2024-01-04 00:00:06')",
        );
      return database;
    };

    test.each(['utf8mb4', 'latin1'] as const)(
      "every row of the document's tables is kept and served (%s)",
      async (charset) => {
        const database = await old(charset);
        const before = await content(database);
        const keysBefore = await keys(database);
        const store = await adopt(database);

        expect(await content(database)).toEqual(before.map(exceptions(charset)));
        expect(await keys(database)).toEqual(keysBefore);
        const form = await columns(database);
        expect(form).toEqual(documentColumns(form));

        const { items, total } = await store.sessions({ status: 'all', page: 1, pageSize: 100 });
        expect([total, items.length]).toEqual([9, 9]);
        expect(items.slice(-4).map((s) => s.session.lastMessageTime)).toEqual([expect.any(Number), null, null, null]);
        const found = async (id: string) => (await store.session(id))?.session;
        expect(await found('s_null_time')).toMatchObject({
          status: 'active',
          adminId: 31,
          lastSeq: 2,
          messageCount: 2,
          lastMessageId: 'n2',
          firstReplyAt: Date.UTC(2024, 0, 1, 0, 0, 31),
        });
        expect(await found('s_empty')).toMatchObject({
          lastSeq: 0,
          messageCount: 0,
          waitingSince: Date.UTC(2024, 0, 2),
        });
        expect(await found('s_active_nobody')).toMatchObject({
          status: 'waiting',
          waitingSince: Date.UTC(2024, 0, 5, 0, 0, 5),
        });
        expect(await found('s_closed')).toMatchObject({
          closedAt: Date.UTC(2024, 0, 6, 0, 0, 9),
          firstUserMessageAt: Date.UTC(2024, 0, 6, 0, 0, 2),
          firstReplyAt: Date.UTC(2024, 0, 6, 0, 0, 5),
        });
        expect(await found('a1')).toBeUndefined();
        const same = await messagesOf(store, 's_same_second', { page: 1, pageSize: 10 });
        expect(same.map((m) => [m.seq, m.messageId])).toEqual([
          [1, 'z'],
          [2, 'a'],
          [3, 'b'],
          [4, 'c'],
        ]);
        expect(same.map((m) => m.attachments)).toEqual([
          [],
          [{ url: 'https://a/2.png' }],
          [{ url: 'https://a/1.png', name: 'x', size: 12 }],
          [],
        ]);
        expect((await messagesOf(store, 's_wrong_count', { page: 1, pageSize: 10 })).map((m) => m.content)).toEqual(
          charset === 'utf8mb4' ? ['é ü ß', '👩‍👩‍👧‍👦 𠮷'] : ['é ü ß'],
        );

        const second = await adopt(database);
        expect(await content(database)).toEqual(before.map(exceptions(charset)));
        const next = await appendOk(second, command('message', 's_same_second', { by: user(3), content: '😀' }));
        expect(next.message?.seq).toBe(5);
        const reply = await appendOk(second, command('message', 's_closed', { by: admin(32) }));
        expect(reply.events.map((e) => e.seq)).toEqual([4, 5]);
        await appendOk(second, command('message', 'a1', { by: user(9) }));
        expect((await second.log('s_same_second', 0, 10)).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5]);
      },
    );

    test('admins of adopted sessions have just left, as far as the assignment knows', async () => {
      const database = await old('utf8mb4');
      const store = await adopt(database);
      const rows = await database.query(
        'SELECT admin_id, release_at > NOW() AS later FROM chat_admins ORDER BY admin_id',
      );
      expect(rows.map((r) => [r['admin_id'], Number(r['later'])])).toEqual([[31, 1]]);
      expect(await store.roster.onlineAdmins()).toEqual([]);
      await store.roster.online({ id: 31, nickname: 'me', avatar: '' }, 'n1');
      expect((await database.query('SELECT release_at FROM chat_admins'))[0]?.['release_at']).toBeNull();
    });

    test('cut off after any statement, it goes on where it was and ends the same', async () => {
      const whole = await old('utf8mb4');
      await adopt(whole);
      const wanted = await everything(whole);
      const database = await old('utf8mb4');
      const dialect = mysqlDialect(mysqlOptions(database.url));
      let statements = 0;
      // Each attempt gets one statement further than the one before, then loses its connection.
      for (let budget = 1; ; budget++) {
        let left = budget;
        const finished = await dialect
          .alone(async (run) => {
            const limited: Run = (sql, values) => {
              if (/^\s*SELECT/.test(sql)) return run(sql, values);
              if (left-- === 0) throw new Error('cut off');
              return run(sql, values);
            };
            for (const up of Object.values(mysqlMigrations)) await up(limited);
            return true;
          })
          .catch((error: Error) => {
            if (error.message !== 'cut off') throw error;
            return false;
          });
        statements = budget;
        if (finished) break;
      }
      await dialect.close();
      expect(statements).toBeGreaterThan(15);
      await adopt(database);
      expect(await everything(database)).toEqual(wanted);
    });

    test('what hangs on the old tables stops it before anything has changed, and is named', async () => {
      const database = await old('utf8mb4');
      await database.script(`
        CREATE TABLE notes (id INT PRIMARY KEY, session_id VARCHAR(100), CONSTRAINT fk_notes FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id));
        CREATE TRIGGER tr_count AFTER INSERT ON chat_messages FOR EACH ROW UPDATE chat_sessions SET message_count = message_count + 1 WHERE session_id = NEW.session_id;`);
      const before = await everything(database, ['chat_sessions', 'chat_messages']);
      await expect(adopt(database)).rejects.toThrow(/fk_notes of \w+\.notes.*tr_count.*nothing was changed/);
      expect(await everything(database, ['chat_sessions', 'chat_messages'])).toEqual(before);
      await database.script('DROP TABLE notes; DROP TRIGGER tr_count');
      await adopt(database);
    });

    test('columns, indexes and foreign keys that the operator added are kept', async () => {
      const database = await server.createDatabase();
      await database.script(documentSql);
      await database.script(`
        CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1);
        ALTER TABLE chat_sessions ADD COLUMN tenant VARCHAR(20) NOT NULL DEFAULT 't1', ADD INDEX idx_tenant (tenant),
          ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users(id);
        INSERT INTO chat_sessions (session_id, user_id, tenant) VALUES ('s', 1, 'mine');
        INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content) VALUES ('m', 's', 1, 'user', 'x');`);
      const store = await adopt(database);
      expect((await database.query('SELECT tenant, last_seq FROM chat_sessions'))[0]).toEqual({
        tenant: 'mine',
        last_seq: 1,
      });
      const names = (await keys(database)).map((k) => k['name']);
      expect(names).toEqual(expect.arrayContaining(['idx_tenant', 'idx_user_id', 'fk_user']));
      await appendOk(store, command('message', 's', { by: user(1) }));
    });

    test(`${SESSIONS} sessions with five messages each`, { timeout: 1_800_000 }, async () => {
      const database = await server.createDatabase();
      await database.script(documentSql);
      await fillOldTables(database, SESSIONS);
      const before = await sum(database, OLD_MESSAGE, 'chat_messages');
      const sessionsBefore = await sum(database, OLD_SESSION, 'chat_sessions');
      const started = performance.now();
      const store = await adopt(database);
      const seconds = (performance.now() - started) / 1000;
      if (SESSIONS > 5_000) console.log(`${service}: ${SESSIONS} sessions adopted in ${seconds.toFixed(1)} s`);
      expect(await sum(database, OLD_MESSAGE, 'chat_messages')).toEqual(before);
      expect(await sum(database, OLD_SESSION, 'chat_sessions')).toEqual(sessionsBefore);
      const [wrong] = await database.query(
        'SELECT COUNT(*) AS n FROM chat_sessions WHERE last_seq <> 5 OR last_message_id IS NULL OR first_reply_at IS NULL',
      );
      expect(Number(wrong?.['n'])).toBe(0);
      const [holes] = await database.query(
        'SELECT COUNT(*) AS n FROM (SELECT session_id FROM chat_messages GROUP BY session_id HAVING MIN(seq) <> 1 OR MAX(seq) <> 5 OR COUNT(DISTINCT seq) <> 5) x',
      );
      expect(Number(holes?.['n'])).toBe(0);
      expect((await store.sessions({ status: 'all', page: 1, pageSize: 1 })).total).toBe(SESSIONS);
    });
  });
}
