import type { Attachment, FrameMessage, LogEvent, MessageType, SenderType, SessionStatus } from '@switchboard/protocol';

/** A message as a conversation shows it: one of the log, or one of our own that is not there yet. */
export interface ChatMessage {
  /** Null until the server has it, as is `seq`. */
  readonly messageId: string | null;
  readonly seq: number | null;
  /** The sender's own mark; null where there was none. */
  readonly clientMessageId: string | null;
  readonly senderType: SenderType;
  /** Null until the server has told who we are. */
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

export interface Receipt {
  readonly readerType: SenderType;
  readonly readerId: number;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

export interface Rating {
  readonly score: number;
  readonly comment: string;
}

/** A message of our own that the server has not acknowledged. */
export interface OwnMessage {
  readonly clientMessageId: string;
  readonly content: string;
  readonly messageType?: MessageType | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
  /** When it was written; milliseconds UTC. */
  readonly at: number;
}

const rank = { sending: 0, failed: 0, sent: 1, delivered: 2, read: 3 };

/**
 * What a client knows of one session: the events of its log, applied in the order of their seq, each once. An event that
 * is ahead of its turn is held, and the view is `behind` until what lies between has come. No socket, no timer.
 */
export class SessionView {
  /** Null: a conversation that has not reached the server yet. */
  readonly sessionId: string | null;
  readonly #side: SenderType;
  #base: number;
  #lastSeq: number;
  #head = 0;
  #status: SessionStatus | null = null;
  #adminId: number | null = null;
  #rating: Rating | null = null;
  #log: ChatMessage[] = [];
  #shown: readonly ChatMessage[] | null = null;
  readonly #own = new Map<string, ChatMessage>();
  readonly #held = new Map<number, ViewEvent>();
  readonly #receipts = new Map<string, Receipt>();
  /** How far the messages of each side have got with the other. */
  readonly #reach = { user: { delivered: 0, read: 0 }, admin: { delivered: 0, read: 0 } };

  /**
   * @param side whose messages are our own
   * @param base the place to begin after: what lies up to it is not of interest
   */
  constructor(sessionId: string | null, side: SenderType, base = 0) {
    this.sessionId = sessionId;
    this.#side = side;
    this.#base = base;
    this.#lastSeq = base;
  }

  /** The place that the view begins after. */
  get base(): number {
    return this.#base;
  }

  /** The newest event that has been applied: everything from `base` up to here has. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Null while nothing has told it. */
  get status(): SessionStatus | null {
    return this.#status;
  }

  get adminId(): number | null {
    return this.#adminId;
  }

  get rating(): Rating | null {
    return this.#rating;
  }

  /** How far each reader has got. */
  get receipts(): readonly Receipt[] {
    return [...this.#receipts.values()];
  }

  /** The messages of the log in its order, and behind them our own that are not there yet. A new list when it changed. */
  get messages(): readonly ChatMessage[] {
    this.#shown ??= [...this.#log, ...this.#own.values()].map((message) => this.#withReach(message));
    return this.#shown;
  }

  /** True when there is more than has been applied: something came out of turn, or the log's head lies further on. */
  get behind(): boolean {
    return this.#held.size > 0 || this.#head > this.#lastSeq;
  }

  /** Takes one event. @returns what it let be applied, in order: nothing, itself, or itself and what waited for it */
  add(event: ViewEvent): ViewEvent[] {
    if (event.seq <= this.#lastSeq) return [];
    this.#held.set(event.seq, event);
    const applied: ViewEvent[] = [];
    for (let next = this.#held.get(this.#lastSeq + 1); next; next = this.#held.get(this.#lastSeq + 1)) {
      this.#held.delete(next.seq);
      this.#lastSeq = next.seq;
      this.#apply(next);
      applied.push(next);
    }
    return applied;
  }

  /** The log reaches up to here, whatever has come of it. */
  noteHead(seq: number): void {
    this.#head = Math.max(this.#head, seq);
  }

  /** How the session stands, for a view that begins behind the events which made it so. */
  noteStatus(status: SessionStatus, adminId: number | null): void {
    if (this.#status !== null) return;
    this.#status = status;
    this.#adminId = adminId;
  }

  /** @returns whether it says anything new; receipts never go back */
  addReceipt({ readerType, readerId, deliveredSeq, readSeq }: Receipt): boolean {
    const key = `${readerType}${readerId}`;
    const last = this.#receipts.get(key);
    const read = Math.max(readSeq, last?.readSeq ?? 0);
    const delivered = Math.max(deliveredSeq, last?.deliveredSeq ?? 0, read);
    if (last && read === last.readSeq && delivered === last.deliveredSeq) return false;
    this.#receipts.set(key, { readerType, readerId, deliveredSeq: delivered, readSeq: read });
    const reach = this.#reach[readerType === 'user' ? 'admin' : 'user'];
    reach.delivered = Math.max(reach.delivered, delivered);
    reach.read = Math.max(reach.read, read);
    this.#shown = null;
    return true;
  }

  /** Shows a message of our own at once. */
  addOwn(message: OwnMessage): void {
    const { clientMessageId, content, messageType = 'text', attachments = [], at } = message;
    this.#putOwn({
      messageId: null,
      seq: null,
      clientMessageId,
      senderType: this.#side,
      senderId: null,
      content,
      messageType,
      attachments,
      createdAt: new Date(at).toISOString(),
      status: 'sending',
    });
  }

  failOwn(clientMessageId: string, error: string): void {
    const own = this.#own.get(clientMessageId);
    if (own) this.#putOwn({ ...own, status: 'failed', error });
  }

  /** Takes over what is our own in another view. */
  takeOwn(other: SessionView): void {
    for (const message of other.#own.values()) this.#putOwn(message);
    other.#own.clear();
    other.#shown = null;
  }

  /** Takes a message of our own away. @returns false when there is none */
  dropOwn(clientMessageId: string): boolean {
    this.#shown = null;
    return this.#own.delete(clientMessageId);
  }

  /** Forgets the log, to read it again from another place. Our own messages stay. */
  reset(base = 0): void {
    this.#base = base;
    this.#lastSeq = base;
    this.#head = 0;
    this.#status = null;
    this.#adminId = null;
    this.#rating = null;
    this.#log = [];
    this.#held.clear();
    this.#receipts.clear();
    for (const reach of Object.values(this.#reach)) reach.delivered = reach.read = 0;
    this.#shown = null;
  }

  #apply(event: ViewEvent): void {
    this.#shown = null;
    switch (event.kind) {
      case 'message':
        this.#log.push(shown(event.message));
        if (event.message.senderType === this.#side) this.#own.delete(event.message.clientMessageId ?? '');
        // A session is opened by its first message, and waits until an event says otherwise.
        if (event.seq === 1) this.#status = 'waiting';
        break;
      case 'status':
        this.#status = event.status;
        this.#adminId = event.adminId;
        break;
      case 'rating':
        this.#rating = { score: event.score, comment: event.comment };
        break;
    }
  }

  #putOwn(message: ChatMessage): void {
    this.#own.set(message.clientMessageId as string, message);
    this.#shown = null;
  }

  #withReach(message: ChatMessage): ChatMessage {
    if (message.seq === null) return message;
    const reach = this.#reach[message.senderType];
    const status = message.seq <= reach.read ? 'read' : message.seq <= reach.delivered ? 'delivered' : 'sent';
    return rank[status] > rank[message.status] ? { ...message, status } : message;
  }
}

/** A message as the log has it. */
export function shown(message: FrameMessage): ChatMessage {
  const { messageId, seq, senderType, senderId, content, messageType, attachments, createdAt, status } = message;
  const clientMessageId = message.clientMessageId ?? null;
  return { messageId, seq, clientMessageId, senderType, senderId, content, messageType, attachments, createdAt, status };
}
