import type { ServerFrame, SessionStatus } from '@switchboard/protocol';

/** An open session as the admins' list shows it. */
export interface InboxEntry {
  readonly sessionId: string;
  readonly userId: number;
  readonly status: SessionStatus;
  readonly adminId: number | null;
  /** How far its log has got, as far as this admin is told: sessions of others move on unheard until the next snapshot. */
  readonly lastSeq: number;
}

export interface InboxOptions {
  /** Which open sessions are followed, so that each of their events is told: one's own (default), all, or none. */
  readonly follow?: 'mine' | 'all' | 'none';
}

type Snapshot = Extract<ServerFrame, { type: 'inbox_snapshot' }>['data'];

/** How long a snapshot may take to begin, and how soon after one the next may be asked for. */
const ANSWER_MS = 15_000;
const EVERY_MS = 1_000;

/** The sessions that are open, kept up by what is told live and by a snapshot after each break. */
export class Inbox {
  readonly #changed: (entry: InboxEntry) => void;
  readonly #wake: () => void;
  readonly #entries = new Map<string, InboxEntry>();
  /** Session ids of the snapshot that is coming in. */
  readonly #seen = new Set<string>();
  #since: string | null = null;
  #wanted = true;
  #askedAt = -Infinity;
  #answered = true;

  /** @internal */
  constructor(changed: (entry: InboxEntry) => void, wake: () => void) {
    this.#changed = changed;
    this.#wake = wake;
  }

  /** All open sessions: those that wait, and those that somebody has. */
  get sessions(): readonly InboxEntry[] {
    return [...this.#entries.values()];
  }

  /** Undefined when it is not open, or not known. */
  get(sessionId: string): InboxEntry | undefined {
    return this.#entries.get(sessionId);
  }

  /** False until the first snapshot is complete. */
  get complete(): boolean {
    return this.#since !== null;
  }

  /** Asks the server for the present state. */
  refresh(): void {
    this.#wanted = true;
    this.#wake();
  }

  /** @internal a new connection */
  connected(): void {
    this.#answered = true;
    this.#wanted = true;
  }

  /** @internal the frame to send now, and when to ask again */
  next(now: number): { send: object[]; wakeAt: number } {
    if (!this.#wanted && this.#answered) return { send: [], wakeAt: Infinity };
    const at = this.#askedAt + (this.#answered ? EVERY_MS : ANSWER_MS);
    if (at > now) return { send: [], wakeAt: at };
    this.#wanted = false;
    this.#answered = false;
    this.#askedAt = now;
    this.#seen.clear();
    const data = this.#since === null ? {} : { since: this.#since };
    return { send: [{ type: 'inbox', requestId: 'inbox', data }], wakeAt: now + ANSWER_MS };
  }

  /** @internal */
  snapshot({ sessions, last, serverTime }: Snapshot): void {
    for (const { sessionId, userId, status, adminId, lastSeq } of sessions) {
      this.#seen.add(sessionId);
      // What was told live meanwhile may be newer.
      if ((this.#entries.get(sessionId)?.lastSeq ?? -1) > lastSeq) continue;
      this.#put({ sessionId, userId, status, adminId, lastSeq });
    }
    if (!last) return;
    this.#since = serverTime;
    this.#answered = true;
    // Every open session is in every snapshot: one that is not has been closed.
    for (const entry of this.#entries.values()) {
      if (!this.#seen.has(entry.sessionId)) this.#put({ ...entry, status: 'closed' });
    }
  }

  /** @internal an event that was told live */
  note(sessionId: string, seq: number, change: Partial<Pick<InboxEntry, 'status' | 'adminId'>>): void {
    const entry = this.#entries.get(sessionId);
    if (entry) {
      if (seq > entry.lastSeq) this.#put({ ...entry, ...change, lastSeq: seq });
    } else if (change.status !== 'closed') this.refresh();
  }

  #put(entry: InboxEntry): void {
    if (entry.status === 'closed') this.#entries.delete(entry.sessionId);
    else this.#entries.set(entry.sessionId, entry);
    this.#changed(entry);
  }
}
