import type { CaughtUp, LogPlace, MessageRange } from '../domain/ports.ts';
import type { Receipt } from '../domain/receipts.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { type Dialect, marks, type Row, type Value } from './dialect.ts';
import type { Read } from './figures.ts';
import { receiptOf } from './receipts.ts';
import { chatMessage, eventColumns, messageColumns, sessionColumns, sessionEvent, sessionState } from './rows.ts';

/** Events of all logs of one read together, about: what one answer may weigh. */
const EVENTS = 4_000;
const EVENTS_EACH = 500;
/** Where a session has no more events besides its messages, to read as many messages too many costs less than to number them. */
const FEW_OTHERS = 50;

/** The messages, by the index that has them in order: left to choose, MariaDB sorts all that a long session has. */
const messagesBySeq: Readonly<Record<Dialect['name'], string>> = {
  mysql: 'chat_messages FORCE INDEX (uq_session_seq)',
  sqlite: 'chat_messages',
};

/** Messages of a session, oldest first, in one query that takes as long for the oldest as for the newest. */
export async function readMessages(
  read: Read,
  name: Dialect['name'],
  session: Pick<SessionState, 'sessionId' | 'messageCount' | 'lastSeq'>,
  range: MessageRange,
): Promise<ChatMessage[]> {
  const { sessionId } = session;
  const from = `SELECT ${messageColumns.join(',')} FROM ${messagesBySeq[name]} WHERE session_id=?`;
  if ('afterSeq' in range) {
    const rows = await read(`${from} AND seq>? ORDER BY seq LIMIT ?`, [sessionId, range.afterSeq, range.pageSize]);
    return rows.map(chatMessage);
  }
  if ('beforeSeq' in range) {
    const rows = await read(`${from} AND seq<? ORDER BY seq DESC LIMIT ?`, [
      sessionId,
      range.beforeSeq,
      range.pageSize,
    ]);
    return rows.map(chatMessage).reverse();
  }
  // The newest page, as the session was when it was read.
  if (range.page === 1) return readMessages(read, name, session, { ...range, beforeSeq: session.lastSeq + 1 });
  return readPage(read, name, session, range);
}

/**
 * A page counted from the newest, without counting. Message number n has a seq of at least n, and of n plus the other
 * events of the log at most: that stretch alone is looked at, and how many events lie before it tells where to begin.
 */
async function readPage(
  read: Read,
  name: Dialect['name'],
  { sessionId, messageCount, lastSeq }: Pick<SessionState, 'sessionId' | 'messageCount' | 'lastSeq'>,
  { page, pageSize }: { readonly page: number; readonly pageSize: number },
): Promise<ChatMessage[]> {
  const last = messageCount - (page - 1) * pageSize;
  if (last < 1) return [];
  const first = Math.max(1, last - pageSize + 1);
  const others = lastSeq - messageCount;
  if (others <= FEW_OTHERS) {
    const rows = await read(
      `SELECT ${messageColumns.join(',')}, (SELECT COUNT(*) FROM chat_events WHERE session_id=? AND seq<?) AS before_it
       FROM ${messagesBySeq[name]} WHERE session_id=? AND seq>=? AND seq<=? ORDER BY seq`,
      [sessionId, first, sessionId, first, last + others],
    );
    const skip = Number(rows[0]?.['before_it'] ?? 0);
    return rows.slice(skip, skip + last - first + 1).map(chatMessage);
  }
  const rows = await read(
    `SELECT ${messageColumns.map((c) => `m.${c}`).join(',')}
     FROM (SELECT COUNT(*) AS events FROM chat_events WHERE session_id=? AND seq<?) before_it
     JOIN (SELECT seq, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM ${messagesBySeq[name]}
           WHERE session_id=? AND seq>=? AND seq<=?) stretch
       ON stretch.place > before_it.events AND stretch.place <= before_it.events + ?
     JOIN chat_messages m ON m.session_id=? AND m.seq=stretch.seq
     ORDER BY m.seq`,
    [sessionId, first, sessionId, first, last + others, last - first + 1, sessionId],
  );
  return rows.map(chatMessage);
}

/**
 * Reads many sessions and what follows in their logs, in a handful of queries however many sessions there are.
 * @returns for each place the session with the next stretch of its log, or null when there is no such session
 */
export async function readLogs(
  read: Read,
  name: Dialect['name'],
  places: readonly LogPlace[],
): Promise<(CaughtUp | null)[]> {
  const sessions = await readFollowed(read, [...new Set(places.map((p) => p.sessionId))]);
  const lastSeq = (p: LogPlace): number => sessions.get(p.sessionId)?.session.lastSeq ?? 0;
  const behind = places.filter((p) => lastSeq(p) > p.afterSeq);
  const each = Math.min(EVENTS_EACH, Math.max(20, Math.floor(EVENTS / (behind.length || 1))));
  const stretches = behind.map((p) => ({ ...p, upToSeq: Math.min(lastSeq(p), p.afterSeq + each) }));
  const events = await readStretches(read, name, stretches);
  return places.map((place): CaughtUp | null => {
    const found = sessions.get(place.sessionId);
    return found ? { ...found, events: unbroken(events.get(place.sessionId) ?? [], place.afterSeq, each) } : null;
  });
}

/** The next `limit` events of one log. */
export async function readLog(
  read: Read,
  name: Dialect['name'],
  place: LogPlace,
  limit: number,
): Promise<SessionEvent[]> {
  const events = await readStretches(read, name, [{ ...place, upToSeq: place.afterSeq + limit }]);
  return unbroken(events.get(place.sessionId) ?? [], place.afterSeq, limit);
}

/** Sessions with how far their readers have got, in one query: in a storm each round trip counts more than a few columns. */
async function readFollowed(
  read: Read,
  ids: readonly string[],
): Promise<Map<string, { session: SessionState; receipts: Receipt[] }>> {
  const rows = await read(
    `SELECT ${sessionColumns.map((c) => `s.${c}`).join(',')}, r.reader_type, r.reader_id, r.delivered_seq, r.read_seq
     FROM chat_sessions s LEFT JOIN chat_receipts r ON r.session_id=s.session_id WHERE s.session_id IN (${marks(ids)})`,
    ids,
  );
  const found = new Map<string, { session: SessionState; receipts: Receipt[] }>();
  for (const row of rows) {
    const id = row['session_id'] as string;
    const one = found.get(id) ?? { session: sessionState(row), receipts: [] };
    found.set(id, one);
    if (row['reader_type'] !== null) one.receipts.push(receiptOf(row));
  }
  return found;
}

/** A stretch of a log: behind `afterSeq`, `upToSeq` included. */
interface Stretch extends LogPlace {
  readonly upToSeq: number;
}

/** A stretch of so many events is asked for event by event, which costs a third of asking for a range; a longer one is not. */
const SHORT = 20;

/** Stretches are cut by seq, not by LIMIT: messages and other events share the numbers, so the two tables fit together. */
async function readStretches(
  read: Read,
  name: Dialect['name'],
  stretches: readonly Stretch[],
): Promise<Map<string, SessionEvent[]>> {
  const found = new Map<string, SessionEvent[]>();
  const short = stretches.filter((s) => s.upToSeq - s.afterSeq <= SHORT);
  const long = stretches.filter((s) => s.upToSeq - s.afterSeq > SHORT);
  const places = short.flatMap(placesIn);
  const messages = `SELECT ${messageColumns.join(',')} FROM ${messagesBySeq[name]} WHERE`;
  const there = new Set<string>();
  for (const row of [
    ...(await readPlaces(read, name, messages, places)),
    ...(await readRanges(read, messages, long)),
  ]) {
    const message = chatMessage(row);
    put(found, message.sessionId, { kind: 'message', seq: message.seq, at: message.createdAt, message });
    there.add(placeKey(message));
  }
  // What is no message is another event: mostly there is none to ask for.
  const others = places.filter((place) => !there.has(placeKey(place)));
  const events = `SELECT ${eventColumns.join(',')} FROM chat_events WHERE`;
  for (const row of [...(await readPlaces(read, name, events, others)), ...(await readRanges(read, events, long))]) {
    put(found, row['session_id'] as string, sessionEvent(row));
  }
  return found;
}

interface Place {
  readonly sessionId: string;
  readonly seq: number;
}

function placesIn({ sessionId, afterSeq, upToSeq }: Stretch): Place[] {
  return Array.from({ length: upToSeq - afterSeq }, (_, i) => ({ sessionId, seq: afterSeq + 1 + i }));
}

function placeKey({ sessionId, seq }: Place): string {
  return `${seq} ${sessionId}`;
}

async function readPlaces(read: Read, name: Dialect['name'], select: string, places: readonly Place[]): Promise<Row[]> {
  if (places.length === 0) return [];
  const pairs = places.map(() => '(?,?)').join(',');
  return read(
    `${select} (session_id, seq) IN (${name === 'sqlite' ? `VALUES ${pairs}` : pairs})`,
    places.flatMap((p): Value[] => [p.sessionId, p.seq]),
  );
}

async function readRanges(read: Read, select: string, stretches: readonly Stretch[]): Promise<Row[]> {
  if (stretches.length === 0) return [];
  return read(
    `${select} ${stretches.map(() => '(session_id=? AND seq>? AND seq<=?)').join(' OR ')}`,
    stretches.flatMap((s): Value[] => [s.sessionId, s.afterSeq, s.upToSeq]),
  );
}

function put<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/** In order, from `afterSeq` on. The two tables are read one after the other: what lies behind a hole waits for the next read. */
function unbroken(events: readonly SessionEvent[], afterSeq: number, limit: number): SessionEvent[] {
  const next: SessionEvent[] = [];
  // One place may be asked for twice, by two connections that are not equally far.
  for (const event of events.toSorted((a, b) => a.seq - b.seq)) {
    if (event.seq === afterSeq + next.length + 1 && next.length < limit) next.push(event);
  }
  return next;
}
