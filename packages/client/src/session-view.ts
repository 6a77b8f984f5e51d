import type { FrameMessage, LogEvent, MessageType, SenderType, SessionStatus } from '@switchboard/protocol';
import type { Entry } from './outbox.ts';

/** A message as a conversation shows it: one of the log, or one of our own that is not there yet. */
export interface ChatMessage {
  /** Null until the server has it, as is `seq`. */
  readonly messageId: string | null;
  readonly seq: number | null;
  /** The sender's own mark; null where there was none. */
  readonly clientMessageId: string | null;
  readonly senderType: SenderType;
  /** Null until the server has it. */
  readonly senderId: number | null;
  readonly content: string;
  readonly messageType: MessageType;
  readonly attachments: readonly unknown[];
  /** ISO 8601; of one that the server does not have yet, when it was written. */
  readonly createdAt: string;
  /** `sending` and `failed` are our own alone; `delivered` and `read` follow the other side's receipts. */
  readonly status: 'sending' | 'sent' | 'delivered' | 'read' | 'failed';
  /** Why it failed. */
  readonly error?: string;
}

type Partly<T, K extends keyof T> = Omit<T, K> & Partial<Pick<T, K>>;
type LogStatus = Extract<LogEvent, { kind: 'status' }>;

/** An event of a session's log. Of a live change of status the frames do not tell who caused it and why. */
export type ViewEvent = Exclude<LogEvent, LogStatus> | Partly<LogStatus, 'by' | 'reason'>;

/** How far a reader of a session has got. */
export interface Receipt {
  readonly readerType: SenderType;
  readonly readerId: number;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

/** What the user thinks of how it went. */
export interface Rating {
  readonly score: number;
  readonly comment: string;
}

/** What is known of one session, as far as its log has been read. Always the present state. */
export interface SessionView {
  /** Null: a conversation that has not reached the server yet. */
  readonly sessionId: string | null;
  /** The place in the log that the view begins after: 0 is everything. */
  readonly base: number;
  /** The newest event that has been applied: everything from `base` up to here has, and nothing twice. */
  readonly lastSeq: number;
  /** Null while nothing has told it. */
  readonly status: SessionStatus | null;
  readonly adminId: number | null;
  readonly rating: Rating | null;
  /** How far each reader has got. */
  readonly receipts: readonly Receipt[];
  /** The messages of the log in its order, and behind them our own that are not there yet. Another list when it changed. */
  readonly messages: readonly ChatMessage[];
  /** True while more is known to have happened than has been applied. */
  readonly behind: boolean;
}

/** The view as those know it who keep it up. */
export interface WritableView extends SessionView {
  /** Takes one event, and keeps it for its turn; one that was applied is nothing new. */
  add(event: ViewEvent): void;
  /** Applies the event whose turn it is, if it is here. One by one: what each leads to is done before the next one. */
  apply(): ViewEvent | undefined;
  /** The log reaches up to here, whatever has come of it. */
  noteHead(seq: number): void;
  /** How the session stands, for a view that begins behind the events which made it so. */
  noteStatus(status: SessionStatus, adminId: number | null): void;
  /** @returns how far the reader has got now, if it says anything new; receipts never go back */
  addReceipt(receipt: Receipt): Receipt | undefined;
  /** Whether the log has this message of our own. */
  has(entry: Entry): boolean;
  /** Forgets the log, to read it again from another place. */
  reset(base: number): void;
}

const rank = { sending: 0, failed: 0, sent: 1, delivered: 2, read: 3 };

/**
 * Makes the view of a session: the events of its log, applied in the order of their seq, each once. An event that is ahead
 * of its turn is held, and the view is `behind` until what lies between has come. No socket, no timer.
 * @param side whose messages are our own
 * @param own those of them that are not in the log yet, by session
 */
export function createView(
  sessionId: string | null,
  side: SenderType,
  own: (sessionId: string | null) => readonly ChatMessage[],
): WritableView {
  let base = 0;
  let lastSeq = 0;
  let head = 0;
  let status: SessionStatus | null = null;
  let adminId: number | null = null;
  let rating: Rating | null = null;
  let log: ChatMessage[] = [];
  let shown: readonly ChatMessage[] | null = null;
  let shownOwn: readonly ChatMessage[] = [];
  const held = new Map<number, ViewEvent>();
  const receipts = new Map<string, Receipt>();

  /** With the status that the receipts of the other side give it. */
  function reached(message: ChatMessage): ChatMessage {
    let now = message.status;
    for (const { readerType, deliveredSeq, readSeq } of receipts.values()) {
      if (readerType === message.senderType || message.seq === null) continue;
      const reach = message.seq <= readSeq ? 'read' : message.seq <= deliveredSeq ? 'delivered' : now;
      if (rank[reach] > rank[now]) now = reach;
    }
    return now === message.status ? message : { ...message, status: now };
  }

  return {
    sessionId,
    get base() {
      return base;
    },
    get lastSeq() {
      return lastSeq;
    },
    get status() {
      return status;
    },
    get adminId() {
      return adminId;
    },
    get rating() {
      return rating;
    },
    get receipts() {
      return [...receipts.values()];
    },
    get messages() {
      const mine = own(sessionId);
      if (shownOwn[mine.length] || mine.some((message, i) => message !== shownOwn[i])) shown = null;
      shownOwn = mine;
      return (shown ??= [...log, ...mine].map(reached));
    },
    get behind() {
      return held.size > 0 || head > lastSeq;
    },

    add(event) {
      if (event.seq > lastSeq) held.set(event.seq, event);
    },

    apply() {
      const event = held.get(lastSeq + 1);
      if (!event) return undefined;
      lastSeq = event.seq;
      held.delete(lastSeq);
      shown = null;
      if (event.kind === 'message') {
        log.push(chatMessage(event.message));
        // A session is opened by its first message, and waits until an event says otherwise.
        if (lastSeq === 1) status = 'waiting';
      } else if (event.kind === 'status') ({ status, adminId } = event);
      else rating = { score: event.score, comment: event.comment };
      return event;
    },

    noteHead(seq) {
      head = Math.max(head, seq);
    },

    noteStatus(noted, id) {
      if (status) return;
      status = noted;
      adminId = id;
    },

    addReceipt({ readerType, readerId, deliveredSeq, readSeq }) {
      const key = readerType + readerId;
      const last = receipts.get(key) ?? { deliveredSeq: 0, readSeq: 0 };
      const read = Math.max(readSeq, last.readSeq);
      const delivered = Math.max(deliveredSeq, last.deliveredSeq, read);
      if (read + delivered === last.readSeq + last.deliveredSeq) return undefined;
      const reached = { readerType, readerId, deliveredSeq: delivered, readSeq: read };
      receipts.set(key, reached);
      shown = null;
      return reached;
    },

    has: (entry) =>
      (entry.sessionId ?? sessionId) === sessionId &&
      log.some(
        (m) => m.clientMessageId === entry.clientMessageId && m.senderType === side && m.content === entry.content,
      ),

    reset(from) {
      base = lastSeq = from;
      head = 0;
      status = adminId = rating = shown = null;
      log = [];
      held.clear();
      receipts.clear();
    },
  };
}

/** A message as the log has it. */
export function chatMessage(message: FrameMessage): ChatMessage {
  return { clientMessageId: null, ...message };
}
