import { expect, test } from 'vitest';
import { openMariadb } from '../../../../testing/mariadb.ts';
import { openMysql } from '../../../../testing/real-mysql.ts';
import { describeWith } from '../../../../testing/requires.ts';
import type { Database, Row, SqlServer } from '../../../../testing/sql-server.ts';
import { afterAll, beforeAll } from 'vitest';
import { mysqlDialect } from '../../src/store/mysql.ts';
import { mysqlMigrations } from '../../src/store/mysql-schema.ts';
import type { Run } from '../../src/store/dialect.ts';
import { SqlStore } from '../../src/store/sql-store.ts';
import { documentSql, fillOldTables } from './document-tables.ts';
import { admin, appendOk, command, mysqlOptions, user } from './open-store.ts';

const SESSIONS = Number(process.env['ADOPT_SESSIONS'] ?? 5_000);

const oldRows = `
SET SESSION time_zone = '+00:00', SESSION foreign_key_checks = 1;
INSERT INTO chat_sessions VALUES
 ('s_null_time', 1, 31, 'active', '2024-01-01 00:00:00', '2024-01-01 00:00:01', NULL, 2),
 ('s_empty', 2, NULL, 'waiting', '2024-01-02 00:00:00', '2024-01-02 00:00:01', NULL, 0),
 ('s_same_second', 3, 31, 'active', '2024-01-03 00:00:00', '2024-01-03 00:00:09', '2024-01-03 00:00:05', 4),
 ('s_wrong_count', 4, NULL, 'waiting', '2024-01-04 00:00:00', '2024-01-04 00:00:09', '2024-01-04 00:00:05', 99),
 ('s_empty_wrong', 4, NULL, 'closed', '2024-01-04 00:00:00', '2024-01-04 00:00:09', NULL, 7),
 ('s_active_nobody', 5, NULL, 'active', '2024-01-05 00:00:00', '2024-01-05 00:00:09', '2024-01-05 00:00:05', 1),
 ('s_closed', 6, 32, 'closed', '2024-01-06 00:00:00', '2024-01-06 00:00:09', '2024-01-06 00:00:05', 3),
 ('s_nulls', 7, NULL, NULL, NULL, NULL, '2024-01-07 00:00:05', NULL),
 ('A1', 8, NULL, 'waiting', '2024-01-08 00:00:00', '2024-01-08 00:00:09', NULL, 0);
INSERT INTO chat_messages VALUES
 ('n1', 's_null_time', 1, 'user', 'hello', 'text', 'sent', '2024-01-01 00:00:01', NULL),
 ('n2', 's_null_time', 31, 'admin', 'hi', 'text', 'read', '2024-01-01 00:00:31', NULL),
 ('b', 's_same_second', 3, 'user', 'second', 'text', 'sent', '2024-01-03 00:00:05', '[{"url":"https://a/1.png","name":"x","size":12}]'),
 ('a', 's_same_second', 3, 'user', 'first', 'image', 'delivered', '2024-01-03 00:00:05', '{"url":"https://a/2.png"}'),
 ('c', 's_same_second', 31, 'admin', 'third', 'text', 'failed', '2024-01-03 00:00:05', 'null'),
 ('z', 's_same_second', 0, 'admin', 'zeroth', 'system', 'sending', '2024-01-03 00:00:04', '[]'),
 ('w1', 's_wrong_count', 4, 'user', 'é ü ß', 'text', 'sent', '2024-01-04 00:00:05', NULL),
 ('x1', 's_active_nobody', 5, 'user', 'anyone?', 'text', 'sent', '2024-01-05 00:00:05', NULL),
 ('c0', 's_closed', 32, 'admin', 'before you ask', 'text', 'sent', '2024-01-06 00:00:01', NULL),
 ('c1', 's_closed', 6, 'user', 'q', 'file', 'sent', '2024-01-06 00:00:02', NULL),
 ('c2', 's_closed', 32, 'admin', 'a', 'text', 'sent', '2024-01-06 00:00:05', NULL),
 ('u1', 's_nulls', 7, 'user', 'no time', NULL, NULL, NULL, NULL);`;

const OLD_SESSION = 'session_id, user_id, admin_id, status, created_at, updated_at, last_message_time, message_count';
const OLD_MESSAGE = 'message_id, session_id, sender_id, sender_type, content, message_type, status, created_at, attachments';

for (const [service, open] of [['mariadb', openMariadb], ['mysql', openMysql]] as const) {
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
      if (charset === 'utf8mb4') await database.script("INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, created_at) VALUES ('w2', 's_wrong_count', 4, 'user', '👩‍👩‍👧‍👦 𠮷', '2024-01-04 00:00:06')");
      return database;
    };

    test.each(['utf8mb4', 'latin1'] as const)('every row of the document\'s tables is kept and served (%s)', async (charset) => {
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
      expect(await found('s_null_time')).toMatchObject({ status: 'active', adminId: 31, lastSeq: 2, messageCount: 2, lastMessageId: 'n2', firstReplyAt: Date.UTC(2024, 0, 1, 0, 0, 31) });
      expect(await found('s_empty')).toMatchObject({ lastSeq: 0, messageCount: 0, waitingSince: Date.UTC(2024, 0, 2) });
      expect(await found('s_active_nobody')).toMatchObject({ status: 'waiting', waitingSince: Date.UTC(2024, 0, 5, 0, 0, 5) });
      expect(await found('s_closed')).toMatchObject({ closedAt: Date.UTC(2024, 0, 6, 0, 0, 9), firstUserMessageAt: Date.UTC(2024, 0, 6, 0, 0, 2), firstReplyAt: Date.UTC(2024, 0, 6, 0, 0, 5) });
      expect(await found('a1')).toBeUndefined();
      const same = await store.messages('s_same_second', { page: 1, pageSize: 10 });
      expect(same.map((m) => [m.seq, m.messageId])).toEqual([[1, 'z'], [2, 'a'], [3, 'b'], [4, 'c']]);
      expect(same.map((m) => m.attachments)).toEqual([[], [{ url: 'https://a/2.png' }], [{ url: 'https://a/1.png', name: 'x', size: 12 }], []]);
      expect((await store.messages('s_wrong_count', { page: 1, pageSize: 10 })).map((m) => m.content)).toEqual(charset === 'utf8mb4' ? ['é ü ß', '👩‍👩‍👧‍👦 𠮷'] : ['é ü ß']);

      const second = await adopt(database);
      expect(await content(database)).toEqual(before.map(exceptions(charset)));
      const next = await appendOk(second, command('message', 's_same_second', { by: user(3), content: '😀' }));
      expect(next.message?.seq).toBe(5);
      const reply = await appendOk(second, command('message', 's_closed', { by: admin(32) }));
      expect(reply.events.map((e) => e.seq)).toEqual([4, 5]);
      await appendOk(second, command('message', 'a1', { by: user(9) }));
      expect((await second.log('s_same_second', 0, 10)).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5]);
    });

    test('admins of adopted sessions have just left, as far as the assignment knows', async () => {
      const database = await old('utf8mb4');
      const store = await adopt(database);
      const rows = await database.query('SELECT admin_id, release_at > NOW() AS later FROM chat_admins ORDER BY admin_id');
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

    test("columns, indexes and foreign keys that the operator added are kept", async () => {
      const database = await server.createDatabase();
      await database.script(documentSql);
      await database.script(`
        CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1);
        ALTER TABLE chat_sessions ADD COLUMN tenant VARCHAR(20) NOT NULL DEFAULT 't1', ADD INDEX idx_tenant (tenant),
          ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users(id);
        INSERT INTO chat_sessions (session_id, user_id, tenant) VALUES ('s', 1, 'mine');
        INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content) VALUES ('m', 's', 1, 'user', 'x');`);
      const store = await adopt(database);
      expect((await database.query('SELECT tenant, last_seq FROM chat_sessions'))[0]).toEqual({ tenant: 'mine', last_seq: 1 });
      const names = (await keys(database)).map((k) => k['name']);
      expect(names).toEqual(expect.arrayContaining(['idx_tenant', 'idx_user_id', 'fk_user']));
      await appendOk(store, command('message', 's', { by: user(1) }));
    });

    test(`${SESSIONS} sessions with five messages each`, { timeout: 1_800_000 }, async () => {
      const database = await server.createDatabase();
      await database.script(documentSql);
      await fillOldTables(database, SESSIONS);
      const sums = `SELECT COUNT(*) AS n, SUM(CRC32(CONCAT_WS('|', ${OLD_MESSAGE}))) AS sum FROM chat_messages`;
      const before = await sum(database, OLD_MESSAGE, 'chat_messages');
      const sessionsBefore = await sum(database, OLD_SESSION, 'chat_sessions');
      expect(sums).toBeTruthy();
      const started = performance.now();
      const store = await adopt(database);
      const seconds = (performance.now() - started) / 1000;
      if (SESSIONS > 5_000) console.log(`${service}: ${SESSIONS} sessions adopted in ${seconds.toFixed(1)} s`);
      expect(await sum(database, OLD_MESSAGE, 'chat_messages')).toEqual(before);
      expect(await sum(database, OLD_SESSION, 'chat_sessions')).toEqual(sessionsBefore);
      const [wrong] = await database.query('SELECT COUNT(*) AS n FROM chat_sessions WHERE last_seq <> 5 OR last_message_id IS NULL OR first_reply_at IS NULL');
      expect(Number(wrong?.['n'])).toBe(0);
      const [holes] = await database.query('SELECT COUNT(*) AS n FROM (SELECT session_id FROM chat_messages GROUP BY session_id HAVING MIN(seq) <> 1 OR MAX(seq) <> 5 OR COUNT(DISTINCT seq) <> 5) x');
      expect(Number(holes?.['n'])).toBe(0);
      expect((await store.sessions({ status: 'all', page: 1, pageSize: 1 })).total).toBe(SESSIONS);
    });
  });
}

/** All rows of the document's columns, as text. */
async function content(database: Database): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [table, list, key] of [['chat_sessions', OLD_SESSION, 'session_id'], ['chat_messages', OLD_MESSAGE, 'message_id']] as const) {
    // Whole seconds were kept, and fractions of none may have come.
    const texts = list.split(', ').map((c) => (/_at$|_time$/.test(c) ? `TRIM(TRAILING '.000' FROM CAST(${c} AS CHAR)) AS ${c}` : `CAST(${c} AS CHAR) AS ${c}`));
    rows.push(...(await database.query(`SET time_zone = '+00:00'; SELECT '${table}' AS t, ${texts.join(', ')} FROM ${table} ORDER BY CAST(${key} AS BINARY)`).then((r) => (Array.isArray(r[1]) ? (r[1] as Row[]) : r))));
  }
  return rows;
}

/** What the adoption changes in the document's own columns: see docs/decisions/0011-adoption.md. */
function exceptions(charset: string): (row: Row) => Row {
  const changes: Record<string, Row> = {
    s_null_time: { last_message_time: '2024-01-01 00:00:31' },
    s_wrong_count: { message_count: charset === 'utf8mb4' ? '2' : '1' },
    s_empty_wrong: { message_count: '0' },
    s_active_nobody: { status: 'waiting' },
    s_nulls: { status: 'waiting', created_at: '2024-01-07 00:00:05', updated_at: '2024-01-07 00:00:05', message_count: '1' },
    u1: { message_type: 'text', status: 'sent', created_at: '2024-01-07 00:00:05' },
  };
  return (row) => ({ ...row, ...(row['t'] === 'chat_sessions' ? changes[row['session_id'] as string] : changes[row['message_id'] as string]) });
}

/** The document's indexes and foreign key (and other people's), without ours. */
async function keys(database: Database): Promise<Row[]> {
  const indexes = await database.query(
    `SELECT table_name AS t, index_name AS name, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS c, MIN(non_unique) AS n FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') GROUP BY table_name, index_name ORDER BY 1, 2`,
  );
  const foreign = await database.query(
    `SELECT table_name AS t, IF(constraint_name LIKE 'fk%', constraint_name, 'foreign') AS name, column_name AS c, CONCAT(referenced_table_name, '.', referenced_column_name) AS n
     FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') AND referenced_table_name IS NOT NULL`,
  );
  const ours = /^(uq_|idx_(status_last_message|last_message|admin_status|user_status|waiting|closed_at|first_reply_at|rated_at|updated_at)$)/;
  return [...indexes, ...foreign].filter((r) => !ours.test(String(r['name'])));
}

async function columns(database: Database): Promise<Row[]> {
  const rows = await database.query(
    `SELECT CONCAT(table_name, '.', column_name) AS name, column_type AS type, is_nullable AS nullable, column_default AS def, extra FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') ORDER BY table_name, ordinal_position`,
  );
  const text = (value: unknown): string => String(value ?? 'NULL').toLowerCase().replace(/default_generated ?/, '').replace(/current_timestamp\(3\)|current_timestamp\(\)/g, 'current_timestamp').replaceAll("'", '');
  return rows.map((r) => ({ name: r['name'], form: [r['type'], r['nullable'], r['def'], r['EXTRA'] ?? r['extra']].map(text).join(' ').replace('int(11)', 'int').replace('timestamp(3)', 'timestamp').replace('longtext', 'json') }));
}

/** The document's columns as they must stand, in front of whatever follows them. */
function documentColumns(found: Row[]): Row[] {
  const wanted: Record<string, string> = {
    'chat_sessions.session_id': 'varchar(100) no null ',
    'chat_sessions.user_id': 'int no null ',
    'chat_sessions.admin_id': 'int yes null ',
    'chat_sessions.status': 'enum(waiting,active,closed) yes waiting ',
    'chat_sessions.created_at': 'timestamp yes current_timestamp ',
    'chat_sessions.updated_at': 'timestamp yes current_timestamp on update current_timestamp',
    'chat_sessions.last_message_time': 'timestamp yes null ',
    'chat_sessions.message_count': 'int yes 0 ',
    'chat_messages.message_id': 'varchar(100) no null ',
    'chat_messages.session_id': 'varchar(100) no null ',
    'chat_messages.sender_id': 'int no null ',
    'chat_messages.sender_type': 'enum(user,admin) no null ',
    'chat_messages.content': 'text no null ',
    'chat_messages.message_type': 'enum(text,image,file,system) yes text ',
    'chat_messages.status': 'enum(sending,sent,delivered,read,failed) yes sent ',
    'chat_messages.created_at': 'timestamp yes current_timestamp ',
    'chat_messages.attachments': 'json yes null ',
  };
  const names = new Set(found.map((f) => f['name']));
  for (const name of Object.keys(wanted)) if (!names.has(name)) throw new Error(`${name} is gone`);
  return found.map((f) => ({ ...f, form: wanted[String(f['name'])] ?? f['form'] }));
}

/** Form and rows of tables, without what is a matter of the moment. */
async function everything(database: Database, only?: readonly string[]): Promise<unknown> {
  const tables = only ?? (await database.query('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1')).map((r) => String(r['name']));
  const all: unknown[] = [];
  for (const table of tables) {
    const [form] = await database.query(`SHOW CREATE TABLE ${table}`);
    all.push(String(form?.['Create Table']).replace(/chat_messages_ibfk_\d+/, 'fk'));
    if (!['chat_schema', 'chat_admins'].includes(table)) all.push(await database.query(`SELECT * FROM ${table} ORDER BY 1`));
  }
  return all;
}

async function sum(database: Database, list: string, table: string): Promise<unknown> {
  const texts = list.split(', ').map((c) => (/_at$|_time$/.test(c) ? `UNIX_TIMESTAMP(${c}) DIV 1` : `COALESCE(CAST(${c} AS CHAR), 'NULL')`));
  return (await database.query(`SELECT COUNT(*) AS n, SUM(CRC32(CONVERT(CONCAT_WS('|', ${texts.join(', ')}) USING utf8mb4))) AS sum FROM ${table}`))[0];
}
