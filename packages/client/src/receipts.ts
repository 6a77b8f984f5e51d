export type ReceiptKind = 'delivered' | 'read';

export interface ReceiptToSend {
  readonly sessionId: string;
  readonly kind: ReceiptKind;
  readonly upToSeq: number;
}

type Reach = Record<ReceiptKind, number>;

interface Mark {
  readonly wanted: Reach;
  /** What the server was told, as far as we know. */
  readonly told: Reach;
  /** Not before this moment: one receipt a second for each session. */
  notBefore: number;
}

const EVERY_MS = 1_000;
/** For all sessions together, in one go and each second after it. */
const TOGETHER = 10;

/** How far we say that messages have got. Positions are cumulative, so that only the newest has to be sent. */
export class Receipts {
  readonly #marks = new Map<string, Mark>();
  readonly #untold = new Set<string>();
  #online = false;
  #roundAt = 0;
  #left = TOGETHER;

  mark(sessionId: string, kind: ReceiptKind, upToSeq: number): void {
    const { wanted } = this.#markOf(sessionId);
    if (upToSeq <= wanted[kind]) return;
    wanted[kind] = upToSeq;
    this.#untold.add(sessionId);
  }

  /** What the server has of ours, as it says when a session has been caught up with: a receipt may have been lost. */
  confirm(sessionId: string, told: Reach): void {
    const mark = this.#marks.get(sessionId);
    if (!mark) return;
    Object.assign(mark.told, told);
    this.#untold.add(sessionId);
  }

  /** The session's log is another one now. */
  forget(sessionId: string): void {
    this.#marks.delete(sessionId);
    this.#untold.delete(sessionId);
  }

  setOnline(online: boolean): void {
    this.#online = online;
  }

  /** What to send now, and when to ask again. */
  next(now: number): { send: ReceiptToSend[]; wakeAt: number | null } {
    const send: ReceiptToSend[] = [];
    let wakeAt: number | null = null;
    if (!this.#online) return { send, wakeAt };
    if (now - this.#roundAt >= EVERY_MS) {
      this.#roundAt = now;
      this.#left = TOGETHER;
    }
    for (const sessionId of this.#untold) {
      const mark = this.#markOf(sessionId);
      const kind = due(mark);
      if (!kind) {
        this.#untold.delete(sessionId);
        continue;
      }
      const at = Math.max(mark.notBefore, this.#left > 0 ? 0 : this.#roundAt + EVERY_MS);
      if (at > now) {
        wakeAt = Math.min(wakeAt ?? at, at);
        continue;
      }
      this.#left -= 1;
      mark.notBefore = now + EVERY_MS;
      mark.told[kind] = mark.wanted[kind];
      if (kind === 'read') mark.told.delivered = Math.max(mark.told.delivered, mark.told.read);
      send.push({ sessionId, kind, upToSeq: mark.wanted[kind] });
      if (due(mark)) wakeAt = Math.min(wakeAt ?? mark.notBefore, mark.notBefore);
      else this.#untold.delete(sessionId);
    }
    return { send, wakeAt };
  }

  #markOf(sessionId: string): Mark {
    let mark = this.#marks.get(sessionId);
    if (!mark) {
      mark = { wanted: { delivered: 0, read: 0 }, told: { delivered: 0, read: 0 }, notBefore: 0 };
      this.#marks.set(sessionId, mark);
    }
    return mark;
  }
}

/** What reads has been delivered, so `read` goes first and may do for both. */
function due({ wanted, told }: Mark): ReceiptKind | null {
  if (wanted.read > told.read) return 'read';
  return wanted.delivered > told.delivered ? 'delivered' : null;
}
