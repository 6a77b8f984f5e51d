import type { Attachment, SentMessageType } from '@switchboard/protocol';

/** A message that has been written and is not acknowledged yet, as it is kept. */
export interface Entry {
  readonly clientMessageId: string;
  /** Null: the user's open session, or a new one; settled by the first ack. */
  readonly sessionId: string | null;
  readonly content: string;
  readonly messageType?: SentMessageType;
  readonly attachments?: readonly Attachment[];
  /** When it was written; milliseconds UTC. Entries are sent in this order. */
  readonly at: number;
}

export interface Refusal {
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** What is to be done now. */
export interface Turn {
  readonly send: readonly Entry[];
  /** Too old to be sent any more; no longer in the outbox. */
  readonly expired: readonly Entry[];
  /** When to ask again at the latest; Infinity for not before something happens. */
  readonly wakeAt: number;
}

/** Messages on their way at the same time, at most. */
export const WINDOW = 32;
/** The first repeat, when there is no answer. It doubles up to the most. */
export const REPEAT_MS = 5_000;
/** The first repeat after a refusal that says nothing of when. */
export const REFUSED_MS = 1_000;
export const MOST_MS = 30_000;
/** Below what a server with the usual limits takes. */
export const BURST = 100;
export const PER_SECOND = 30;
export const EXPIRE_MS = 86_400_000;

const nothing: readonly Entry[] = [];

/**
 * The queue of messages to send. They go out in rounds: the next one begins when the last message of this one is
 * answered, with twice as many; after any trouble with one alone. So an order that was written is the order that is
 * stored, unless the server refuses one message of a round for a while and takes a later one of the same round.
 * No socket, no timer, no storage: `next` says what to send and when to ask again.
 */
export class Outbox {
  readonly #random: () => number;
  readonly #expireMs: number;
  #entries: Entry[] = [];
  /** Sent in this round and not answered. */
  readonly #flight = new Set<string>();
  #limit = 1;
  /** When the round is given up, and the oldest message sent again. */
  #repeatAt = 0;
  /** A message of this round was refused for a while. */
  #troubled = false;
  #tries = 0;
  #burst = BURST;
  #perSecond = PER_SECOND;
  #tokens = BURST;
  #tokensAt = 0;

  constructor(random: () => number, expireMs: number = EXPIRE_MS) {
    this.#random = random;
    this.#expireMs = expireMs;
  }

  /** Oldest first. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Adds what was just written. Its `at` is moved on where a clock that was set back would change the order. */
  add(entry: Entry): Entry {
    const last = this.#entries.at(-1);
    const added = last && last.at >= entry.at ? { ...entry, at: last.at + 1 } : entry;
    this.#entries.push(added);
    return added;
  }

  /** Takes over what was written elsewhere. @returns those that are new here */
  adopt(entries: readonly Entry[]): Entry[] {
    const fresh = entries.filter(({ clientMessageId }) => !this.find(clientMessageId));
    if (fresh.length > 0) this.#entries = [...this.#entries, ...fresh].sort((a, b) => a.at - b.at);
    return fresh;
  }

  find(clientMessageId: string): Entry | undefined {
    return this.#entries.find((entry) => entry.clientMessageId === clientMessageId);
  }

  /** A new connection: whatever was sent on the last one is sent again unless it was answered. */
  connected(now: number): void {
    this.#flight.clear();
    this.#limit = 1;
    this.#troubled = false;
    this.#tries = 0;
    this.#tokens = this.#burst;
    this.#tokensAt = now;
  }

  /** The message is stored. @returns the entry, which is no longer here, or undefined if it was not */
  acked(clientMessageId: string, sessionId: string): Entry | undefined {
    const entry = this.#remove(clientMessageId);
    if (!entry) return undefined;
    this.#tries = 0;
    // Those that waited for a session go where the first of them went: wherever a repeat could end up otherwise.
    if (entry.sessionId === null) {
      this.#entries = this.#entries.map((other) => (other.sessionId === null ? { ...other, sessionId } : other));
    }
    return entry;
  }

  /**
   * The server refused a message.
   * @param clientMessageId undefined when it did not say which
   * @returns the entry, no longer here, if there is no use in sending it again
   */
  refused(clientMessageId: string | undefined, refusal: Refusal, now: number): Entry | undefined {
    // An error without a mark, while one message alone is on its way, is that one's.
    const id = clientMessageId ?? (this.#flight.size === 1 && !refusal.retryable ? [...this.#flight][0] : undefined);
    if (!refusal.retryable) return id === undefined ? undefined : this.#remove(id);
    if (refusal.code === 'RATE_LIMITED') {
      this.#burst = 1;
      this.#tokens = Math.min(this.#tokens, 1);
      this.#perSecond = Math.max(1, this.#perSecond / 2);
    }
    const { retryAfterMs } = refusal;
    const wait =
      retryAfterMs === undefined
        ? this.#doubled(REFUSED_MS) * (0.5 + this.#random() / 2)
        : retryAfterMs * (1 + this.#random() / 4);
    this.#limit = 1;
    this.#tries += 1;
    this.#troubled = true;
    this.#repeatAt = now + wait;
    return undefined;
  }

  /** What to send now; it counts as sent. Not to be asked without a connection. */
  next(now: number): Turn {
    const expired = this.#expire(now);
    if (this.#flight.size > 0 || this.#troubled) {
      if (now < this.#repeatAt) return { send: nothing, expired, wakeAt: this.#repeatAt };
      if (!this.#troubled) this.#tries += 1;
      this.#limit = 1;
      this.#troubled = false;
      this.#flight.clear();
    }
    return this.#begin(now, expired);
  }

  #begin(now: number, expired: readonly Entry[]): Turn {
    this.#tokens = Math.min(this.#burst, this.#tokens + (Math.max(0, now - this.#tokensAt) * this.#perSecond) / 1000);
    this.#tokensAt = now;
    const first = this.#entries[0];
    if (!first) return { send: nothing, expired, wakeAt: Infinity };
    if (this.#tokens < 1) {
      return { send: nothing, expired, wakeAt: now + Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond) };
    }
    let count = Math.min(this.#limit, Math.floor(this.#tokens), this.#entries.length);
    // Alone: the others learn from its ack which session they belong to.
    const homeless = this.#entries.findIndex(({ sessionId }) => sessionId === null);
    if (homeless !== -1) count = Math.min(count, Math.max(1, homeless));
    const send = this.#entries.slice(0, count);
    for (const { clientMessageId } of send) this.#flight.add(clientMessageId);
    this.#tokens -= count;
    const wait = this.#tries === 0 ? REPEAT_MS : this.#doubled(REPEAT_MS) * (0.5 + this.#random() / 2);
    this.#repeatAt = now + wait;
    return { send, expired, wakeAt: this.#repeatAt };
  }

  #expire(now: number): readonly Entry[] {
    const fresh = this.#entries.findIndex(({ at }) => at + this.#expireMs > now);
    const expired = fresh === 0 ? nothing : this.#entries.slice(0, fresh === -1 ? undefined : fresh);
    for (const { clientMessageId } of expired) this.#remove(clientMessageId);
    return expired;
  }

  #remove(clientMessageId: string): Entry | undefined {
    const at = this.#entries.findIndex((entry) => entry.clientMessageId === clientMessageId);
    const [entry] = at === -1 ? [] : this.#entries.splice(at, 1);
    const answered = this.#flight.delete(clientMessageId);
    if (answered && this.#flight.size === 0 && !this.#troubled) this.#limit = Math.min(WINDOW, this.#limit * 2);
    return entry;
  }

  #doubled(ms: number): number {
    return Math.min(MOST_MS, ms * 2 ** Math.min(this.#tries, 10));
  }
}
