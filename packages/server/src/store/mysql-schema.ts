import type { Migration, Run } from './dialect.ts';
import { noteAbsentAdmins, numberAndSummarise, reshape, tieMessages } from './mysql-adoption.ts';
import { recount } from './recount.ts';

/**
 * Migrations of MySQL and MariaDB. Released ones are never changed; a new one is added at the end.
 *
 * A database made by the requirements document's SQL and a new one take the same road: the first migration makes the
 * document's tables where they are missing, the next ones bring them to today's form, rows and all. DDL commits by
 * itself here, so each step first looks whether it was done: a migration that was cut off is simply run again.
 */
export const mysqlMigrations: Readonly<Record<string, Migration>> = {
  '0001-document-tables': (run) => all(run, documentTables),
  '0002-exact-ids-times-own-columns': reshape,
  '0003-own-tables': (run) => all(run, ownTables),
  '0004-number-and-summarise': numberAndSummarise,
  '0005-indexes': indexes,
  '0006-absent-admins': noteAbsentAdmins,
  '0007-figures': figures,
  '0008-indexes-of-changes': indexesOfChanges,
};

async function all(run: Run, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await run(statement);
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

/** The document's indexes and our own. */
const wantedIndexes = {
  chat_sessions: {
    idx_user_id: 'INDEX idx_user_id (user_id)',
    idx_admin_id: 'INDEX idx_admin_id (admin_id)',
    idx_status: 'INDEX idx_status (status)',
    idx_created_at: 'INDEX idx_created_at (created_at)',
    idx_status_last_message: 'INDEX idx_status_last_message (status, last_message_time, session_id)',
    idx_last_message: 'INDEX idx_last_message (last_message_time, session_id)',
    idx_admin_status: 'INDEX idx_admin_status (admin_id, status)',
    idx_user_status: 'INDEX idx_user_status (user_id, status)',
    idx_waiting: 'INDEX idx_waiting (status, waiting_since)',
    idx_closed_at: 'INDEX idx_closed_at (closed_at)',
  },
  chat_messages: {
    idx_session_id: 'INDEX idx_session_id (session_id)',
    idx_sender_id: 'INDEX idx_sender_id (sender_id)',
    idx_created_at: 'INDEX idx_created_at (created_at)',
    uq_session_seq: 'UNIQUE INDEX uq_session_seq (session_id, seq)',
    uq_client_message: 'UNIQUE INDEX uq_client_message (session_id, sender_type, sender_id, client_message_id)',
  },
} as const;

async function indexNames(run: Run, table: string): Promise<Set<unknown>> {
  const rows = await run(
    `SELECT DISTINCT index_name AS name FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = ?`,
    [table],
  );
  return new Set(rows.map((row) => row['name']));
}

/** Adds the indexes that are missing, all of a table's in one ALTER, and the document's foreign key. */
async function indexes(run: Run): Promise<void> {
  for (const [table, wanted] of Object.entries(wantedIndexes)) {
    const there = await indexNames(run, table);
    const missing = Object.entries(wanted).filter(([name]) => !there.has(name));
    if (missing.length > 0) await run(`ALTER TABLE ${table} ${missing.map(([, form]) => `ADD ${form}`).join(', ')}`);
  }
  await tieMessages(run);
}

/** The counters of lists and statistics (store/figures.ts), brought to what the rows say. */
async function figures(run: Run): Promise<void> {
  await run(
    `CREATE TABLE IF NOT EXISTS chat_figures (
      slot INT NOT NULL,
      shard TINYINT NOT NULL,
      waiting BIGINT NOT NULL DEFAULT 0,
      active BIGINT NOT NULL DEFAULT 0,
      closed BIGINT NOT NULL DEFAULT 0,
      created BIGINT NOT NULL DEFAULT 0,
      completed BIGINT NOT NULL DEFAULT 0,
      answered BIGINT NOT NULL DEFAULT 0,
      response_ms BIGINT NOT NULL DEFAULT 0,
      rated BIGINT NOT NULL DEFAULT 0,
      rating_sum BIGINT NOT NULL DEFAULT 0,
      messages BIGINT NOT NULL DEFAULT 0,
      PRIMARY KEY (slot, shard)
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  );
  await recount(run, 'mysql');
}

/** Indexes that every message moved, or that only counting needed: gone. Recent events are found by one of their own. */
async function indexesOfChanges(run: Run): Promise<void> {
  const there = await indexNames(run, 'chat_sessions');
  const unneeded = ['idx_first_reply_at', 'idx_rated_at', 'idx_updated_at'].filter((name) => there.has(name));
  if (unneeded.length > 0) await run(`ALTER TABLE chat_sessions ${unneeded.map((n) => `DROP INDEX ${n}`).join(', ')}`);
  if (!(await indexNames(run, 'chat_events')).has('idx_created_at')) {
    await run('ALTER TABLE chat_events ADD INDEX idx_created_at (created_at)');
  }
}
