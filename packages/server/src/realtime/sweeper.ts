import type { Clock, Store } from '../domain/ports.ts';
import type { SessionState } from '../domain/session.ts';
import type { Sequencer } from './sequencer.ts';

/** How far back a sweep looks, by the store's clock: several sweeps, so that one that fails costs nothing. */
const WINDOW_MS = 15_000;

/**
 * Finds what no hint has told this node: one query for all sessions that changed of late, compared with what was
 * delivered here. So a bus that is away or loses hints costs seconds, never a message.
 */
export class Sweeper {
  readonly #store: Store;
  readonly #sequencer: Sequencer;
  readonly #startedAt: number;

  constructor(store: Store, sequencer: Sequencer, clock: Clock) {
    this.#store = store;
    this.#sequencer = sequencer;
    this.#startedAt = clock.now();
  }

  /** Throws what the store threw; the next sweep covers the same time again. */
  async sweep(): Promise<void> {
    for (const session of await this.#store.changedWithin(WINDOW_MS)) {
      await this.#sequencer.check(routeOf(session), session.lastSeq, this.#startedAt);
    }
  }
}

function routeOf(session: SessionState): Parameters<Sequencer['check']>[0] {
  const { sessionId, userId, adminId, status, nickname, avatar } = session;
  return { sessionId, userId, adminId, status, user: { id: userId, nickname, avatar }, events: [], origin: null };
}
