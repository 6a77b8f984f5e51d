import { type Ack, type NewMessage, SwitchboardError } from './api.ts';
import { type Deferred, deferred } from './deferred.ts';
import { bytesOf, type Clock, type KeyValueStorage, type Locks, newId } from './host.ts';
import { createOutbox, type Entry, type Refusal, type Turn } from './outbox.ts';
import { createShelf, type Shelf } from './shelf.ts';

export interface SendingParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly expireMs: number | undefined;
  readonly tab: string;
  /** Null: unsent messages do not outlive us. */
  readonly storage: { readonly storage: KeyValueStorage; readonly locks: Locks | null } | null;
  /** Begins the keys in the storage; the account follows. */
  readonly prefix: string;
  /** A message waits to be sent. */
  readonly onWaiting: (entry: Entry) => void;
  /** A message will not be sent any more. */
  readonly onFailed: (entry: Entry, error: SwitchboardError) => void;
  readonly onError: (code: string, cause: unknown) => void;
}

/** Messages on their way out: the outbox, what of it outlives the page, and the promises that wait for acks. */
export interface Sending {
  readonly entries: readonly Entry[];
  /** From now on it is known whose messages these are. */
  setAccount(account: string | number): void;
  /** Takes up the storage, after `close` again. */
  open(): void;
  /** Leaves what is unsent to whoever comes next. */
  close(): void;
  /** The page may be gone in a moment, or come back. */
  leave(): void;
  connected(): void;
  disconnected(): void;
  /** Sends a message, now or as soon as there is a connection, and as often as it takes. */
  add(message: NewMessage, sessionId: string | null): Promise<Ack>;
  /** The server has a message, with this content if that is told. @returns the entry, if it was one of ours that waited for that */
  stored(clientMessageId: string, sessionId: string, content?: string): Entry | undefined;
  /** Tells whoever waits for it. @returns whether somebody does: it was written in this page */
  resolve(ack: Ack): boolean;
  /** The server refused a message; undefined when it did not say which. @returns whether it was one of ours */
  refused(clientMessageId: string | undefined, refusal: Refusal, message?: string): boolean;
  /** The frames to send on the open connection. */
  next(now: number): Turn;
}

/** What one frame may weigh; the protocol's limit. */
const FRAME_BYTES = 65_536;
/** How often our place in the storage is confirmed, and messages are looked for that pages left which are gone. */
const TEND_MS = 5_000;

export function createSending(parts: SendingParts): Sending {
  const { clock, random } = parts;
  const outbox = createOutbox(random, parts.expireMs);
  const promised = new Map<string, Deferred<Ack>>();
  let shelf: Shelf | null = null;
  let cancelTending: (() => void) | null = null;
  let online = false;

  const save = (): boolean => !!shelf?.save(outbox.entries);

  function keep(): void {
    if (shelf && cancelTending && !save()) void shelf.claim().then(take).then(save);
  }

  function take(entries: readonly Entry[]): void {
    for (const entry of outbox.adopt(entries)) parts.onWaiting(entry);
  }

  function adopt(): void {
    if (!online) return;
    void shelf?.adopt((entries) => {
      take(entries);
      return save();
    });
  }

  function open(): void {
    if (shelf && !cancelTending) tend();
  }

  function tend(): void {
    cancelTending = clock.after(TEND_MS, tend);
    keep();
    adopt();
  }

  function fail(entry: Entry, code: string, message?: string): void {
    const error = new SwitchboardError(code, message);
    parts.onFailed(entry, error);
    promised.get(entry.clientMessageId)?.reject(error);
    promised.delete(entry.clientMessageId);
  }

  return {
    get entries() {
      return outbox.entries;
    },

    setAccount(account) {
      if (shelf || !parts.storage) return;
      const prefix = `${parts.prefix}${account}/`;
      const onError = (cause: unknown): void => parts.onError('STORAGE', cause);
      shelf = createShelf({ ...parts.storage, prefix, tab: parts.tab, clock, random, onError });
      open();
    },
    open,

    close() {
      cancelTending?.();
      cancelTending = null;
      this.leave();
    },

    leave() {
      shelf?.release(outbox.entries);
    },

    connected() {
      online = true;
      outbox.connected(clock.now());
      adopt();
    },

    disconnected() {
      online = false;
    },

    add({ content, messageType, attachments, clientMessageId = newId() }, sessionId) {
      const again = promised.get(clientMessageId);
      if (again) return again.promise;
      const ack = deferred<Ack>();
      promised.set(clientMessageId, ack);
      if (outbox.find(clientMessageId)) return ack.promise;
      // A copy, as it will be read back: what the caller does to it later must not change what is sent again.
      const text = JSON.stringify({ clientMessageId, sessionId, content, messageType, attachments, at: clock.now() });
      const written = JSON.parse(text) as Entry;
      // A frame that is too large would cost the connection, on every try.
      const tooLarge = bytesOf(JSON.stringify(frameOf(written))) > FRAME_BYTES;
      const entry = tooLarge ? written : outbox.add(written);
      keep();
      parts.onWaiting(entry);
      if (tooLarge) fail(entry, 'FRAME_TOO_LARGE');
      return ack.promise;
    },

    stored(clientMessageId, sessionId, content) {
      const entry = outbox.acked(clientMessageId, sessionId, content);
      if (entry) keep();
      return entry;
    },

    resolve(ack) {
      promised.get(ack.clientMessageId)?.resolve(ack);
      return promised.delete(ack.clientMessageId);
    },

    refused(clientMessageId, refusal, message) {
      const concerned = outbox.find(clientMessageId);
      const failed = outbox.refused(clientMessageId, refusal, clock.now());
      if (failed) {
        keep();
        fail(failed, refusal.code, message);
      }
      return !!(concerned || failed);
    },

    next(now) {
      const expired = outbox.expire(now);
      if (expired.length > 0) keep();
      for (const entry of expired) fail(entry, 'EXPIRED');
      const { send, wakeAt } = outbox.next(now);
      return { send: send.map(frameOf), wakeAt };
    },
  };
}

function frameOf({ clientMessageId, sessionId, content, messageType, attachments }: Entry): object {
  return { type: 'send_message', data: { clientMessageId, sessionId, content, messageType, attachments } };
}
