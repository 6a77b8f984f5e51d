import type { Attachment, SentMessageType } from '@switchboard/protocol';

/** A message that has been written and is not acknowledged yet, as it is kept. */
export interface Entry {
  readonly clientMessageId: string;
  /** Null: the user's open session, or a new one; the first ack says which. */
  readonly sessionId: string | null;
  readonly content: string;
  readonly messageType?: SentMessageType;
  readonly attachments?: readonly Attachment[];
  /** When it was written; milliseconds UTC. Messages are sent in this order. */
  readonly at: number;
}

export interface Refusal {
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** What is to be sent now, and when to ask again at the latest: Infinity is not before something happens. */
export interface Turn<T = object> {
  readonly send: readonly T[];
  readonly wakeAt: number;
}

export interface Outbox {
  /** Oldest first. */
  readonly entries: readonly Entry[];
  find(clientMessageId: string | undefined): Entry | undefined;
  /** Adds what was just written. Its `at` is moved on where a clock that was set back would change the order. */
  add(entry: Entry): Entry;
  /** Takes over what was written elsewhere. @returns those that are new here */
  adopt(entries: readonly Entry[]): readonly Entry[];
  /** A new connection: what was sent on the last one and not answered is sent again. */
  connected(now: number): void;
  /** The message is stored. @returns the entry, which is no longer here, or undefined if it was not */
  acked(clientMessageId: string, sessionId: string): Entry | undefined;
  /**
   * The server refused a message.
   * @param clientMessageId undefined when it did not say which
   * @returns the entry, no longer here, if there is no use in sending it again
   */
  refused(clientMessageId: string | undefined, refusal: Refusal, now: number): Entry | undefined;
  /** Removes what is too old to be sent any more. */
  expire(now: number): readonly Entry[];
  /** What to send on the open connection; it counts as sent. */
  next(now: number): Turn<Entry>;
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

/**
 * The queue of messages to send. They go out in rounds: the next one begins when the last message of this one is
 * answered, with twice as many; after any trouble with one alone. So the order in which they were written is the order in
 * which they are stored, unless the server refuses a message for a while and takes a later one of the same round.
 * No socket, no timer, no storage: `next` says what to send and when to ask again.
 */
export function createOutbox(random: () => number, expireMs: number = EXPIRE_MS): Outbox {
  let entries: readonly Entry[] = [];
  /** Sent in this round and not answered. */
  const flight = new Set<string>();
  let limit = 1;
  /** When the round is given up, and the oldest message sent again. */
  let repeatAt = 0;
  /** A message of this round was refused for a while. */
  let troubled = false;
  let tries = 0;
  let burst = BURST;
  let perSecond = PER_SECOND;
  let tokens = BURST;
  let tokensAt = 0;

  const find = (id: string | undefined): Entry | undefined => entries.find((entry) => entry.clientMessageId === id);
  const doubled = (ms: number): number => Math.min(MOST_MS, ms * 2 ** tries) * (0.5 + random() / 2);

  function remove(id: string): Entry | undefined {
    const found = find(id);
    entries = entries.filter((entry) => entry !== found);
    if (flight.delete(id) && flight.size === 0 && !troubled) limit = Math.min(WINDOW, limit * 2);
    return found;
  }

  return {
    get entries() {
      return entries;
    },
    find,

    add(entry) {
      const added = { ...entry, at: Math.max(entry.at, (entries.at(-1)?.at ?? 0) + 1) };
      entries = [...entries, added];
      return added;
    },

    adopt(others) {
      const fresh = others.filter((entry) => !find(entry.clientMessageId));
      entries = [...entries, ...fresh].sort((a, b) => a.at - b.at);
      return fresh;
    },

    connected(now) {
      flight.clear();
      limit = 1;
      troubled = false;
      tries = 0;
      tokens = burst;
      tokensAt = now;
    },

    acked(id, sessionId) {
      const found = remove(id);
      if (!found) return undefined;
      tries = 0;
      // Those that wait for a session go where the first of them went: a repeat must not end up in another one.
      if (!found.sessionId) entries = entries.map((entry) => (entry.sessionId ? entry : { ...entry, sessionId }));
      return found;
    },

    refused(clientMessageId, { code, retryable, retryAfterMs }, now) {
      if (!retryable) {
        // An error without a mark, while one message alone is on its way, is that one's.
        const id = clientMessageId ?? (flight.size === 1 ? [...flight][0] : undefined);
        return id === undefined ? undefined : remove(id);
      }
      // Once for each round: all that were on their way are refused together.
      if (code === 'RATE_LIMITED' && !troubled) {
        burst = 1;
        tokens = Math.min(tokens, 1);
        perSecond = Math.max(1, perSecond / 2);
      }
      repeatAt = now + (retryAfterMs === undefined ? doubled(REFUSED_MS) : retryAfterMs * (1 + random() / 4));
      limit = 1;
      tries = Math.min(tries + 1, 10);
      troubled = true;
      return undefined;
    },

    expire(now) {
      const expired = entries.filter(({ at }) => at + expireMs <= now);
      for (const { clientMessageId } of expired) remove(clientMessageId);
      return expired;
    },

    next(now) {
      if (flight.size > 0 || troubled) {
        if (now < repeatAt) return { send: [], wakeAt: repeatAt };
        if (!troubled) tries = Math.min(tries + 1, 10);
        limit = 1;
        troubled = false;
        flight.clear();
      }
      tokens = Math.min(burst, tokens + (Math.max(0, now - tokensAt) * perSecond) / 1000);
      tokensAt = now;
      if (entries.length === 0) return { send: [], wakeAt: Infinity };
      if (tokens < 1) return { send: [], wakeAt: now + Math.ceil(((1 - tokens) * 1000) / perSecond) };
      const round = entries.slice(0, Math.min(limit, Math.floor(tokens)));
      // One that has no session yet goes alone: the others learn from its ack where they belong.
      const homeless = round.findIndex(({ sessionId }) => !sessionId);
      const send = homeless < 0 ? round : round.slice(0, homeless || 1);
      for (const { clientMessageId } of send) flight.add(clientMessageId);
      tokens -= send.length;
      repeatAt = now + (tries === 0 ? REPEAT_MS : doubled(REPEAT_MS));
      return { send, wakeAt: repeatAt };
    },
  };
}
