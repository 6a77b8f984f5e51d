import { endOf, SILENT, startOf } from '../domain/figures.ts';
import type { SessionPlace, SessionRange, SessionSummary } from '../domain/ports.ts';
import { type Row, toTime, type Value } from './dialect.ts';
import { type Read, readStretch, type Stretch } from './figures.ts';
import { chatMessage, messageColumns, sessionColumns, sessionState } from './rows.ts';

/** A query, or a part of one, with the values of its marks. */
interface Part {
  readonly sql: string;
  readonly values: readonly Value[];
}

const ORDER = 'last_message_time DESC, session_id DESC';

/** A page that begins further down is not counted off from the top. */
const NEAR = 500;

/**
 * Sessions with their newest messages, newest first. The ids come from an index alone; only the sessions that are shown
 * are then read in full.
 */
export async function readSessions(read: Read, range: SessionRange): Promise<SessionSummary[]> {
  const { status, pageSize } = range;
  const which: Part = status === 'all' ? { sql: '', values: [] } : { sql: 'status=? AND', values: [status] };
  if ('after' in range) return summaries(read, behind(which, range.after, pageSize), pageSize);
  const offset = (range.page - 1) * pageSize;
  if (offset < NEAR) return summaries(read, fromTop(which, pageSize, offset), pageSize);
  // The counters know in which stretch of the list the page begins: only within it the store has to count.
  const stretch = await readStretch(read, status, offset);
  if (!stretch) return [];
  return summaries(read, within(which, stretch, pageSize, offset - stretch.before), pageSize);
}

/** A page that begins in a stretch, counted off from whichever end of it is nearer. */
function within(which: Part, { slot, size }: Stretch, limit: number, skip: number): Part {
  if (slot === SILENT) return silent(which, limit, skip);
  const below = size - skip - limit;
  // What reaches into the next stretch has to be read downwards.
  return below >= 0 && below < skip
    ? upFromMoment(which, startOf(slot), limit, below)
    : fromMoment(which, endOf(slot), limit, skip);
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

function fromTop(which: Part, limit: number, skip: number): Part {
  return {
    sql: `SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} 1=1 ORDER BY ${ORDER} LIMIT ? OFFSET ?`,
    values: [...which.values, limit, skip],
  };
}

/** Sessions without a message are the end of the list. NULL compares with nothing: they are a range of their own. */
function silent(which: Part, limit: number, skip = 0): Part {
  return {
    sql: `SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} last_message_time IS NULL ORDER BY session_id DESC LIMIT ? OFFSET ?`,
    values: [...which.values, limit, skip],
  };
}

function fromMoment(which: Part, before: number, limit: number, skip: number): Part {
  const spoken = {
    sql: `SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} last_message_time<? ORDER BY ${ORDER} LIMIT ? OFFSET ?`,
    values: [...which.values, toTime(before), limit, skip],
  };
  return oneAfterTheOther(spoken, silent(which, limit));
}

function upFromMoment(which: Part, first: number, limit: number, skip: number): Part {
  return {
    sql: `SELECT session_id AS id FROM chat_sessions WHERE ${which.sql} last_message_time>=?
          ORDER BY last_message_time, session_id LIMIT ? OFFSET ?`,
    values: [...which.values, toTime(first), limit, skip],
  };
}

function behind(which: Part, { lastMessageTime, sessionId }: SessionPlace, limit: number): Part {
  if (lastMessageTime === null) {
    return silent({ sql: `${which.sql} session_id<? AND`, values: [...which.values, sessionId] }, limit);
  }
  const time = toTime(lastMessageTime);
  // In this form every store finds the place by the index.
  const spoken = {
    sql: `SELECT session_id AS id FROM chat_sessions
          WHERE ${which.sql} last_message_time<=? AND (last_message_time<? OR session_id<?) ORDER BY ${ORDER} LIMIT ?`,
    values: [...which.values, time, time, sessionId, limit],
  };
  return oneAfterTheOther(spoken, silent(which, limit));
}

function oneAfterTheOther(first: Part, second: Part): Part {
  const each = ({ sql }: Part): string => `SELECT id FROM (${sql}) part`;
  return { sql: `${each(first)} UNION ALL ${each(second)}`, values: [...first.values, ...second.values] };
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
