import type { SessionStatus } from '@switchboard/protocol';
import { endOf, SILENT, STRETCH_MS } from '../domain/figures.ts';
import type { SessionPlace, SessionRange, SessionSummary } from '../domain/ports.ts';
import { marks, type Row, toTime, type Value } from './dialect.ts';
import { type Read, readStretch } from './figures.ts';
import { chatMessage, messageColumns, sessionColumns, sessionState } from './rows.ts';

/** A query, or a part of one, with the values of its marks. */
interface Part {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** The statuses whose sessions are wanted. */
type Which = readonly SessionStatus[];
const EVERY: Which = ['waiting', 'active', 'closed'];

const NEWEST_FIRST = 'ORDER BY last_message_time DESC, session_id DESC';
const ANY: Part = { sql: '1=1', values: [] };
const SILENT_ONES: Part = { sql: 'last_message_time IS NULL', values: [] };

/** A page that begins further down is not counted off from the top. */
const NEAR = 500;

/**
 * Sessions with their newest messages, newest first. The ids come from an index alone; only the sessions that are shown
 * are then read in full.
 */
export async function readSessions(read: Read, range: SessionRange): Promise<SessionSummary[]> {
  const { status, pageSize } = range;
  const which = status === 'all' ? EVERY : [status];
  if ('after' in range) return summaries(read, behind(which, range.after, pageSize), pageSize);
  const offset = (range.page - 1) * pageSize;
  if (offset < NEAR) return summaries(read, fromTop(which, pageSize, offset), pageSize);
  // The counters know in which stretch of the list the page begins: only within it the store has to count.
  const stretch = await readStretch(read, status, offset);
  if (!stretch) return [];
  const skip = offset - stretch.before;
  const ids =
    stretch.slot === SILENT ? silent(which, pageSize, skip) : fromStretch(which, stretch.slot, pageSize, skip);
  return summaries(read, ids, pageSize);
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

const fromTop = (which: Which, limit: number, skip: number): Part => newest(which, ANY, limit, skip);

/** Sessions without a message are the end of the list. NULL compares with nothing: they are a range of their own. */
const silent = (which: Which, limit: number, skip = 0): Part => newest(which, SILENT_ONES, limit, skip);

function fromStretch(which: Which, slot: number, limit: number, skip: number): Part {
  const end = endOf(slot);
  const start = toTime(end - STRETCH_MS);
  // What is skipped lies within the stretch: sorting all of it costs less than merging what else there is.
  const inside = {
    sql: `SELECT session_id AS id, last_message_time AS moment FROM chat_sessions
      WHERE status IN (${marks(which)}) AND last_message_time<? AND last_message_time>=? ${NEWEST_FIRST} LIMIT ? OFFSET ?`,
    values: [...which, toTime(end), start, limit, skip],
  };
  const older = newest(which, { sql: 'last_message_time<?', values: [start] }, limit, 0);
  return oneAfterTheOther(inside, older, silent(which, limit));
}

function behind(which: Which, { lastMessageTime, sessionId }: SessionPlace, limit: number): Part {
  if (lastMessageTime === null) {
    return newest(which, { sql: 'last_message_time IS NULL AND session_id<?', values: [sessionId] }, limit, 0);
  }
  const time = toTime(lastMessageTime);
  // In this form every store finds the place by the index.
  const sql = 'last_message_time<=? AND (last_message_time<? OR session_id<?)';
  const earlier = { sql, values: [time, time, sessionId] };
  return oneAfterTheOther(newest(which, earlier, limit, 0), silent(which, limit));
}

/**
 * The ids of sessions of some statuses, newest first. Each status is a range of one index; several are merged, so that
 * the list of all needs no index of its own, which every message would move.
 */
function newest(which: Which, condition: Part, limit: number, skip: number): Part {
  const range = (status: SessionStatus, count: number, offset: number): Part => ({
    sql: `SELECT session_id AS id, last_message_time AS moment FROM chat_sessions WHERE status=? AND ${condition.sql}
      ${NEWEST_FIRST} LIMIT ? OFFSET ?`,
    values: [status, ...condition.values, count, offset],
  });
  if (which.length === 1) return range(which[0] as SessionStatus, limit, skip);
  const { sql, values } = oneAfterTheOther(...which.map((status) => range(status, limit + skip, 0)));
  return { sql: `${sql} ORDER BY moment DESC, id DESC LIMIT ? OFFSET ?`, values: [...values, limit, skip] };
}

function oneAfterTheOther(...parts: readonly Part[]): Part {
  const sql = parts.map((part) => `SELECT id, moment FROM (${part.sql}) part`).join(' UNION ALL ');
  return { sql, values: parts.flatMap((part) => part.values) };
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
