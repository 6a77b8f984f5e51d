import type { Row, Run } from './dialect.ts';

/**
 * The steps that bring tables made by the requirements document's SQL to today's form, rows and all. For a new database
 * they find nothing to do, or empty tables. Each may be cut off anywhere and is then run again from its start;
 * why they are as they are: docs/decisions/0011-adoption.md.
 */

/** Ids are compared byte by byte: `A1` and `a1` are two sessions, whatever collation the database came with. */
const TEXT = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

const forms = {
  chat_sessions: {
    modify: [
      `session_id VARCHAR(100) ${TEXT} NOT NULL`,
      'created_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3)',
      'updated_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)',
      'last_message_time TIMESTAMP(3) NULL',
    ],
    add: {
      user_nickname: `VARCHAR(100) ${TEXT} NOT NULL DEFAULT ''`,
      user_avatar: `VARCHAR(1000) ${TEXT} NOT NULL DEFAULT ''`,
      last_admin_id: 'INT NULL',
      last_message_id: `VARCHAR(100) ${TEXT} NULL`,
      last_seq: 'BIGINT NOT NULL DEFAULT 0',
      waiting_since: 'TIMESTAMP(3) NULL',
      closed_at: 'TIMESTAMP(3) NULL',
      first_user_message_at: 'TIMESTAMP(3) NULL',
      first_reply_at: 'TIMESTAMP(3) NULL',
      rating_score: 'TINYINT NULL',
      rating_comment: `VARCHAR(1000) ${TEXT} NULL`,
      rated_at: 'TIMESTAMP(3) NULL',
    },
    indexes: { idx_user_id: 'user_id', idx_admin_id: 'admin_id', idx_status: 'status', idx_created_at: 'created_at' },
  },
  chat_messages: {
    modify: [
      `message_id VARCHAR(100) ${TEXT} NOT NULL`,
      `session_id VARCHAR(100) ${TEXT} NOT NULL`,
      `content TEXT ${TEXT} NOT NULL`,
      'created_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3)',
    ],
    add: { seq: 'BIGINT NOT NULL DEFAULT 0', client_message_id: `VARCHAR(64) ${TEXT} NULL` },
    indexes: { idx_session_id: 'session_id', idx_sender_id: 'sender_id', idx_created_at: 'created_at' },
  },
} as const;
type Table = keyof typeof forms;
const tables: readonly Table[] = ['chat_sessions', 'chat_messages'];

/**
 * Exact ids, milliseconds, our own columns: one rebuild for each table, without the document's secondary indexes, which
 * `0005-indexes` builds again, sorted, when all values are in place.
 */
export async function reshape(run: Run): Promise<void> {
  const pending: { table: Table; missing: string[] }[] = [];
  for (const table of tables) {
    const there = await names(run, `SELECT column_name AS name FROM information_schema.columns WHERE ${OF_TABLE}`, [
      table,
    ]);
    const missing = Object.entries(forms[table].add).filter(([name]) => !there.has(name));
    // The columns come with the rest of the form, in one statement that is done wholly or not at all.
    if (missing.length > 0)
      pending.push({ table, missing: missing.map(([name, form]) => `ADD COLUMN ${name} ${form}`) });
  }
  if (pending.length === 0) return;
  await refuseWhatWouldBreak(run);
  // A foreign key holds both columns to one type: it is taken off while they change, and put back by `tieMessages`.
  for (const name of await ties(run)) await run(`ALTER TABLE chat_messages DROP FOREIGN KEY \`${name}\``);
  for (const { table, missing } of pending) {
    const changes = [
      'ENGINE=InnoDB',
      ...(await droppable(run, table)).map((name) => `DROP INDEX ${name}`),
      ...forms[table].modify.map((form) => `MODIFY ${form}`),
      ...missing,
      `DEFAULT ${TEXT}`,
    ];
    await run(`ALTER TABLE ${table} ${changes.join(', ')}`);
  }
}

const OF_TABLE = 'table_schema = DATABASE() AND table_name = ?';
const INDEXES = `SELECT DISTINCT index_name AS name FROM information_schema.statistics WHERE ${OF_TABLE}`;

async function names(run: Run, sql: string, values: readonly string[]): Promise<Set<unknown>> {
  return new Set((await run(sql, values)).map((row) => row['name']));
}

/** Names of the foreign keys from messages to sessions. */
async function ties(run: Run): Promise<string[]> {
  const found = await names(
    run,
    `SELECT DISTINCT constraint_name AS name FROM information_schema.key_column_usage
     WHERE ${OF_TABLE} AND referenced_table_schema = DATABASE() AND referenced_table_name = 'chat_sessions'`,
    ['chat_messages'],
  );
  return [...found].map(String);
}

/** The document's indexes that are there, but for those that a foreign key of somebody else's needs. */
async function droppable(run: Run, table: Table): Promise<string[]> {
  const there = await names(run, INDEXES, [table]);
  const needed = await names(
    run,
    `SELECT column_name AS name FROM information_schema.key_column_usage
     WHERE ${OF_TABLE} AND referenced_table_name IS NOT NULL`,
    [table],
  );
  const indexes = Object.entries(forms[table].indexes);
  return indexes.filter(([name, column]) => there.has(name) && !needed.has(column)).map(([name]) => name);
}

/** What hangs on the old tables and would stop the change half-way, or go wrong later. Nothing has been changed yet. */
async function refuseWhatWouldBreak(run: Run): Promise<void> {
  const keys = await run(
    `SELECT DISTINCT table_schema AS db, table_name AS name, constraint_name AS fk FROM information_schema.key_column_usage
     WHERE referenced_table_schema = DATABASE() AND referenced_table_name IN ('chat_sessions', 'chat_messages')
       AND NOT (table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages', 'chat_events', 'chat_receipts'))`,
  );
  const triggers = await run(
    `SELECT trigger_name AS name FROM information_schema.triggers
     WHERE event_object_schema = DATABASE() AND event_object_table IN ('chat_sessions', 'chat_messages')`,
  );
  const faults = [
    ...keys.map(
      (k) => `foreign key ${k['fk']} of ${k['db']}.${k['name']} (its column must become utf8mb4_bin as well)`,
    ),
    ...triggers.map((t) => `trigger ${t['name']} (it would run for every row, and for all that is written later)`),
  ];
  if (faults.length === 0) return;
  throw new Error(
    `The tables chat_sessions and chat_messages cannot be taken over while these hang on them: ${faults.join('; ')}. ` +
      'Drop them, start again, and make those anew that are still wanted; nothing was changed.',
  );
}

/**
 * Gives every old message its place in its session's log, and every session what its row keeps of its messages. The old
 * tables kept no order but whole seconds; rows of the same second follow their ids, so that a second run would number
 * them alike.
 */
export async function numberAndSummarise(run: Run): Promise<void> {
  await run(
    'SET SESSION sort_buffer_size = 67108864, SESSION tmp_table_size = 268435456, SESSION max_heap_table_size = 268435456',
  );
  // What the old columns left open: a NULL where a default was meant.
  await run(
    `UPDATE chat_sessions SET updated_at = COALESCE(updated_at, last_message_time, created_at, CURRENT_TIMESTAMP(3)),
       created_at = COALESCE(created_at, updated_at, CURRENT_TIMESTAMP(3)), status = COALESCE(status, 'waiting'),
       message_count = COALESCE(message_count, 0)
     WHERE created_at IS NULL OR updated_at IS NULL OR status IS NULL OR message_count IS NULL`,
  );
  await run(
    `UPDATE chat_messages m JOIN chat_sessions s ON s.session_id = m.session_id
     SET m.created_at = COALESCE(m.created_at, s.created_at),
       m.message_type = COALESCE(m.message_type, 'text'), m.status = COALESCE(m.status, 'sent')
     WHERE m.created_at IS NULL OR m.message_type IS NULL OR m.status IS NULL`,
  );
  const [unnumbered] = await run('SELECT message_id FROM chat_messages WHERE seq = 0 LIMIT 1');
  const [unsummed] = await run('SELECT session_id FROM chat_sessions WHERE last_seq = 0 LIMIT 1');
  if (unnumbered || unsummed) {
    await listInOrder(run);
    await number(run);
    await summarise(run);
    await run('DROP TABLE chat_adoption');
  }
  await settleStatus(run);
}

/** All messages session by session, as a table of their own: everything after it goes through its rows in their order. */
async function listInOrder(run: Run): Promise<void> {
  await run('DROP TABLE IF EXISTS chat_adoption');
  await run(
    `CREATE TABLE chat_adoption (
      session_id VARCHAR(100) NOT NULL,
      seq BIGINT NOT NULL,
      message_id VARCHAR(100) NOT NULL,
      sender_type ENUM('user', 'admin') NOT NULL,
      created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
      PRIMARY KEY (session_id, seq)
    ) ENGINE=InnoDB DEFAULT ${TEXT}`,
  );
  // The whole table sorted at once would go to disk as wide rows. Along an index, some sessions at a time, it stays in memory.
  const indexes = await names(run, INDEXES, ['chat_messages']);
  if (!indexes.has('idx_adoption')) {
    await run('ALTER TABLE chat_messages ADD INDEX idx_adoption (session_id, created_at, message_id, sender_type)');
  }
  await inChunks(run, 'chat_sessions', 'session_id', (where, values) =>
    run(
      `INSERT INTO chat_adoption (session_id, seq, message_id, sender_type, created_at)
       SELECT session_id, ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY created_at, message_id),
         message_id, sender_type, created_at
       FROM chat_messages FORCE INDEX (idx_adoption) WHERE ${where}`,
      values,
    ),
  );
  await run('ALTER TABLE chat_messages DROP INDEX idx_adoption');
  await run('ALTER TABLE chat_adoption ADD INDEX idx_message_id (message_id)');
}

/** In the order of both tables' ids: no page is read twice. */
function number(run: Run): Promise<void> {
  return inChunks(run, 'chat_adoption a FORCE INDEX (idx_message_id)', 'a.message_id', (where, values) =>
    run(
      `UPDATE chat_adoption a FORCE INDEX (idx_message_id) STRAIGHT_JOIN chat_messages m ON m.message_id = a.message_id
       SET m.seq = a.seq WHERE ${where} AND m.seq = 0`,
      values,
    ),
  );
}

const CHUNK = 20_000;

/** Goes through the values of a table's column in their order, so many at a time that no transaction grows large. */
async function inChunks(
  run: Run,
  table: string,
  column: string,
  work: (where: string, values: string[]) => Promise<unknown>,
): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const above: string[] = after === null ? [] : [after];
    const from = after === null ? 'TRUE' : `${column} >= ?`;
    const rows: Row[] = await run(
      `SELECT ${column} AS id FROM ${table} WHERE ${from} ORDER BY ${column} LIMIT 1 OFFSET ${CHUNK}`,
      above,
    );
    const upTo = rows[0]?.['id'];
    if (typeof upTo !== 'string') {
      await work(from, above);
      return;
    }
    await work(`${from} AND ${column} < ?`, [...above, upTo]);
    after = upTo;
  }
}

/** `updated_at` is set to itself, here and below, or the database would touch it. */
async function summarise(run: Run): Promise<void> {
  await run('DROP TABLE IF EXISTS chat_adoption_sessions');
  await run(
    `CREATE TABLE chat_adoption_sessions (
      session_id VARCHAR(100) NOT NULL PRIMARY KEY,
      messages INT NOT NULL,
      newest TIMESTAMP(3) NULL,
      asked TIMESTAMP(3) NULL,
      answered TIMESTAMP(3) NULL
    ) ENGINE=InnoDB DEFAULT ${TEXT}`,
  );
  await run(
    `INSERT INTO chat_adoption_sessions (session_id, messages, newest, asked, answered)
     SELECT g.session_id, g.messages, g.newest, g.asked,
       (SELECT MIN(l.created_at) FROM chat_adoption l
        WHERE l.session_id = g.session_id AND l.sender_type = 'admin' AND l.created_at >= g.asked)
     FROM (
       SELECT session_id, COUNT(*) AS messages, MAX(created_at) AS newest,
         MIN(CASE WHEN sender_type = 'user' THEN created_at END) AS asked
       FROM chat_adoption GROUP BY session_id
     ) g`,
  );
  // Tables without statistics: in this order each row is found by its primary key, whatever the optimiser thinks.
  await run(
    `UPDATE chat_adoption_sessions a
     STRAIGHT_JOIN chat_sessions s ON s.session_id = a.session_id
     STRAIGHT_JOIN chat_adoption l ON l.session_id = a.session_id AND l.seq = a.messages
     SET s.message_count = a.messages, s.last_seq = a.messages, s.last_message_id = l.message_id,
       s.last_message_time = COALESCE(s.last_message_time, a.newest),
       s.first_user_message_at = a.asked, s.first_reply_at = a.answered, s.updated_at = s.updated_at
     WHERE s.last_seq = 0`,
  );
  await run('DROP TABLE chat_adoption_sessions');
  await run(
    'UPDATE chat_sessions SET message_count = 0, updated_at = updated_at WHERE last_seq = 0 AND message_count <> 0',
  );
}

async function settleStatus(run: Run): Promise<void> {
  await run(
    "UPDATE chat_sessions SET status = 'waiting', updated_at = updated_at WHERE status = 'active' AND admin_id IS NULL",
  );
  await run(
    `UPDATE chat_sessions SET waiting_since = COALESCE(last_message_time, created_at), updated_at = updated_at
     WHERE status = 'waiting' AND waiting_since IS NULL`,
  );
  await run(
    `UPDATE chat_sessions SET closed_at = updated_at, updated_at = updated_at WHERE status = 'closed' AND closed_at IS NULL`,
  );
}

/** The document's foreign key. The database would copy the whole table to check it: looking ourselves takes a moment. */
export async function tieMessages(run: Run): Promise<void> {
  if ((await ties(run)).length > 0) return;
  const [orphan] = await run(
    `SELECT m.session_id AS id FROM chat_messages m LEFT JOIN chat_sessions s ON s.session_id = m.session_id
     WHERE s.session_id IS NULL LIMIT 1`,
  );
  if (orphan) throw new Error(`chat_messages has messages of a session that does not exist: ${orphan['id']}`);
  await run('SET SESSION foreign_key_checks = 0');
  await run('ALTER TABLE chat_messages ADD FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)');
  await run('SET SESSION foreign_key_checks = 1');
}

/**
 * Admins who had sessions before we came and have never been connected here: as far as the assignment knows, they have
 * just left. Who has not come by the end of this time loses their sessions to the queue.
 */
export async function noteAbsentAdmins(run: Run): Promise<void> {
  await run(
    `INSERT IGNORE INTO chat_admins (admin_id, nickname, avatar, release_at)
     SELECT DISTINCT admin_id, '', '', NOW(3) + INTERVAL 5 MINUTE FROM chat_sessions WHERE status = 'active' AND admin_id IS NOT NULL`,
  );
}
