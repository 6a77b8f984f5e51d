import type { SessionState } from '../domain/session.ts';

/** Sessions remembered: a lane has few that are busy at one time. */
const MOST = 1_000;
/** How often a session that others write too has to be found as it was left before it is guessed again. */
const DOUBT = 8;

interface Known {
  readonly state: SessionState;
  /** Not guessed while above 0. */
  readonly doubt: number;
}

/**
 * Sessions as a lane last stored them, so that a message need not wait for them to be read first. Only ever a guess:
 * whoever builds on it has the store compare (`Transaction.laterExactly`).
 */
export class KnownSessions {
  /** Oldest first. */
  readonly #known = new Map<string, Known>();
  readonly #few: number;

  /** @param few batches of more sessions are not guessed */
  constructor(few: number) {
    this.#few = few;
  }

  get(sessionId: string): SessionState | undefined {
    const known = this.#known.get(sessionId);
    return known?.doubt === 0 ? known.state : undefined;
  }

  /**
   * @param stored all of a batch, as they are stored now
   * @param found as the batch found them, or rightly guessed them to be
   */
  learn(stored: ReadonlyMap<string, SessionState | null>, found: ReadonlyMap<string, SessionState>): void {
    // To note each of many would cost more than it could save while there are so many.
    if (stored.size > this.#few) this.#known.clear();
    else for (const [id, state] of stored) if (state) this.#put(id, { state, doubt: this.#doubt(id, found.get(id)) });
  }

  /** One of them is not as it was remembered: they are read before they are guessed again. */
  suspect(sessionIds: Iterable<string>): void {
    for (const id of sessionIds) {
      const known = this.#known.get(id);
      if (known) this.#known.set(id, { ...known, doubt: Math.max(1, known.doubt) });
    }
  }

  /** Nobody knows how they are stored now. */
  clear(): void {
    this.#known.clear();
  }

  #doubt(sessionId: string, found: SessionState | undefined): number {
    const known = this.#known.get(sessionId);
    if (!known || !found) return 0;
    return known.state.lastSeq === found.lastSeq ? Math.max(0, known.doubt - 1) : DOUBT;
  }

  #put(sessionId: string, known: Known): void {
    this.#known.delete(sessionId);
    this.#known.set(sessionId, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST) return;
      this.#known.delete(oldest);
    }
  }
}
