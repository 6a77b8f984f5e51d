import type { SessionState } from '../domain/session.ts';

/** Sessions remembered: a lane has few that are busy at one time. */
const MOST = 1_000;

/**
 * Sessions as a lane last stored them, so that a message need not wait for them to be read first. Only ever a guess:
 * whoever builds on it has the store compare (`Transaction.laterExactly`).
 */
export class KnownSessions {
  /** Oldest first. Null: others write it too, and guessing would only cost. */
  readonly #states = new Map<string, SessionState | null>();

  readonly #few: number;

  /** @param few batches of more sessions are not guessed */
  constructor(few: number) {
    this.#few = few;
  }

  get(sessionId: string): SessionState | undefined {
    return this.#states.get(sessionId) ?? undefined;
  }

  /** @param sessions all of a batch, as they are stored now */
  learn(sessions: ReadonlyMap<string, SessionState | null>): void {
    // To note each of many would cost more than it could save while there are so many.
    if (sessions.size > this.#few) this.#states.clear();
    else for (const [id, state] of sessions) if (state && this.#states.get(id) !== null) this.#put(id, state);
  }

  /** The guess was wrong: from now on the session is read, until it has not been written for a while. */
  distrust(sessionId: string): void {
    this.#put(sessionId, null);
  }

  /** Nobody knows how they are stored now. */
  clear(): void {
    this.#states.clear();
  }

  #put(sessionId: string, state: SessionState | null): void {
    this.#states.delete(sessionId);
    this.#states.set(sessionId, state);
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= MOST) return;
      this.#states.delete(oldest);
    }
  }
}
