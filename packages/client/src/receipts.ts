export type ReceiptKind = 'delivered' | 'read';

type Reach = Record<ReceiptKind, number>;

interface Mark {
  readonly wanted: Reach;
  /** What the server was told, as far as we know. */
  told: Reach;
  /** One receipt a second for each session. */
  notBefore: number;
}

const EVERY_MS = 1_000;
/** Between receipts of different sessions: a large inbox that has been caught up with is not worth a flood. */
const APART_MS = 100;

/** How far we say that messages have got. Positions are cumulative, so that only the newest has to be sent. */
export class Receipts {
  readonly #marks = new Map<string, Mark>();
  readonly #untold = new Set<string>();
  #notBefore = 0;

  mark(sessionId: string, kind: ReceiptKind, upToSeq: number): void {
    let mark = this.#marks.get(sessionId);
    if (!mark) {
      mark = { wanted: { delivered: 0, read: 0 }, told: { delivered: 0, read: 0 }, notBefore: 0 };
      this.#marks.set(sessionId, mark);
    }
    if (upToSeq <= mark.wanted[kind]) return;
    mark.wanted[kind] = upToSeq;
    this.#untold.add(sessionId);
  }

  /** What the server has of ours, as it says when a session has been caught up with: a receipt may have been lost. */
  confirm(sessionId: string, told: Reach): void {
    const mark = this.#marks.get(sessionId);
    if (!mark) return;
    mark.told = told;
    this.#untold.add(sessionId);
  }

  /** The session's log is another one now. */
  forget(sessionId: string): void {
    this.#marks.delete(sessionId);
  }

  /** What to send now, and when to ask again. */
  next(now: number): { send: object[]; wakeAt: number } {
    const send: object[] = [];
    let wakeAt = Infinity;
    for (const sessionId of this.#untold) {
      const mark = this.#marks.get(sessionId);
      const kind = mark && due(mark);
      if (!kind) {
        this.#untold.delete(sessionId);
        continue;
      }
      const at = Math.max(mark.notBefore, this.#notBefore);
      if (at <= now) {
        const upToSeq = mark.wanted[kind];
        send.push({ type: 'receipt', data: { sessionId, kind, upToSeq } });
        mark.told[kind] = upToSeq;
        mark.notBefore = now + EVERY_MS;
        this.#notBefore = now + APART_MS;
        wakeAt = Math.min(wakeAt, mark.notBefore);
      } else wakeAt = Math.min(wakeAt, at);
    }
    return { send, wakeAt };
  }
}

/** What is read has been delivered, so `read` goes first and may do for both. */
function due({ wanted, told }: Mark): ReceiptKind | null {
  if (wanted.read > told.read) return 'read';
  return wanted.delivered > Math.max(told.delivered, told.read) ? 'delivered' : null;
}
