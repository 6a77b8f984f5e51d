import type { ServerFrame, SessionStatus } from '@switchboard/protocol';
import type { Turn } from './outbox.ts';

/** An open session as the admins' list shows it. */
export interface InboxEntry {
  readonly sessionId: string;
  readonly userId: number;
  readonly status: SessionStatus;
  readonly adminId: number | null;
  /** How far its log has got, as far as this admin is told: others' sessions move on unheard until the next snapshot. */
  readonly lastSeq: number;
}

/** What of the inbox is told event by event. */
export interface InboxOptions {
  /** Which open sessions are followed, so that each of their events is told: one's own (default), or all. */
  readonly follow?: 'mine' | 'all';
}

/** The sessions that are open, kept up by what is told live and by a snapshot after each break. */
export interface Inbox {
  /** All open sessions: those that wait, and those that somebody has. */
  readonly sessions: readonly InboxEntry[];
  /** False until the first snapshot is complete. */
  readonly complete: boolean;
  /** Undefined when it is not open, or not known. */
  get(sessionId: string): InboxEntry | undefined;
  /** Asks the server for the present state. */
  refresh(): void;
}

/** The inbox as those know it who keep it up. */
export interface WritableInbox extends Inbox {
  connected(): void;
  snapshot(data: Extract<ServerFrame, { type: 'inbox_snapshot' }>['data'], requestId: unknown): void;
  /** An event that was told live. */
  note(sessionId: string, seq: number, change: Partial<Pick<InboxEntry, 'status' | 'adminId'>>): void;
  next(now: number): Turn;
}

/** How long a snapshot may take, and how soon after one the next may be asked for. */
const ANSWER_MS = 15_000;
const EVERY_MS = 1_000;

/**
 * @param changed told of each entry that is new or other than before; its status is `closed` when it left
 * @param wake there is something to ask
 */
export function createInbox(changed: (entry: InboxEntry) => void, wake: () => void): WritableInbox {
  const entries = new Map<string, InboxEntry>();
  /** Those of the snapshot that is coming in. */
  const seen = new Set<string>();
  let since: string | undefined;
  let wanted = true;
  let answered = true;
  let askedAt = -Infinity;
  let requests = 0;

  function put(entry: InboxEntry): void {
    if (entry.status === 'closed') entries.delete(entry.sessionId);
    else entries.set(entry.sessionId, entry);
    changed(entry);
  }

  function refresh(): void {
    wanted = true;
    wake();
  }

  return {
    get sessions() {
      return [...entries.values()];
    },
    get complete() {
      return since !== undefined;
    },
    get: (sessionId) => entries.get(sessionId),
    refresh,

    connected() {
      answered = wanted = true;
    },

    snapshot({ sessions, last, serverTime }, requestId) {
      // Of one that came too late the other frames are not here: what they told would seem closed.
      if (requestId !== `inbox${requests}`) return;
      for (const entry of sessions) {
        seen.add(entry.sessionId);
        // What was told live meanwhile may be newer.
        if ((entries.get(entry.sessionId)?.lastSeq ?? -1) <= entry.lastSeq) put(entry);
      }
      if (!last) return;
      since = serverTime;
      answered = true;
      // Every open session is in every snapshot: one that is not has been closed.
      for (const entry of entries.values()) if (!seen.has(entry.sessionId)) put({ ...entry, status: 'closed' });
    },

    note(sessionId, seq, change) {
      const entry = entries.get(sessionId);
      if (!entry) {
        if (change.status !== 'closed') refresh();
      } else if (seq > entry.lastSeq) put({ ...entry, ...change, lastSeq: seq });
    },

    next(now) {
      if (!wanted && answered) return { send: [], wakeAt: Infinity };
      const at = askedAt + (answered ? EVERY_MS : ANSWER_MS);
      if (at > now) return { send: [], wakeAt: at };
      wanted = answered = false;
      askedAt = now;
      seen.clear();
      return { send: [{ type: 'inbox', requestId: `inbox${++requests}`, data: { since } }], wakeAt: now + ANSWER_MS };
    },
  };
}
