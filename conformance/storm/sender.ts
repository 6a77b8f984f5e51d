import { Client, eventIn, type Frame } from './client.ts';
import type { History } from './history.ts';

/** Waits so long before what was refused is handed in again. */
const AGAIN_MS = 100;

interface Pending {
  readonly sessionId: string;
  readonly content: string;
  /** When it was handed in on this line and not answered yet; null otherwise. */
  unanswered: number | null;
}

export interface Mouth {
  /** Whose messages these are; also the beginning of their ids, so that no two senders share one. */
  readonly name: string;
  /** One for a user; an admin replies to all of these in turn. */
  readonly sessionIds: readonly string[];
  /** Messages kept in flight. */
  readonly window: number;
}

/**
 * Somebody who keeps so many messages in flight, hands in again what was not acknowledged, and hears what the other
 * side says. Speaks the plain contract.
 */
export class Sender extends Client {
  readonly mouth: Mouth;
  readonly #history: History;
  readonly #pending = new Map<string, Pending>();
  readonly #refused = new Map<string, number>();
  #next = 0;
  #flowing = true;
  #slowest = 0;
  retries = 0;
  acked = 0;
  /** Acks that said `duplicate`: the message had been stored, and its first ack was lost on the way. */
  duplicates = 0;

  constructor(address: () => string, mouth: Mouth, history: History) {
    super(address);
    this.mouth = mouth;
    this.#history = history;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** The messages in flight, by their ids. */
  get unacked(): string[] {
    return [...this.#pending.keys()];
  }

  /** How often each error code was the answer. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** The longest that a message was without any answer, ack or error, while the line stood; milliseconds. */
  get slowestAnswer(): number {
    const now = performance.now();
    const waiting = [...this.#pending.values()].map(({ unanswered }) => (unanswered === null ? 0 : now - unanswered));
    return Math.max(this.#slowest, ...waiting);
  }

  /** No new messages from now on; those in flight are seen through. */
  finish(): void {
    this.#flowing = false;
  }

  protected opened(): void {
    for (const [id, pending] of this.#pending) this.#again(id, pending);
    this.#fill();
  }

  protected override lost(): void {
    for (const pending of this.#pending.values()) pending.unanswered = null;
  }

  protected received(frame: Frame): void {
    const { type, data } = frame;
    const { name } = this.mouth;
    const event = eventIn(frame);
    if (event) this.#history.add({ what: 'seen', observer: name, connection: this.connection, ...event });
    const id = data['clientMessageId'] as string;
    if (type === 'error') this.#wasRefused(id, data);
    if (type !== 'message_ack') return;
    this.#history.add({
      what: 'acked',
      sessionId: data['sessionId'] as string,
      clientMessageId: id,
      messageId: data['messageId'] as string,
      seq: data['seq'] as number,
    });
    if (data['duplicate'] === true) this.duplicates++;
    this.#answered(this.#pending.get(id));
    if (this.#pending.delete(id)) this.acked++;
    this.#fill();
  }

  #wasRefused(id: string, { code, retryable }: Record<string, unknown>): void {
    this.#refused.set(String(code), (this.#refused.get(String(code)) ?? 0) + 1);
    const pending = this.#pending.get(id);
    this.#answered(pending);
    // What can never be accepted stays in flight, and the storm cannot settle.
    if (!pending || retryable !== true) return;
    setTimeout(() => this.open && this.#pending.has(id) && this.#again(id, pending), AGAIN_MS);
  }

  #answered(pending: Pending | undefined): void {
    if (!pending || pending.unanswered === null) return;
    this.#slowest = Math.max(this.#slowest, performance.now() - pending.unanswered);
    pending.unanswered = null;
  }

  #fill(): void {
    const { name, sessionIds, window } = this.mouth;
    while (this.#flowing && this.open && this.#pending.size < window) {
      const sessionId = sessionIds[this.#next % sessionIds.length] as string;
      const clientMessageId = `${name}-${this.#next++}`;
      const content = `${name} says ${clientMessageId} 你好`;
      const pending = { sessionId, content, unanswered: null };
      this.#pending.set(clientMessageId, pending);
      this.#history.add({ what: 'sent', sessionId, clientMessageId, content });
      this.#send(clientMessageId, pending);
    }
  }

  #again(clientMessageId: string, pending: Pending): void {
    this.retries++;
    this.#send(clientMessageId, pending);
  }

  #send(clientMessageId: string, pending: Pending): void {
    const { sessionId, content } = pending;
    pending.unanswered ??= performance.now();
    this.frame({ type: 'send_message', data: { sessionId, content, clientMessageId } });
  }
}
