import type { SessionPlace, SessionRange, SessionSummary } from '../domain/ports.ts';
import { type Row, toTime, type Value } from './dialect.ts';
import type { Read } from './figures.ts';
import { chatMessage, messageColumns, sessionColumns, sessionState } from './rows.ts';

/** A query, or a part of one, with the values of its marks. */
interface Part {
  readonly sql: string;
  readonly values: readonly Value[];
}

const ORDER = 'ORDER BY last_message_time DESC, session_id DESC';

/**
 * Sessions with their newest messages, newest first. The ids come from an index alone, however deep the page: only the
 * sessions that are shown are then read in full.
 */
export function readSessions(read: Read, range: SessionRange): Promise<SessionSummary[]> {
  const which: Part =
    range.status === 'all' ? { sql: '', values: [] } : { sql: 'status=? AND', values: [range.status] };
  const ids = 'page' in range ? pageOf(which, range) : behind(which, range.after, range.pageSize);
  return summaries(read, ids, range.pageSize);
}

export async function readSession(read: Read, sessionId: string): Promise<SessionSummary | null> {
  const one = 'SELECT session_id AS id FROM chat_sessions WHERE session_id=?';
  const [found] = await summaries(read, { sql: one, values: [sessionId] }, 1);
  return found ?? null;
}

/** The user's newest session that is not closed. */
export async function readOpenSessionOf(read: Read, userId: number): Promise<SessionSummary | null> {
  const open = `SELECT session_id AS id FROM chat_sessions WHERE user_id=? AND status IN ('waiting','active')
    ORDER BY created_at DESC, session_id DESC LIMIT 1`;
  const [found] = await summaries(read, { sql: open, values: [userId] }, 1);
  return found ?? null;
}

function pageOf(which: Part, { page, pageSize }: { readonly page: number; readonly pageSize: number }): Part {
  return {
    sql: `SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} 1=1 ${ORDER} LIMIT ? OFFSET ?`,
    values: [...which.values, pageSize, (page - 1) * pageSize],
  };
}

/** Sessions without a message are the end of the list. NULL compares with nothing: they are a range of their own. */
function behind(which: Part, { lastMessageTime, sessionId }: SessionPlace, limit: number): Part {
  const ids = (where: string): string =>
    `SELECT * FROM (SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} ${where} ${ORDER} LIMIT ?) part`;
  if (lastMessageTime === null) {
    const silent = ids('last_message_time IS NULL AND session_id<?');
    return { sql: silent, values: [...which.values, sessionId, limit] };
  }
  const time = toTime(lastMessageTime);
  // In this form every store finds the place by the index.
  const spoken = ids('last_message_time<=? AND (last_message_time<? OR session_id<?)');
  const silent = ids('last_message_time IS NULL');
  return {
    sql: `${spoken} UNION ALL ${silent}`,
    values: [...which.values, time, time, sessionId, limit, ...which.values, limit],
  };
}

const columns = [
  ...sessionColumns.map((column) => `s.${column}`),
  ...messageColumns.map((column) => `m.${column} AS m_${column}`),
].join(',');

async function summaries(read: Read, ids: Part, limit: number): Promise<SessionSummary[]> {
  const rows = await read(
    `SELECT ${columns} FROM (${ids.sql}) page JOIN chat_sessions s ON s.session_id=page.id
     LEFT JOIN chat_messages m ON m.message_id=s.last_message_id
     ORDER BY s.last_message_time DESC, s.session_id DESC LIMIT ?`,
    [...ids.values, limit],
  );
  return rows.map((row) => ({
    session: sessionState(row),
    lastMessage: row['m_message_id'] === null ? null : chatMessage(unprefixed(row)),
  }));
}

function unprefixed(row: Row): Row {
  return Object.fromEntries(messageColumns.map((c) => [c, row[`m_${c}`] ?? null]));
}
