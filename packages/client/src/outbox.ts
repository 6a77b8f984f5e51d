import type { Attachment, SentMessageType } from '@switchboard/protocol';

/** A message that has been written and is not acknowledged yet, as it is kept. */
export interface Entry {
  readonly clientMessageId: string;
  /** Null: the user's open session, or a new one; the ack says which. */
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
  /**
   * The message is stored.
   * @param content undefined when it is not told: another message under the same mark is none of ours
   * @returns the entry, which is no longer here, or undefined if it was not
   */
  acked(clientMessageId: string, sessionId: string, content?: string): Entry | undefined;
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
const REFUSED_MS = 1_000;
export const MOST_MS = 30_000;
/** Below what a server with the usual limits takes. */
export const BURST = 100;
export const PER_SECOND = 40;
export const EXPIRE_MS = 86_400_000;

/** A session's oldest message, on its way. */
interface Lane {
  readonly id: string;
  tries: number;
  /** When it is sent again. */
  repeatAt: number;
}

/**
 * The queue of messages to send. Of each session one is on its way at a time, as the server may refuse one for a while
 * and take the next: so the order in which they were written is the order in which they are stored, whatever happens.
 * Sessions do not wait for each other. No socket, no timer, no storage: `next` says what to send and when to ask again.
 */
export function createOutbox(random: () => number, expireMs: number = EXPIRE_MS): Outbox {
  let entries: readonly Entry[] = [];
  const lanes = new Map<string, Lane>();
  /** Nothing is sent before. */
  let pausedUntil = 0;
  let perSecond = PER_SECOND;
  let tokens = BURST;
  let tokensAt = 0;

  const find = (id: string | undefined): Entry | undefined => entries.find((entry) => entry.clientMessageId === id);
  const doubled = (ms: number, tries: number): number => Math.min(MOST_MS, ms * 2 ** tries) * (0.5 + random() / 2);

  function remove(id: string | undefined): Entry | undefined {
    const found = find(id);
    entries = entries.filter((entry) => entry !== found);
    for (const [key, lane] of lanes) if (lane.id === id) lanes.delete(key);
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
      lanes.clear();
      pausedUntil = 0;
      tokens = BURST;
      tokensAt = now;
    },

    acked(id, sessionId, content) {
      // A mark is a session's own. A message that named none names none until it is stored: it may be already, sent by
      // another page, and a repeat is found wherever that is only if it names none either.
      const same = entries.some(
        (entry) =>
          (entry.sessionId ?? sessionId) === sessionId &&
          entry.clientMessageId === id &&
          (content ?? entry.content) === entry.content,
      );
      return same ? remove(id) : undefined;
    },

    refused(clientMessageId, { code, retryable, retryAfterMs }, now) {
      const sent = [...lanes.values()];
      // An error without a mark, while one message alone is on its way, is that one's.
      if (!retryable) return remove(clientMessageId ?? (sent.length === 1 ? sent[0]?.id : undefined));
      for (const lane of sent) {
        // One that came too fast is not even looked at: it may be any.
        if (lane.id !== (clientMessageId ?? lane.id)) continue;
        lane.repeatAt =
          now + (retryAfterMs === undefined ? doubled(REFUSED_MS, lane.tries) : retryAfterMs * (1 + random() / 4));
      }
      if (code === 'RATE_LIMITED') {
        if (now >= pausedUntil) perSecond = Math.max(1, perSecond / 2);
        pausedUntil = now + (retryAfterMs ?? REFUSED_MS);
        tokens = Math.min(tokens, 1);
      }
      return undefined;
    },

    expire(now) {
      const expired = entries.filter(({ at }) => at + expireMs <= now);
      for (const { clientMessageId } of expired) remove(clientMessageId);
      return expired;
    },

    next(now) {
      const send: Entry[] = [];
      const looked = new Set<string>();
      let wakeAt = Infinity;
      tokens = Math.min(BURST, tokens + (Math.max(0, now - tokensAt) * perSecond) / 1000);
      tokensAt = now;
      for (const entry of entries) {
        const { clientMessageId: id, sessionId } = entry;
        // One that has no session yet goes alone: nobody knows whose turn it takes.
        if (looked.has('') || looked.size >= WINDOW || (!sessionId && looked.size > 0)) break;
        if (looked.has(sessionId ?? '')) continue;
        looked.add(sessionId ?? '');
        const last = lanes.get(sessionId ?? '');
        const tries = last?.id === id ? last.tries + 1 : 0;
        const at = Math.max(pausedUntil, tries > 0 ? (last as Lane).repeatAt : 0);
        if (at > now) wakeAt = Math.min(wakeAt, at);
        else if (tokens < 1) wakeAt = Math.min(wakeAt, now + Math.ceil(((1 - tokens) * 1000) / perSecond));
        else {
          tokens -= 1;
          const repeatAt = now + (tries === 0 ? REPEAT_MS : doubled(REPEAT_MS, tries));
          lanes.set(sessionId ?? '', { id, tries, repeatAt });
          send.push(entry);
          wakeAt = Math.min(wakeAt, repeatAt);
        }
      }
      return { send, wakeAt };
    },
  };
}
