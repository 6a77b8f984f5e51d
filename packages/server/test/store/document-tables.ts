import type { Database } from '../../../../testing/sql-server.ts';

/** Rows as an old installation has them: ids in no order, five messages a session, several in one second. */
export async function fillOldTables(database: Database, sessions: number): Promise<void> {
  const digits = `(SELECT 0 d ${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((d) => `UNION ALL SELECT ${d}`).join(' ')})`;
  const places = Array.from({ length: String(sessions - 1).length }, (_, i) => i);
  const value = places.map((i) => `t${i}.d * ${10 ** i}`).join(' + ');
  const numbers = `(SELECT ${value} AS n FROM ${places.map((i) => `${digits} t${i}`).join(', ')}) numbers`;
  await database.script(`
    SET SESSION time_zone = '+00:00', SESSION unique_checks = 0, SESSION foreign_key_checks = 0;
    INSERT INTO chat_sessions (session_id, user_id, admin_id, status, created_at, updated_at, last_message_time, message_count)
    SELECT CONCAT('session_', LEFT(SHA2(n, 256), 32)), n % 70000 + 1, IF(n % 3 = 0, NULL, n % 40 + 1), ELT(n % 3 + 1, 'waiting', 'active', 'closed'),
      '2024-01-01' + INTERVAL n * 97 SECOND, '2024-01-02' + INTERVAL n * 97 SECOND, '2024-01-01' + INTERVAL n * 97 + 4 SECOND, 5
    FROM ${numbers} WHERE n < ${sessions} ORDER BY LEFT(SHA2(n, 256), 32);
    INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, message_type, status, created_at, attachments)
    SELECT CONCAT('msg_', LEFT(SHA2(n * 5 + k.d, 256), 32)), CONCAT('session_', LEFT(SHA2(n, 256), 32)), IF(k.d = 3, n % 40 + 1, n % 70000 + 1), IF(k.d = 3, 'admin', 'user'),
      CONCAT('第 ', n, ' 位客户的第 ', k.d, ' 条消息 😀 ', REPEAT('您好，请问我的订单什么时候发货？', k.d)), 'text', 'sent',
      '2024-01-01' + INTERVAL n * 97 + FLOOR(k.d / 2) * 2 SECOND, IF(k.d = 4, '[{"url":"https://a.example/1.png","name":"图"}]', NULL)
    FROM ${numbers}, (SELECT d FROM ${digits} t WHERE d < 5) k WHERE n < ${sessions} ORDER BY LEFT(SHA2(n * 5 + k.d, 256), 32);
  `);
}
