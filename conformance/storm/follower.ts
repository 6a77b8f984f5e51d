import { Client, eventIn, type Frame } from './client.ts';
import type { History } from './history.ts';

/** A reader says how far it is so often, at most. */
const RECEIPT_MS = 250;
/** What could not be followed is asked for again so much later. */
const AGAIN_MS = 200;

interface LogEvent {
  readonly kind: string;
  readonly seq: number;
  readonly message?: { readonly messageId: string };
}

interface ReceiptPlace {
  readonly readerType: string;
  readonly readerId: number;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

/**
 * A connection that says hello, follows sessions and catches up whenever it comes back: it must be told everything,
 * once. It says how far it has read, and hears how far others have.
 */
export class Follower extends Client {
  readonly name: string;
  readonly sessions: readonly string[];
  readonly heads = new Map<string, number>();
  readonly #history: History;
  readonly #known = new Set<string>();
  readonly #early = new Map<string, Map<number, string | null>>();
  readonly #said = new Map<string, number>();
  /** Who has been heard of, by session and reader. */
  readonly #readers = new Map<string, Map<string, ReceiptPlace>>();
  #turn = 0;
  #receipts: NodeJS.Timeout | undefined;

  constructor(address: () => string, name: string, sessions: readonly string[], history: History) {
    super(address);
    this.name = name;
    this.sessions = sessions;
    this.#history = history;
  }

  override start(): this {
    this.#receipts = setInterval(() => this.#sayReceipts(), RECEIPT_MS);
    return super.start();
  }

  override stop(): void {
    clearInterval(this.#receipts);
    super.stop();
  }

  protected opened(): void {
    this.frame({ type: 'hello', data: {} });
    this.#early.clear();
    this.#known.clear();
    this.#said.clear();
    this.#resume(this.sessions);
  }

  protected received(frame: Frame): void {
    const { type, data } = frame;
    const sessionId = data['sessionId'] as string;
    const event = eventIn(frame);
    if (event) this.#apply(event.sessionId, event.seq, event.messageId);
    if (type === 'session_events') for (const each of data['events'] as LogEvent[]) this.#applyLogged(sessionId, each);
    if (type === 'session_event') this.#applyLogged(sessionId, data['event'] as LogEvent);
    if (type === 'resumed') {
      this.#known.add(sessionId);
      for (const place of this.#allReaders(sessionId, data['receipts'] as ReceiptPlace[])) {
        this.#heard(sessionId, place, 'delivered', place.deliveredSeq, false);
        this.#heard(sessionId, place, 'read', place.readSeq, false);
      }
    }
    if (type === 'receipt_update') {
      const reader = data as unknown as ReceiptPlace;
      this.#heard(sessionId, reader, data['kind'] as 'delivered' | 'read', data['upToSeq'] as number, true);
    }
    // A session that is not there yet, or a store that is away: asked for again.
    if (type === 'error' && sessionId !== undefined) setTimeout(() => this.#resume([sessionId]), AGAIN_MS);
    if (type === 'heartbeat' || type === 'pong') this.#compare(data['heads'] as Record<string, number>);
  }

  #resume(sessions: readonly string[]): void {
    for (const sessionId of sessions) this.#history.add({ what: 'asked', observer: this.name, sessionId });
    const places = sessions.map((sessionId) => ({ sessionId, afterSeq: this.heads.get(sessionId) ?? 0 }));
    this.frame({ type: 'resume', data: { sessions: places } });
  }

  #compare(heads: Record<string, number>): void {
    const behind = Object.entries(heads).filter(([id, head]) => head > (this.heads.get(id) ?? 0));
    if (behind.length > 0) this.#resume(behind.map(([id]) => id));
  }

  #applyLogged(sessionId: string, { seq, message }: LogEvent): void {
    this.#apply(sessionId, seq, message?.messageId ?? null);
  }

  /** In order of seq: repeats are dropped, what comes early waits for what is missing. */
  #apply(sessionId: string, seq: number, messageId: string | null): void {
    if (!this.sessions.includes(sessionId)) return;
    const early = this.#early.get(sessionId) ?? new Map<number, string | null>();
    this.#early.set(sessionId, early);
    let head = this.heads.get(sessionId) ?? 0;
    if (seq <= head) return;
    if (seq > head + 1 && early.size === 0 && this.#known.has(sessionId)) this.#resume([sessionId]);
    early.set(seq, messageId);
    for (let next = early.get(head + 1); early.has(head + 1); next = early.get(head + 1)) {
      head++;
      early.delete(head);
      this.heads.set(sessionId, head);
      const { name: observer, connection } = this;
      this.#history.add({ what: 'seen', observer, connection, sessionId, seq: head, messageId: next ?? null });
    }
  }

  /** Everything that it has been told is delivered, and every other time read. */
  #sayReceipts(): void {
    if (!this.open) return;
    const kind = this.#turn++ % 2 === 0 ? 'delivered' : 'read';
    for (const sessionId of this.#known) {
      const upToSeq = this.heads.get(sessionId) ?? 0;
      const key = `${kind} ${sessionId}`;
      if (upToSeq === 0 || upToSeq === this.#said.get(key)) continue;
      this.#said.set(key, upToSeq);
      this.frame({ type: 'receipt', data: { sessionId, kind, upToSeq } });
    }
  }

  /** A reader who was known and is not named any more has been put back to the beginning. */
  #allReaders(sessionId: string, named: readonly ReceiptPlace[]): ReceiptPlace[] {
    const all = new Map(this.#readers.get(sessionId) ?? []);
    for (const place of named) all.set(`${place.readerType} ${place.readerId}`, place);
    return [...all.values()];
  }

  #heard(
    sessionId: string,
    { readerType, readerId }: Pick<ReceiptPlace, 'readerType' | 'readerId'>,
    kind: 'delivered' | 'read',
    upToSeq: number,
    live: boolean,
  ): void {
    const reader = `${readerType} ${readerId}`;
    const readers = this.#readers.get(sessionId) ?? new Map<string, ReceiptPlace>();
    this.#readers.set(sessionId, readers.set(reader, { readerType, readerId, deliveredSeq: 0, readSeq: 0 }));
    this.#history.add({ what: 'receipt', observer: this.name, sessionId, reader, kind, upToSeq, live });
  }
}
