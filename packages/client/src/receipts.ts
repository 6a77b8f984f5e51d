import type { Turn } from './outbox.ts';

export type ReceiptKind = 'delivered' | 'read';

type Reach = Record<ReceiptKind, number>;

export interface Receipts {
  mark(sessionId: string, kind: ReceiptKind, upToSeq: number): void;
  /** What the server has of ours, as it says when a session has been caught up with: a receipt may have been lost. */
  confirm(sessionId: string, told: Reach): void;
  /** The session's log is another one now. */
  forget(sessionId: string): void;
  next(now: number): Turn;
}

interface Mark {
  readonly wanted: Reach;
  /** What the server was told, as far as we know. */
  told: Reach;
  /** One receipt a second for each session. */
  notBefore: number;
}

const nowhere: Reach = { delivered: 0, read: 0 };
export const EVERY_MS = 1_000;
/** Between receipts of different sessions: a large inbox that has been caught up with is not worth a flood. */
export const APART_MS = 100;

/** How far we say that messages have got. Positions are cumulative, so that only the newest has to be sent. */
export function createReceipts(): Receipts {
  const marks = new Map<string, Mark>();
  let nextAt = 0;

  return {
    mark(sessionId, kind, upToSeq) {
      const mark = marks.get(sessionId) ?? { wanted: { ...nowhere }, told: { ...nowhere }, notBefore: 0 };
      marks.set(sessionId, mark);
      mark.wanted[kind] = Math.max(mark.wanted[kind], upToSeq);
    },

    confirm(sessionId, told) {
      const mark = marks.get(sessionId);
      if (mark) mark.told = told;
    },

    forget(sessionId) {
      marks.delete(sessionId);
    },

    next(now) {
      const send: object[] = [];
      let wakeAt = Infinity;
      for (const [sessionId, mark] of marks) {
        const kind = due(mark);
        if (!kind) continue;
        const at = Math.max(mark.notBefore, nextAt);
        if (at <= now) {
          const upToSeq = mark.wanted[kind];
          send.push({ type: 'receipt', data: { sessionId, kind, upToSeq } });
          mark.told[kind] = upToSeq;
          mark.notBefore = now + EVERY_MS;
          nextAt = now + APART_MS;
        }
        wakeAt = Math.min(wakeAt, Math.max(at, nextAt));
      }
      return { send, wakeAt };
    },
  };
}

/** What is read has been delivered, so `read` goes first and may do for both. */
function due({ wanted, told }: Mark): ReceiptKind | undefined {
  if (wanted.read > told.read) return 'read';
  return wanted.delivered > Math.max(told.delivered, told.read) ? 'delivered' : undefined;
}
