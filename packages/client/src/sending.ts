import type { Attachment } from '@switchboard/protocol';
import { type Ack, type NewMessage, SwitchboardError } from './api.ts';
import { type Deferred, deferred } from './deferred.ts';
import { bytesOf, type Clock, type KeyValueStorage, type Locks, newId } from './host.ts';
import { type Entry, Outbox, type Refusal } from './outbox.ts';
import { Shelf } from './shelf.ts';

export interface SendingParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly expireMs?: number | undefined;
  readonly tab: string;
  /** Null: unsent messages do not outlive us. */
  readonly storage: { readonly storage: KeyValueStorage; readonly locks: Locks | null } | null;
  /** Begins the keys in the storage; the account follows. */
  readonly prefix: string;
  /** A message waits to be sent. */
  readonly onWaiting: (entry: Entry) => void;
  /** A message will not be sent any more. */
  readonly onFailed: (entry: Entry, error: SwitchboardError) => void;
  readonly onStorageError: (cause: unknown) => void;
}

/** What one frame may weigh; the protocol's limit. */
const FRAME_BYTES = 65_536;
/** How often our place in the storage is confirmed, and messages are looked for that pages left which are gone. */
const TEND_MS = 5_000;

/** Messages on their way out: the outbox, what of it outlives the page, and the promises that wait for acks. */
export class Sending {
  readonly #parts: SendingParts;
  readonly #outbox: Outbox;
  readonly #promised = new Map<string, Deferred<Ack>>();
  #shelf: Shelf | null = null;
  #cancelTending: (() => void) | null = null;
  #online = false;

  constructor(parts: SendingParts) {
    this.#parts = parts;
    this.#outbox = new Outbox(parts.random, parts.expireMs);
  }

  get entries(): readonly Entry[] {
    return [...this.#outbox.entries];
  }

  /** From now on it is known whose messages these are. */
  setAccount(account: string | number): void {
    const { storage, clock, random, tab, prefix, onStorageError } = this.#parts;
    if (this.#shelf || !storage) return;
    this.#shelf = new Shelf({ ...storage, prefix: `${prefix}${account}/`, tab, clock, random, onError: onStorageError });
    this.open();
  }

  /** Takes up the storage, after `close` again. */
  open(): void {
    if (this.#shelf && !this.#cancelTending) this.#tend(this.#shelf);
  }

  /** Leaves what is unsent to whoever comes next. */
  close(): void {
    this.#cancelTending?.();
    this.#cancelTending = null;
    this.leave();
  }

  /** The page may be gone in a moment, or come back. */
  leave(): void {
    this.#shelf?.release(this.#outbox.entries);
  }

  connected(): void {
    this.#online = true;
    this.#outbox.connected(this.#parts.clock.now());
    if (this.#shelf) this.#adopt(this.#shelf);
  }

  disconnected(): void {
    this.#online = false;
  }

  /** Sends a message, now or as soon as there is a connection, and as often as it takes. */
  add(message: NewMessage, sessionId: string | null): Promise<Ack> {
    const { content, messageType, attachments, clientMessageId = newId() } = message;
    const known = this.#promised.get(clientMessageId);
    if (known) return known.promise;
    const ack = deferred<Ack>();
    this.#promised.set(clientMessageId, ack);
    if (this.#outbox.find(clientMessageId)) return ack.promise;
    const entry: Entry = {
      clientMessageId,
      sessionId,
      content,
      ...(messageType && { messageType }),
      ...(attachments?.length && { attachments: attachments.map(plain) }),
      at: this.#parts.clock.now(),
    };
    // A frame that is too large would cost the connection, on every try.
    if (bytesOf(JSON.stringify(frameOf(entry))) > FRAME_BYTES) {
      this.#fail(entry, 'FRAME_TOO_LARGE');
    } else {
      this.#parts.onWaiting(this.#outbox.add(entry));
      this.#keep();
    }
    return ack.promise;
  }

  /** The server has a message. @returns the entry, if it was one of ours that waited for it */
  stored(clientMessageId: string, sessionId: string): Entry | undefined {
    const entry = this.#outbox.acked(clientMessageId, sessionId);
    if (entry) this.#keep();
    return entry;
  }

  /** Tells whoever waits for it. */
  resolve(ack: Ack): void {
    this.#promised.get(ack.clientMessageId)?.resolve(ack);
    this.#promised.delete(ack.clientMessageId);
  }

  /** The server refused a message; undefined when it did not say which. @returns whether that concerned one of ours */
  refused(clientMessageId: string | undefined, refusal: Refusal, message: string): boolean {
    const concerned = clientMessageId !== undefined && this.#outbox.find(clientMessageId) !== undefined;
    const failed = this.#outbox.refused(clientMessageId, refusal, this.#parts.clock.now());
    if (failed) {
      this.#fail(failed, refusal.code, message);
      this.#keep();
    }
    return concerned || failed !== undefined;
  }

  /** Takes a message back. It may have been stored all the same. */
  discard(clientMessageId: string): void {
    this.refused(clientMessageId, { code: 'DISCARDED', retryable: false }, 'taken back');
  }

  /** The frames to send now, and when to ask again. */
  next(now: number): { send: object[]; wakeAt: number } {
    const { send, expired, wakeAt } = this.#outbox.next(now);
    for (const entry of expired) this.#fail(entry, 'EXPIRED', 'could not be sent in time');
    if (expired.length > 0) this.#keep();
    return { send: send.map(frameOf), wakeAt };
  }

  #fail(entry: Entry, code: string, message?: string): void {
    const error = new SwitchboardError(code, message);
    this.#parts.onFailed(entry, error);
    this.#promised.get(entry.clientMessageId)?.reject(error);
    this.#promised.delete(entry.clientMessageId);
  }

  #keep(): void {
    if (this.#shelf && this.#cancelTending && !this.#shelf.save(this.#outbox.entries)) void this.#claim(this.#shelf);
  }

  async #claim(shelf: Shelf): Promise<void> {
    this.#take(await shelf.claim());
    shelf.save(this.#outbox.entries);
  }

  #tend(shelf: Shelf): void {
    this.#cancelTending = this.#parts.clock.after(TEND_MS, () => this.#tend(shelf));
    this.#keep();
    this.#adopt(shelf);
  }

  #adopt(shelf: Shelf): void {
    if (!this.#online) return;
    void shelf.adopt((entries) => {
      this.#take(entries);
      return shelf.save(this.#outbox.entries);
    });
  }

  #take(entries: readonly Entry[]): void {
    for (const entry of this.#outbox.adopt(entries)) this.#parts.onWaiting(entry);
  }
}

function frameOf({ clientMessageId, sessionId, content, messageType, attachments }: Entry): object {
  // What is undefined is not in the JSON.
  return { type: 'send_message', data: { sessionId, content, messageType, attachments, clientMessageId } };
}

/** What the protocol knows of an attachment: one field too many, and the server refuses the message. */
function plain({ url, attachmentId, name, mimeType, size, width, height }: Attachment): Attachment {
  const all = { url, attachmentId, name, mimeType, size, width, height };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
