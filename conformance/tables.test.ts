/** The tables of the requirements document, made here or found. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { documentSql } from '../testing/document-sql.ts';
import { openMariadb } from '../testing/mariadb.ts';
import { openMysql } from '../testing/real-mysql.ts';
import { describeWith } from '../testing/requires.ts';
import type { Database, Row, SqlServer } from '../testing/sql-server.ts';
import { bootHere } from './boot.ts';
import { newId } from './house.ts';
import type { House } from './house.ts';
import { emoji, hardTexts, visit } from './scenes.ts';

for (const [service, open] of [
  ['mariadb', openMariadb],
  ['mysql', openMysql],
] as const) {
  describeWith(service, `tables in ${service}`, () => {
    let sql: SqlServer;
    beforeAll(async () => {
      sql = await open();
    });
    afterAll(() => sql?.stop());

    test('R8.1 every column, type, default, index and foreign key of the document is there', async () => {
      const [document, made] = [await sql.createDatabase('document'), await sql.createDatabase('made')];
      await document.script(documentSql);
      await bootHere({ databaseUrl: made.url });
      const [wanted, found] = [await shapeOf(document), await shapeOf(made)];
      expect(wanted.columns.size).toBe(17);
      expect(wanted.indexes.size).toBe(9);
      expect(wanted.foreignKeys).toHaveLength(1);
      for (const [name, column] of wanted.columns)
        expect({ name, ...found.columns.get(name) }).toEqual({ name, ...column });
      for (const [name, index] of wanted.indexes)
        expect({ name, index: found.indexes.get(name) }).toEqual({ name, index });
      for (const key of wanted.foreignKeys) expect(found.foreignKeys).toContainEqual(key);
      // Whoever writes with the document's columns alone is understood.
      await made.query("INSERT INTO chat_sessions (session_id, user_id) VALUES ('by-hand', 1)");
      const [row] = await made.query("SELECT * FROM chat_sessions WHERE session_id = 'by-hand'");
      expect(row).toMatchObject({ status: 'waiting', admin_id: null, message_count: 0, last_message_time: null });
      expect(row?.['created_at']).toBeInstanceOf(Date);
    });

    test('R8.2 R3.10 R3.15 a database of the document’s, with rows, is adopted, and adopting it again changes nothing', async () => {
      const database = await sql.createDatabase('adopted');
      await database.script(documentSql);
      await database.script(oldRows);
      const { server, house } = await bootHere({ databaseUrl: database.url });
      const seen = await allOf(house);
      const summaries = seen.sessions.map((s) => [s.sessionId, s.status, s.messageCount] as const);
      expect(summaries.toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([
        ['old_1', 'active', 4],
        ['old_2', 'closed', 2],
        ['old_empty', 'waiting', 0],
      ]);
      expect(seen.sessions.find((s) => s.sessionId === 'old_empty')).toMatchObject({
        userId: 32,
        userInfo: { userId: 32, nickname: '用户32', avatar: '' },
        adminId: null,
        createdAt: '2025-08-13T00:30:00.000Z',
        lastMessage: null,
        lastMessageTime: null,
        lastSeq: 0,
      });
      expect(seen.sessions.find((s) => s.sessionId === 'old_1')).toMatchObject({
        userId: 31,
        adminId: 31,
        lastMessage: { content: '好的 😀👩‍👩‍👧', messageType: 'text', senderId: 31, senderType: 'admin' },
        lastMessageTime: '2025-08-13T00:35:00.000Z',
      });
      const messages = seen.messages.get('old_1') ?? [];
      expect(messages.map((m) => [m.messageId, m.content, m.messageType, m.status, m.senderType, m.createdAt])).toEqual(
        [
          ['m1', 'first', 'text', 'read', 'user', '2025-08-13T00:30:00.000Z'],
          ['m2a', 'same second, one', 'text', 'sent', 'user', '2025-08-13T00:31:00.000Z'],
          ['m2b', 'same second, two', 'image', 'sent', 'user', '2025-08-13T00:31:00.000Z'],
          ['m3', '好的 😀👩‍👩‍👧', 'text', 'delivered', 'admin', '2025-08-13T00:35:00.000Z'],
        ],
      );
      expect(messages.map((m) => m.seq)).toEqual([1, 2, 3, 4]);
      expect(messages.map((m) => m.attachments)).toEqual([
        [],
        [],
        [{ url: 'https://example.com/图.png', size: 12 }],
        [],
      ]);

      await server.restart();
      expect(await allOf(house)).toEqual(seen);
      const [counts] = await database.query(
        'SELECT (SELECT COUNT(*) FROM chat_sessions) AS sessions, (SELECT COUNT(*) FROM chat_messages) AS messages',
      );
      expect(counts).toEqual({ sessions: 3, messages: 6 });

      // Old sessions go on where they were.
      const user = await house.user(31);
      expect(await user.say('and on', { sessionId: 'old_1' })).toMatchObject({ sessionId: 'old_1', seq: 5 });
      const reopened = await (await house.user(33)).say('again', { sessionId: 'old_2' });
      expect(reopened).toMatchObject({ seq: 4 });
      expect((await house.adminRest(1).session('old_2')).status).toBe('waiting');
      const admin = await house.admin(50);
      for (const id of ['old_empty', 'old_2']) await admin.expectStatus(id, 'active', 50);
    });

    test('R8.3 R3.21 hard texts and the longest ones come back as they were sent', async () => {
      const database = await sql.createDatabase('texts');
      const { house } = await bootHere({ databaseUrl: database.url });
      const { user, sessionId } = await visit(house, 'hello');
      const rest = house.adminRest(newId());
      const longest = emoji(10_000);
      const padded = `${' '.repeat(12_000)}${longest}\n${' '.repeat(12_000)}`;
      const texts = [...hardTexts, longest, padded];
      for (const text of texts) {
        await user.say(text);
        await rest.reply(sessionId, { content: text });
      }
      // By REST there is room for even more white space around the text: up to what a TEXT holds.
      const fullest = `${' '.repeat(30_000)}x${' '.repeat(35_534)}`;
      await rest.reply(sessionId, { content: fullest });
      const wanted = [...texts.flatMap((text) => [text, text]), fullest];
      const { messages } = await rest.messages(sessionId, '?pageSize=100');
      // One by one: a difference of such texts takes long to print.
      expect(messages).toHaveLength(1 + wanted.length);
      for (const [i, text] of wanted.entries()) expect([i, messages[i + 1]?.content === text]).toEqual([i, true]);
      const rating = `${'好'.repeat(999)}😀`;
      const { userId } = await rest.session(sessionId);
      expect((await house.userRest(userId).rate(sessionId, { score: 1, comment: rating })).rating?.comment).toBe(
        rating,
      );
      const name = '名'.repeat(99) + '😀';
      const named = await house.connect(house.token({ userId: newId(), nickname: name, avatar: 'ä'.repeat(1_000) }));
      const { sessionId: another } = await named.say('hello');
      expect((await rest.session(another)).userInfo).toMatchObject({ nickname: name, avatar: 'ä'.repeat(1_000) });
    });
  });
}

/** NULLs where defaults were meant, a session without messages, rows of the same second. */
const oldRows = `
SET time_zone = '+00:00';
INSERT INTO chat_sessions (session_id, user_id, admin_id, status, created_at, updated_at, last_message_time, message_count) VALUES
  ('old_1', 31, 31, 'active', '2025-08-13 00:30:00', '2025-08-13 00:35:00', '2025-08-13 00:35:00', 4),
  ('old_2', 33, 31, 'closed', '2025-08-12 10:00:00', '2025-08-12 11:00:00', NULL, 0),
  ('old_empty', 32, NULL, 'waiting', '2025-08-13 00:30:00', '2025-08-13 00:30:00', NULL, 0);
INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, message_type, status, created_at, attachments) VALUES
  ('m1', 'old_1', 31, 'user', 'first', 'text', 'read', '2025-08-13 00:30:00', NULL),
  ('m2b', 'old_1', 31, 'user', 'same second, two', 'image', 'sent', '2025-08-13 00:31:00', '[{"url":"https://example.com/图.png","size":12}]'),
  ('m2a', 'old_1', 31, 'user', 'same second, one', 'text', 'sent', '2025-08-13 00:31:00', '[]'),
  ('m3', 'old_1', 31, 'admin', '好的 😀👩‍👩‍👧', 'text', 'delivered', '2025-08-13 00:35:00', NULL),
  ('m4', 'old_2', 33, 'user', 'done?', 'text', 'sent', '2025-08-12 10:00:00', NULL),
  ('m5', 'old_2', 31, 'admin', 'done.', NULL, NULL, '2025-08-12 10:05:00', NULL);
`;

async function allOf(house: House) {
  const rest = house.adminRest(9_999);
  const { sessions } = await rest.sessions('?pageSize=100');
  const messages = new Map();
  for (const { sessionId } of sessions) {
    messages.set(sessionId, (await rest.messages(sessionId, '?pageSize=100')).messages);
  }
  return { sessions, messages: messages as Map<string, Awaited<ReturnType<typeof rest.messages>>['messages']> };
}

/** What of a database the document speaks of, in the words of any version. */
async function shapeOf(database: Database) {
  const ours = "table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages')";
  const lower = (rows: Row[]): Row[] =>
    rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key.toLowerCase(), value])));
  const columns = lower(await database.query(`SELECT * FROM information_schema.columns WHERE ${ours}`));
  const statistics = lower(
    await database.query(`SELECT * FROM information_schema.statistics WHERE ${ours} ORDER BY index_name, seq_in_index`),
  );
  const keys = lower(
    await database.query(
      `SELECT table_name, column_name, referenced_table_name, referenced_column_name
       FROM information_schema.key_column_usage WHERE ${ours} AND referenced_table_name IS NOT NULL`,
    ),
  );
  const indexes = new Map<string, unknown[]>();
  for (const row of statistics) {
    // The foreign key's own index has a name of the server's choice; the document's idx_session_id serves it.
    const name = `${String(row['table_name'])}.${String(row['index_name'])}`;
    indexes.set(name, [...(indexes.get(name) ?? []), [row['column_name'], Number(row['non_unique'])]]);
  }
  const plain = (value: unknown): string =>
    String(value ?? 'NULL')
      .toLowerCase()
      .replaceAll(/current_timestamp(\(\d*\))?/g, 'now')
      .replaceAll(/timestamp\(\d\)/g, 'timestamp')
      .replaceAll(/default_generated ?|'/g, '')
      .trim();
  return {
    columns: new Map(
      columns.map((row) => [
        `${String(row['table_name'])}.${String(row['column_name'])}`,
        {
          type: plain(row['column_type']),
          nullable: row['is_nullable'],
          default: plain(row['column_default']),
          extra: plain(row['extra']),
        },
      ]),
    ),
    indexes,
    foreignKeys: keys,
  };
}
