import type { Receipt, ReceiptResult } from '../domain/receipts.ts';
import { type Dialect, marks, type Row, type Transaction, type Value } from './dialect.ts';

const COLUMNS = ['session_id', 'reader_type', 'reader_id', 'delivered_seq', 'read_seq'] as const;

/**
 * Stores receipts, many in one transaction, and keeps the messages' `status` column in step with them.
 * A session's row is locked first, so that its receipts move one at a time.
 */
export function storeReceipts(dialect: Dialect, receipts: readonly Receipt[]): Promise<ReceiptResult[]> {
  const ids = [...new Set(receipts.map((r) => r.sessionId))];
  return dialect.transaction(async (tx) => {
    const sessions = byId(
      await tx.rows(
        `SELECT session_id, user_id, admin_id, last_seq FROM chat_sessions WHERE session_id IN (${marks(ids)})
         ORDER BY session_id${dialect.forUpdate}`,
        ids,
      ),
    );
    const before = new Map((await receiptsOf(tx, ids)).map((r) => [keyOf(r), r]));
    const standing = new Map(before);
    const moved = new Map<string, Receipt>();
    const results = receipts.map((wanted): ReceiptResult => {
      const session = sessions.get(wanted.sessionId);
      if (!session) return { fault: 'unknown' };
      if (wanted.readerType === 'user' && session['user_id'] !== wanted.readerId) return { fault: 'foreign' };
      if (wanted.deliveredSeq > (session['last_seq'] as number)) return { fault: 'beyond' };
      const key = keyOf(wanted);
      const last = standing.get(key);
      const next = forward(last, wanted);
      const changed = next.deliveredSeq !== last?.deliveredSeq || next.readSeq !== last?.readSeq ? next : null;
      if (changed) {
        standing.set(key, changed);
        moved.set(key, changed);
      }
      return {
        fault: null,
        userId: session['user_id'] as number,
        adminId: session['admin_id'] as number | null,
        changed,
      };
    });
    for (const [key, receipt] of moved) mark(tx, before.get(key), receipt);
    const rows = [...moved.values()].map((r): Value[] => [
      r.sessionId,
      r.readerType,
      r.readerId,
      r.deliveredSeq,
      r.readSeq,
    ]);
    const key = 'session_id, reader_type, reader_id';
    tx.insert('chat_receipts', COLUMNS, rows, dialect.overwrite(key, ['delivered_seq', 'read_seq']));
    return results;
  });
}

async function receiptsOf(tx: Transaction, sessionIds: readonly string[]): Promise<Receipt[]> {
  const rows = await tx.rows(
    `SELECT ${COLUMNS.join(',')} FROM chat_receipts WHERE session_id IN (${marks(sessionIds)})`,
    sessionIds,
  );
  return rows.map(receiptOf);
}

export function receiptOf(row: Row): Receipt {
  return {
    sessionId: row['session_id'] as string,
    readerType: row['reader_type'] as Receipt['readerType'],
    readerId: row['reader_id'] as number,
    deliveredSeq: row['delivered_seq'] as number,
    readSeq: row['read_seq'] as number,
  };
}

/** Positions only go forward, and what is read has been delivered. */
function forward(last: Receipt | undefined, wanted: Receipt): Receipt {
  const readSeq = Math.max(last?.readSeq ?? 0, wanted.readSeq);
  return { ...wanted, readSeq, deliveredSeq: Math.max(last?.deliveredSeq ?? 0, wanted.deliveredSeq, readSeq) };
}

/** Moves the other side's messages on: sent → delivered → read, never back. Looks only at what the reader newly covers. */
function mark(tx: Transaction, before: Receipt | undefined, now: Receipt): void {
  const sender = now.readerType === 'user' ? 'admin' : 'user';
  const covered = 'session_id=? AND seq>? AND seq<=? AND sender_type=?';
  const read = before?.readSeq ?? 0;
  if (now.readSeq > read) {
    tx.later(`UPDATE chat_messages SET status='read' WHERE ${covered} AND status IN ('sent','delivered')`, [
      now.sessionId,
      read,
      now.readSeq,
      sender,
    ]);
  }
  const delivered = Math.max(before?.deliveredSeq ?? 0, now.readSeq);
  if (now.deliveredSeq > delivered) {
    tx.later(`UPDATE chat_messages SET status='delivered' WHERE ${covered} AND status='sent'`, [
      now.sessionId,
      delivered,
      now.deliveredSeq,
      sender,
    ]);
  }
}

function keyOf(r: Receipt): string {
  return `${r.sessionId} ${r.readerType} ${r.readerId}`;
}

function byId(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row['session_id'] as string, row]));
}
