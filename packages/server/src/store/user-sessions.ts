import type { OpenSession, RepeatKey } from '../domain/ports.ts';
import type { ChatMessage } from '../domain/session.ts';
import { type Dialect, marks } from './dialect.ts';
import { chatMessage, messageColumns } from './rows.ts';

/** Where messages go that name no session. Questions of many users are answered together. */

/** For each user the newest session that is not closed, and whether there are other sessions. */
export function openSessions(dialect: Dialect, userIds: readonly number[]): Promise<OpenSession[]> {
  const ids = [...new Set(userIds)];
  return dialect.transaction(async (tx) => {
    const open = await tx.rows(
      `SELECT user_id, session_id FROM chat_sessions WHERE user_id IN (${marks(ids)}) AND status IN ('waiting','active')
       ORDER BY created_at, session_id`,
      ids,
    );
    const counts = await tx.rows(
      `SELECT user_id, COUNT(*) AS sessions FROM chat_sessions WHERE user_id IN (${marks(ids)}) GROUP BY user_id`,
      ids,
    );
    const newest = new Map(open.map((row) => [row['user_id'], row['session_id'] as string]));
    const sessions = new Map(counts.map((row) => [row['user_id'], Number(row['sessions'])]));
    return userIds.map((id) => {
      const sessionId = newest.get(id) ?? null;
      return { sessionId, others: (sessions.get(id) ?? 0) > (sessionId === null ? 0 : 1) };
    });
  });
}

/** For each key the message that this user sent under it last, in whatever session, or null. */
export function repeatedMessages(dialect: Dialect, keys: readonly RepeatKey[]): Promise<(ChatMessage | null)[]> {
  // One small SELECT each, joined by UNION ALL: an OR over pairs would be answered by reading whole sessions.
  const one = `SELECT ${messageColumns.map((c) => `m.${c}`).join(',')} FROM chat_sessions s
    JOIN chat_messages m ON m.session_id = s.session_id AND m.sender_type = 'user' AND m.sender_id = s.user_id
    WHERE s.user_id = ? AND m.client_message_id = ?`;
  return dialect.transaction(async (tx) => {
    const rows = await tx.rows(
      keys.map(() => one).join(' UNION ALL '),
      keys.flatMap(({ userId, clientMessageId }) => [userId, clientMessageId]),
    );
    const found = new Map<string, ChatMessage>();
    for (const message of rows.map(chatMessage)) {
      const key = `${message.senderId} ${message.clientMessageId}`;
      const other = found.get(key);
      if (!other || message.createdAt > other.createdAt) found.set(key, message);
    }
    return keys.map(({ userId, clientMessageId }) => found.get(`${userId} ${clientMessageId}`) ?? null);
  });
}
