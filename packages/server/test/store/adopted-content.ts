import type { Database, Row } from '../../../../testing/sql-server.ts';

/** Rows with everything odd that old tables may hold. */
export const oldRows: string = `
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

export const OLD_SESSION =
  'session_id, user_id, admin_id, status, created_at, updated_at, last_message_time, message_count';
export const OLD_MESSAGE =
  'message_id, session_id, sender_id, sender_type, content, message_type, status, created_at, attachments';

/** All rows of the document's columns, as text. */
export async function content(database: Database): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [table, list, key] of [
    ['chat_sessions', OLD_SESSION, 'session_id'],
    ['chat_messages', OLD_MESSAGE, 'message_id'],
  ] as const) {
    // Whole seconds were kept, and fractions of none may have come.
    const texts = list
      .split(', ')
      .map((c) =>
        /_at$|_time$/.test(c) ? `TRIM(TRAILING '.000' FROM CAST(${c} AS CHAR)) AS ${c}` : `CAST(${c} AS CHAR) AS ${c}`,
      );
    rows.push(
      ...(await database
        .query(
          `SET time_zone = '+00:00'; SELECT '${table}' AS t, ${texts.join(', ')} FROM ${table} ORDER BY CAST(${key} AS BINARY)`,
        )
        .then((r) => (Array.isArray(r[1]) ? (r[1] as Row[]) : r))),
    );
  }
  return rows;
}

/** What the adoption changes in the document's own columns: see docs/decisions/0011-adoption.md. */
export function exceptions(charset: string): (row: Row) => Row {
  const changes: Record<string, Row> = {
    s_null_time: { last_message_time: '2024-01-01 00:00:31' },
    s_wrong_count: { message_count: charset === 'utf8mb4' ? '2' : '1' },
    s_empty_wrong: { message_count: '0' },
    s_active_nobody: { status: 'waiting' },
    s_nulls: {
      status: 'waiting',
      created_at: '2024-01-07 00:00:05',
      updated_at: '2024-01-07 00:00:05',
      message_count: '1',
    },
    u1: { message_type: 'text', status: 'sent', created_at: '2024-01-07 00:00:05' },
  };
  return (row) => ({
    ...row,
    ...(row['t'] === 'chat_sessions' ? changes[row['session_id'] as string] : changes[row['message_id'] as string]),
  });
}

/** The document's indexes and foreign key (and other people's), without ours. */
export async function keys(database: Database): Promise<Row[]> {
  const indexes = await database.query(
    `SELECT table_name AS t, index_name AS name, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS c, MIN(non_unique) AS n FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') GROUP BY table_name, index_name ORDER BY 1, 2`,
  );
  const foreign = await database.query(
    `SELECT table_name AS t, IF(constraint_name LIKE 'fk%', constraint_name, 'foreign') AS name, column_name AS c, CONCAT(referenced_table_name, '.', referenced_column_name) AS n
     FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') AND referenced_table_name IS NOT NULL`,
  );
  const ours =
    /^(uq_|idx_(status_last_message|last_message|admin_status|user_status|waiting|closed_at|first_reply_at|rated_at|updated_at)$)/;
  return [...indexes, ...foreign].filter((r) => !ours.test(String(r['name'])));
}

export async function columns(database: Database): Promise<Row[]> {
  const rows = await database.query(
    `SELECT CONCAT(table_name, '.', column_name) AS name, column_type AS type, is_nullable AS nullable, column_default AS def, extra FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages') ORDER BY table_name, ordinal_position`,
  );
  const text = (value: unknown): string =>
    String(value ?? 'NULL')
      .toLowerCase()
      .replace(/default_generated ?/, '')
      .replace(/current_timestamp\(3\)|current_timestamp\(\)/g, 'current_timestamp')
      .replaceAll("'", '');
  return rows.map((r) => ({
    name: r['name'],
    form: [r['type'], r['nullable'], r['def'], r['EXTRA'] ?? r['extra']]
      .map(text)
      .join(' ')
      .replace('int(11)', 'int')
      .replace('timestamp(3)', 'timestamp')
      .replace('longtext', 'json'),
  }));
}

/** The document's columns as they must stand, in front of whatever follows them. */
export function documentColumns(found: Row[]): Row[] {
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
export async function everything(database: Database, only?: readonly string[]): Promise<unknown> {
  const tables =
    only ??
    (
      await database.query(
        'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1',
      )
    ).map((r) => String(r['name']));
  const all: unknown[] = [];
  for (const table of tables) {
    const [form] = await database.query(`SHOW CREATE TABLE ${table}`);
    all.push(String(form?.['Create Table']).replace(/chat_messages_ibfk_\d+/, 'fk'));
    if (!['chat_schema', 'chat_admins'].includes(table))
      all.push(await database.query(`SELECT * FROM ${table} ORDER BY 1`));
  }
  return all;
}

export async function sum(database: Database, list: string, table: string): Promise<unknown> {
  const texts = list
    .split(', ')
    .map((c) => (/_at$|_time$/.test(c) ? `UNIX_TIMESTAMP(${c}) DIV 1` : `COALESCE(CAST(${c} AS CHAR), 'NULL')`));
  return (
    await database.query(
      `SELECT COUNT(*) AS n, SUM(CRC32(CONVERT(CONCAT_WS('|', ${texts.join(', ')}) USING utf8mb4))) AS sum FROM ${table}`,
    )
  )[0];
}
