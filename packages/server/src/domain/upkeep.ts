import type { Assignment } from './assignment.ts';
import type { Chat } from './chat.ts';
import type { Clock, Roster } from './ports.ts';
import type { LocalPresence } from './presence.ts';

export interface UpkeepParts {
  readonly roster: Roster;
  readonly presence: LocalPresence;
  readonly assignment: Assignment;
  readonly chat: Chat;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly renewEveryMs: number;
  /** This node's id when it is the only one: leases of others are then left-overs of an earlier run. Null otherwise. */
  readonly aloneAs: string | null;
}

/**
 * What must happen though nobody asks: leases renewed, graces ended, the queue looked at. Deadlines are rows in the
 * store; this only looks at them, often and on every node, so a restart forgets none and two nodes do no harm.
 */
export class Upkeep {
  readonly #parts: UpkeepParts;
  #renewedAt = -Infinity;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** One look. Throws what the store threw; the next look does what this one could not. */
  async tick(): Promise<void> {
    const { roster, presence, assignment, chat, clock, graceMs, renewEveryMs, aloneAs } = this.#parts;
    const now = clock.now();
    if (Math.abs(now - this.#renewedAt) >= renewEveryMs) {
      // First our own leases, then the others': after an outage the living must not be taken for dead.
      await presence.renew();
      this.#renewedAt = now;
    }
    await roster.expire(graceMs, aloneAs);
    for (const adminId of await roster.overdue()) {
      await chat.releaseAll(adminId);
      await roster.settled(adminId);
    }
    await assignment.drain();
  }
}
