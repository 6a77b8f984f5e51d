import type { CaughtUp, LogPlace } from '../domain/ports.ts';
import type { SessionEvent } from '../domain/session.ts';
import { type Dialect, marks, type Row, type Transaction, type Value } from './dialect.ts';
import { receiptsOf } from './receipts.ts';
import { chatMessage, eventColumns, messageColumns, sessionColumns, sessionEvent, sessionState } from './rows.ts';

/** Events of all logs of one read together, about: what one answer may weigh. */
const EVENTS = 4_000;
const EVENTS_EACH = 500;

/**
 * Reads many sessions and what follows in their logs, in a handful of queries however many sessions there are.
 * @returns for each place the session with the next stretch of its log, or null when there is no such session
 */
export function readLogs(dialect: Dialect, places: readonly LogPlace[]): Promise<(CaughtUp | null)[]> {
  return dialect.transaction(async (tx) => {
    const ids = [...new Set(places.map((p) => p.sessionId))];
    const rows = await tx.rows(
      `SELECT ${sessionColumns.join(',')} FROM chat_sessions WHERE session_id IN (${marks(ids)})`,
      ids,
    );
    const sessions = new Map(rows.map(sessionState).map((s) => [s.sessionId, s]));
    const receipts = rows.length === 0 ? [] : await receiptsOf(tx, ids);
    const behind = places.filter((p) => (sessions.get(p.sessionId)?.lastSeq ?? 0) > p.afterSeq);
    const each = Math.min(EVENTS_EACH, Math.max(20, Math.floor(EVENTS / (behind.length || 1))));
    const events = await readStretches(tx, behind, each);
    return places.map((place): CaughtUp | null => {
      const session = sessions.get(place.sessionId);
      if (!session) return null;
      const next = unbroken(events.get(place.sessionId) ?? [], place.afterSeq, each);
      return { session, events: next, receipts: receipts.filter((r) => r.sessionId === place.sessionId) };
    });
  });
}

/** The next `limit` events of one log. */
export async function readLog(dialect: Dialect, place: LogPlace, limit: number): Promise<SessionEvent[]> {
  const events = await dialect.transaction((tx) => readStretches(tx, [place], limit));
  return unbroken(events.get(place.sessionId) ?? [], place.afterSeq, limit);
}

/** Stretches are cut by seq, not by LIMIT: messages and other events share the numbers, so the two tables fit together. */
async function readStretches(
  tx: Transaction,
  places: readonly LogPlace[],
  limit: number,
): Promise<Map<string, SessionEvent[]>> {
  const found = new Map<string, SessionEvent[]>();
  if (places.length === 0) return found;
  const where = places.map(() => '(session_id=? AND seq>? AND seq<=?)').join(' OR ');
  const values = places.flatMap((p): Value[] => [p.sessionId, p.afterSeq, p.afterSeq + limit]);
  const add = (row: Row, event: SessionEvent): void => {
    const id = row['session_id'] as string;
    const list = found.get(id);
    if (list) list.push(event);
    else found.set(id, [event]);
  };
  for (const row of await tx.rows(`SELECT ${messageColumns.join(',')} FROM chat_messages WHERE ${where}`, values)) {
    const message = chatMessage(row);
    add(row, { kind: 'message', seq: message.seq, at: message.createdAt, message });
  }
  for (const row of await tx.rows(`SELECT ${eventColumns.join(',')} FROM chat_events WHERE ${where}`, values)) {
    add(row, sessionEvent(row));
  }
  return found;
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
