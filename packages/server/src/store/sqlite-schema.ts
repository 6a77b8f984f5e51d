import type { Migration } from './dialect.ts';
import { recount } from './recount.ts';

/** Migrations of the embedded store. Released ones are never changed; a new one is added at the end. */
export const sqliteMigrations: Readonly<Record<string, Migration>> = {
  '0001-first-tables': async (run) => {
    for (const statement of firstTables) await run(statement);
  },
  '0002-figures': async (run) => {
    for (const statement of figures) await run(statement);
    await recount(run, 'sqlite');
  },
};

const NOW = `(strftime('%Y-%m-%d %H:%M:%f', 'now'))`;

const firstTables = [
  `CREATE TABLE chat_sessions (
    session_id VARCHAR(100) PRIMARY KEY NOT NULL,
    user_id INT NOT NULL,
    admin_id INT NULL,
    status TEXT NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'active', 'closed')),
    created_at TEXT NOT NULL DEFAULT ${NOW},
    updated_at TEXT NOT NULL DEFAULT ${NOW},
    last_message_time TEXT NULL,
    message_count INT NOT NULL DEFAULT 0,
    user_nickname TEXT NOT NULL DEFAULT '',
    user_avatar TEXT NOT NULL DEFAULT '',
    last_admin_id INT NULL,
    last_message_id VARCHAR(100) NULL,
    last_seq BIGINT NOT NULL DEFAULT 0,
    waiting_since TEXT NULL,
    closed_at TEXT NULL,
    first_user_message_at TEXT NULL,
    first_reply_at TEXT NULL,
    rating_score INT NULL CHECK (rating_score BETWEEN 1 AND 5),
    rating_comment TEXT NULL,
    rated_at TEXT NULL
  )`,
  'CREATE INDEX idx_user_id ON chat_sessions (user_id)',
  'CREATE INDEX idx_admin_id ON chat_sessions (admin_id)',
  'CREATE INDEX idx_status ON chat_sessions (status)',
  'CREATE INDEX idx_created_at ON chat_sessions (created_at)',
  'CREATE INDEX idx_status_last_message ON chat_sessions (status, last_message_time, session_id)',
  'CREATE INDEX idx_last_message ON chat_sessions (last_message_time, session_id)',
  'CREATE INDEX idx_admin_status ON chat_sessions (admin_id, status)',
  'CREATE INDEX idx_user_status ON chat_sessions (user_id, status)',
  'CREATE INDEX idx_waiting ON chat_sessions (status, waiting_since)',
  'CREATE INDEX idx_closed_at ON chat_sessions (closed_at)',
  'CREATE INDEX idx_first_reply_at ON chat_sessions (first_reply_at)',
  'CREATE INDEX idx_rated_at ON chat_sessions (rated_at)',
  `CREATE TABLE chat_messages (
    message_id VARCHAR(100) PRIMARY KEY NOT NULL,
    session_id VARCHAR(100) NOT NULL REFERENCES chat_sessions(session_id),
    sender_id INT NOT NULL,
    sender_type TEXT NOT NULL CHECK (sender_type IN ('user', 'admin')),
    content TEXT NOT NULL,
    message_type TEXT NOT NULL DEFAULT 'text' CHECK (message_type IN ('text', 'image', 'file', 'system')),
    status TEXT NOT NULL DEFAULT 'sent' CHECK (status IN ('sending', 'sent', 'delivered', 'read', 'failed')),
    created_at TEXT NOT NULL DEFAULT ${NOW},
    attachments TEXT NULL,
    seq BIGINT NOT NULL,
    client_message_id VARCHAR(64) NULL
  )`,
  'CREATE INDEX idx_session_id ON chat_messages (session_id)',
  'CREATE INDEX idx_sender_id ON chat_messages (sender_id)',
  'CREATE INDEX idx_message_created_at ON chat_messages (created_at)',
  'CREATE UNIQUE INDEX uq_session_seq ON chat_messages (session_id, seq)',
  `CREATE UNIQUE INDEX uq_client_message ON chat_messages (session_id, sender_type, sender_id, client_message_id)
   WHERE client_message_id IS NOT NULL`,
  `CREATE TABLE chat_events (
    session_id VARCHAR(100) NOT NULL REFERENCES chat_sessions(session_id),
    seq BIGINT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    actor_type VARCHAR(10) NOT NULL,
    actor_id INT NOT NULL,
    data TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
  ) WITHOUT ROWID`,
  `CREATE TABLE chat_admins (
    admin_id INTEGER PRIMARY KEY NOT NULL,
    nickname TEXT NOT NULL,
    avatar TEXT NOT NULL,
    idle_since TEXT NOT NULL DEFAULT ${NOW},
    release_at TEXT NULL
  )`,
  'CREATE INDEX idx_release_at ON chat_admins (release_at)',
  `CREATE TABLE chat_admin_leases (
    admin_id INT NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    expires_at TEXT NOT NULL DEFAULT ${NOW},
    PRIMARY KEY (admin_id, node_id)
  ) WITHOUT ROWID`,
  `CREATE TABLE chat_receipts (
    session_id VARCHAR(100) NOT NULL REFERENCES chat_sessions(session_id),
    reader_type TEXT NOT NULL CHECK (reader_type IN ('user', 'admin')),
    reader_id INT NOT NULL,
    delivered_seq BIGINT NOT NULL,
    read_seq BIGINT NOT NULL,
    PRIMARY KEY (session_id, reader_type, reader_id)
  ) WITHOUT ROWID`,
  'CREATE TABLE chat_reservations (user_id INTEGER PRIMARY KEY NOT NULL, session_id VARCHAR(100) NOT NULL)',
  `CREATE TABLE chat_operation_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    admin_id INT NULL,
    action VARCHAR(50) NOT NULL,
    session_id VARCHAR(100) NULL,
    outcome VARCHAR(50) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at TEXT NOT NULL
  )`,
];

/** The counters of lists and statistics (store/figures.ts), and no more indexes for what they replace. */
const figures = [
  `CREATE TABLE chat_figures (
    slot INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    waiting INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    answered INTEGER NOT NULL DEFAULT 0,
    response_ms INTEGER NOT NULL DEFAULT 0,
    rated INTEGER NOT NULL DEFAULT 0,
    rating_sum INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, shard)
  ) WITHOUT ROWID`,
  'DROP INDEX idx_first_reply_at',
  'DROP INDEX idx_rated_at',
  'CREATE INDEX idx_event_created_at ON chat_events (created_at)',
];
