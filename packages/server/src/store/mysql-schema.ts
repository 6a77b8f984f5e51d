import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Migrations of MySQL and MariaDB. Released ones are never changed; a new one is added at the end.
 *
 * A database made by the requirements document's SQL and a new one take the same road: the first migration makes the
 * document's tables where they are missing, the next ones bring them to today's form, rows and all. DDL commits by
 * itself here, so each step first looks whether it was done: a migration that was cut off is simply run again.
 */
export const mysqlMigrations: Readonly<Record<string, Migration>> = {
  '0001-document-tables': { up: (db) => all(db, documentTables) },
  '0002-exact-ids-and-times': { up: exactIdsAndTimes },
  '0003-own-columns': { up: ownColumns },
  '0004-own-tables': { up: (db) => all(db, ownTables) },
  '0005-number-old-messages': { up: numberOldMessages },
  '0006-summarise-old-sessions': { up: summariseOldSessions },
  '0007-own-indexes': { up: ownIndexes },
};

async function all(db: Kysely<unknown>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const documentTables = [
  `CREATE TABLE IF NOT EXISTS chat_sessions (
    session_id VARCHAR(100) PRIMARY KEY,
    user_id INT NOT NULL,
    admin_id INT NULL,
    status ENUM('waiting', 'active', 'closed') DEFAULT 'waiting',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    last_message_time TIMESTAMP NULL,
    message_count INT DEFAULT 0,
    INDEX idx_user_id (user_id),
    INDEX idx_admin_id (admin_id),
    INDEX idx_status (status),
    INDEX idx_created_at (created_at)
  ) ENGINE=InnoDB`,
  `CREATE TABLE IF NOT EXISTS chat_messages (
    message_id VARCHAR(100) PRIMARY KEY,
    session_id VARCHAR(100) NOT NULL,
    sender_id INT NOT NULL,
    sender_type ENUM('user', 'admin') NOT NULL,
    content TEXT NOT NULL,
    message_type ENUM('text', 'image', 'file', 'system') DEFAULT 'text',
    status ENUM('sending', 'sent', 'delivered', 'read', 'failed') DEFAULT 'sent',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    attachments JSON NULL,
    INDEX idx_session_id (session_id),
    INDEX idx_sender_id (sender_id),
    INDEX idx_created_at (created_at),
    FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)
  ) ENGINE=InnoDB`,
];

/** Ids are compared byte by byte: `A1` and `a1` are two sessions, whatever collation the database came with. */
const EXACT = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';
const TEXT = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

async function exactIdsAndTimes(db: Kysely<unknown>): Promise<void> {
  // A foreign key holds both columns to one type: it is taken off while they change, and put back whatever happened.
  for (const name of await foreignKeys(db)) await all(db, [`ALTER TABLE chat_messages DROP FOREIGN KEY \`${name}\``]);
  await all(db, [
    `ALTER TABLE chat_sessions
      MODIFY session_id VARCHAR(100) ${EXACT} NOT NULL,
      MODIFY created_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
      MODIFY updated_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
      MODIFY last_message_time TIMESTAMP(3) NULL,
      DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    `ALTER TABLE chat_messages
      MODIFY message_id VARCHAR(100) ${EXACT} NOT NULL,
      MODIFY session_id VARCHAR(100) ${EXACT} NOT NULL,
      MODIFY content TEXT ${TEXT} NOT NULL,
      MODIFY created_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
      DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    'ALTER TABLE chat_messages ADD FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)',
  ]);
}

async function ownColumns(db: Kysely<unknown>): Promise<void> {
  await addMissing(db, 'chat_sessions', 'COLUMN', {
    user_nickname: `VARCHAR(100) ${TEXT} NOT NULL DEFAULT ''`,
    user_avatar: `VARCHAR(1000) ${TEXT} NOT NULL DEFAULT ''`,
    last_admin_id: 'INT NULL',
    last_message_id: `VARCHAR(100) ${EXACT} NULL`,
    last_seq: 'BIGINT NOT NULL DEFAULT 0',
    waiting_since: 'TIMESTAMP(3) NULL',
    closed_at: 'TIMESTAMP(3) NULL',
    first_user_message_at: 'TIMESTAMP(3) NULL',
    first_reply_at: 'TIMESTAMP(3) NULL',
    rating_score: 'TINYINT NULL',
    rating_comment: `VARCHAR(1000) ${TEXT} NULL`,
    rated_at: 'TIMESTAMP(3) NULL',
  });
  await addMissing(db, 'chat_messages', 'COLUMN', {
    seq: 'BIGINT NOT NULL DEFAULT 0',
    client_message_id: `VARCHAR(64) ${EXACT} NULL`,
  });
}

const ownTables = [
  `CREATE TABLE IF NOT EXISTS chat_events (
    session_id VARCHAR(100) NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    actor_type VARCHAR(10) NOT NULL,
    actor_id INT NOT NULL,
    data TEXT NOT NULL,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (session_id, seq),
    FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)
  )`,
  `CREATE TABLE IF NOT EXISTS chat_admins (
    admin_id INT PRIMARY KEY,
    nickname VARCHAR(100) NOT NULL,
    avatar VARCHAR(1000) NOT NULL,
    idle_since TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    release_at TIMESTAMP(3) NULL,
    INDEX idx_release_at (release_at)
  )`,
  `CREATE TABLE IF NOT EXISTS chat_admin_leases (
    admin_id INT NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    expires_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (admin_id, node_id)
  )`,
  `CREATE TABLE IF NOT EXISTS chat_receipts (
    session_id VARCHAR(100) NOT NULL,
    reader_type ENUM('user', 'admin') NOT NULL,
    reader_id INT NOT NULL,
    delivered_seq BIGINT NOT NULL,
    read_seq BIGINT NOT NULL,
    PRIMARY KEY (session_id, reader_type, reader_id),
    FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)
  )`,
  `CREATE TABLE IF NOT EXISTS chat_reservations (
    user_id INT PRIMARY KEY,
    session_id VARCHAR(100) NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS chat_operation_logs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    admin_id INT NULL,
    action VARCHAR(50) NOT NULL,
    session_id VARCHAR(100) NULL,
    outcome VARCHAR(50) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    INDEX idx_created_at (created_at)
  )`,
].map((statement) => `${statement} ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);

/**
 * Gives every old message its place in its session's log. The old tables kept no order but whole seconds; rows of the
 * same second follow their ids, so that a second run would number them alike.
 */
async function numberOldMessages(db: Kysely<unknown>): Promise<void> {
  await all(db, [
    // What the old columns left open: a NULL where a default was meant.
    `UPDATE chat_messages SET created_at = COALESCE(created_at, CURRENT_TIMESTAMP(3)),
       message_type = COALESCE(message_type, 'text'), status = COALESCE(status, 'sent')
     WHERE created_at IS NULL OR message_type IS NULL OR status IS NULL`,
    `UPDATE chat_messages m JOIN (
       SELECT message_id, ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY created_at, message_id) AS place
       FROM chat_messages
     ) numbered ON numbered.message_id = m.message_id
     SET m.seq = numbered.place, m.created_at = m.created_at
     WHERE m.seq = 0`,
  ]);
}

/** Fills what a session's row keeps of its messages. `updated_at` is set to itself, or MySQL would touch it. */
async function summariseOldSessions(db: Kysely<unknown>): Promise<void> {
  await all(db, [
    `UPDATE chat_sessions SET updated_at = COALESCE(updated_at, created_at, CURRENT_TIMESTAMP(3)),
       created_at = COALESCE(created_at, updated_at, CURRENT_TIMESTAMP(3)), status = COALESCE(status, 'waiting'),
       message_count = 0
     WHERE created_at IS NULL OR updated_at IS NULL OR status IS NULL OR message_count IS NULL`,
    `UPDATE chat_sessions SET status = 'waiting', updated_at = updated_at WHERE status = 'active' AND admin_id IS NULL`,
    `UPDATE chat_sessions s JOIN (
       SELECT session_id, COUNT(*) AS messages, MAX(seq) AS head, MAX(created_at) AS newest,
         MIN(CASE WHEN sender_type = 'user' THEN created_at END) AS asked
       FROM chat_messages GROUP BY session_id
     ) m ON m.session_id = s.session_id
     SET s.message_count = m.messages, s.last_seq = m.head, s.first_user_message_at = m.asked,
       s.last_message_time = COALESCE(s.last_message_time, m.newest), s.updated_at = s.updated_at
     WHERE s.last_seq = 0`,
    `UPDATE chat_sessions s JOIN chat_messages m ON m.session_id = s.session_id AND m.seq = s.last_seq
     SET s.last_message_id = m.message_id, s.updated_at = s.updated_at
     WHERE s.last_message_id IS NULL`,
    `UPDATE chat_sessions s JOIN (
       SELECT m.session_id, MIN(m.created_at) AS answered
       FROM chat_messages m JOIN chat_sessions s ON s.session_id = m.session_id
       WHERE m.sender_type = 'admin' AND m.created_at >= s.first_user_message_at
       GROUP BY m.session_id
     ) r ON r.session_id = s.session_id
     SET s.first_reply_at = r.answered, s.updated_at = s.updated_at
     WHERE s.first_reply_at IS NULL`,
    `UPDATE chat_sessions SET message_count = 0, updated_at = updated_at WHERE last_seq = 0 AND message_count <> 0`,
    `UPDATE chat_sessions SET waiting_since = COALESCE(last_message_time, created_at), updated_at = updated_at
     WHERE status = 'waiting' AND waiting_since IS NULL`,
    `UPDATE chat_sessions SET closed_at = updated_at, updated_at = updated_at
     WHERE status = 'closed' AND closed_at IS NULL`,
  ]);
}

async function ownIndexes(db: Kysely<unknown>): Promise<void> {
  await addMissing(db, 'chat_sessions', 'INDEX', {
    idx_status_last_message: '(status, last_message_time, session_id)',
    idx_last_message: '(last_message_time, session_id)',
    idx_admin_status: '(admin_id, status)',
    idx_user_status: '(user_id, status)',
    idx_waiting: '(status, waiting_since)',
    idx_closed_at: '(closed_at)',
    idx_first_reply_at: '(first_reply_at)',
    idx_rated_at: '(rated_at)',
    // For nodes that look for what a lost hint did not tell them.
    idx_updated_at: '(updated_at)',
  });
  await addMissing(db, 'chat_messages', 'UNIQUE INDEX', {
    uq_session_seq: '(session_id, seq)',
    uq_client_message: '(session_id, sender_type, sender_id, client_message_id)',
  });
}

async function foreignKeys(db: Kysely<unknown>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    SELECT DISTINCT constraint_name AS name FROM information_schema.key_column_usage
    WHERE table_schema = DATABASE() AND table_name = 'chat_messages' AND referenced_table_name = 'chat_sessions'
  `.execute(db);
  return rows.map((r) => r.name);
}

/** Adds columns or indexes that a table lacks, all in one ALTER so that the table is rebuilt once. */
async function addMissing(
  db: Kysely<unknown>,
  table: 'chat_sessions' | 'chat_messages',
  what: 'COLUMN' | 'INDEX' | 'UNIQUE INDEX',
  wanted: Readonly<Record<string, string>>,
): Promise<void> {
  const { rows } =
    what === 'COLUMN'
      ? await sql<{ name: string }>`SELECT column_name AS name FROM information_schema.columns
          WHERE table_schema = DATABASE() AND table_name = ${table}`.execute(db)
      : await sql<{ name: string }>`SELECT DISTINCT index_name AS name FROM information_schema.statistics
          WHERE table_schema = DATABASE() AND table_name = ${table}`.execute(db);
  const there = new Set(rows.map((r) => r.name));
  const missing = Object.entries(wanted).filter(([name]) => !there.has(name));
  if (missing.length === 0) return;
  await all(db, [`ALTER TABLE ${table} ${missing.map(([name, form]) => `ADD ${what} ${name} ${form}`).join(', ')}`]);
}
