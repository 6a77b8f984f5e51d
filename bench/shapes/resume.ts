import type { Database } from '../../testing/sql-server.ts';
import { ask } from '../generator/ask.ts';
import type { ResumeResult } from '../generator/jobs.ts';
import { startRelay, startSwitchboard, stop, type Subject } from '../subjects/start.ts';
import { requireFiles, BARE_WS } from './idle.ts';
import { type Scene, withDatabase } from './scene.ts';

/** The log of each session holds two messages; its client has seen the first. */
const SEEN = 1;

/** How long it takes until all clients have come back and caught up, by subject. */
export async function runResume(scene: Scene): Promise<Record<string, ResumeResult>> {
  const clients = scene.options.connections;
  requireFiles(clients);
  const storm = async (subject: Subject): Promise<ResumeResult> => {
    try {
      const { port, secret, pid } = subject;
      return await ask({ kind: 'resume', port, secret, clients, afterSeq: SEEN, pids: { server: pid } });
    } finally {
      await stop(subject);
    }
  };
  return {
    [BARE_WS]: await storm(await startRelay('plain')),
    switchboard: await withDatabase(scene, async (database) => {
      await openedSessions(database, clients);
      return storm(await startSwitchboard(database.url));
    }),
  };
}

/** Tables and rows as the requirements document has them; the server adopts them when it starts. */
async function openedSessions(database: Database, count: number): Promise<void> {
  await documentTables(database);
  await numbers(database, count);
  await database.script(`
    INSERT INTO chat_sessions (session_id, user_id, admin_id, status, last_message_time, message_count)
      SELECT CONCAT('s', 1000 + i), 1000 + i, 1, 'active', CURRENT_TIMESTAMP, 2 FROM numbers;
    INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content)
      SELECT CONCAT('m', part, '_', i), CONCAT('s', 1000 + i), 1000 + i, 'user', CONCAT('Hello, order ', i)
      FROM numbers CROSS JOIN (SELECT 1 AS part UNION SELECT 2) parts;
    DROP TABLE numbers`);
}

/** A table `numbers` with i = 0 … count - 1, made by doubling: every server can do that fast. */
export async function numbers(database: Database, count: number): Promise<void> {
  await database.script('CREATE TABLE numbers (i INT PRIMARY KEY); INSERT INTO numbers VALUES (0)');
  for (let have = 1; have < count; have *= 2) {
    await database.script(`INSERT INTO numbers SELECT i + ${have} FROM numbers WHERE i + ${have} < ${count}`);
  }
}

/** The two tables of the requirements document, indexes and foreign key included. */
export async function documentTables(database: Database): Promise<void> {
  await database.script(`
    CREATE TABLE chat_sessions (
      session_id VARCHAR(100) PRIMARY KEY, user_id INT NOT NULL, admin_id INT NULL,
      status ENUM('waiting', 'active', 'closed') DEFAULT 'waiting', created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
      updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, last_message_time TIMESTAMP NULL,
      message_count INT DEFAULT 0,
      INDEX idx_user_id (user_id), INDEX idx_admin_id (admin_id), INDEX idx_status (status),
      INDEX idx_created_at (created_at)) ENGINE=InnoDB;
    CREATE TABLE chat_messages (
      message_id VARCHAR(100) PRIMARY KEY, session_id VARCHAR(100) NOT NULL, sender_id INT NOT NULL,
      sender_type ENUM('user', 'admin') NOT NULL, content TEXT NOT NULL,
      message_type ENUM('text', 'image', 'file', 'system') DEFAULT 'text',
      status ENUM('sending', 'sent', 'delivered', 'read', 'failed') DEFAULT 'sent',
      created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, attachments JSON NULL,
      INDEX idx_session_id (session_id), INDEX idx_sender_id (sender_id), INDEX idx_created_at (created_at),
      FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)) ENGINE=InnoDB`);
}
