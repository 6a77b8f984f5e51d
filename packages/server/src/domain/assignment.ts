import type { Store } from './ports.ts';
import type { Chat } from './chat.ts';

/** An admin who is online, as the assignment sees them under lock. */
export interface Candidate {
  readonly adminId: number;
  /** Their active sessions. */
  readonly active: number;
  /** Since when their share of work has not changed, or since they came online; milliseconds UTC. */
  readonly idleSince: number;
}

/**
 * Who gets a waiting session: its last admin if they are free, else the one with the fewest active sessions, of those
 * the one idle longest, of those the lowest id. Null when nobody is below capacity.
 */
export function pickAdmin(
  candidates: readonly Candidate[],
  capacity: number,
  lastAdminId: number | null,
): Candidate | null {
  const free = candidates.filter((c) => c.active < capacity);
  const last = free.find((c) => c.adminId === lastAdminId);
  if (last) return last;
  let best: Candidate | null = null;
  for (const c of free) {
    if (
      !best ||
      c.active < best.active ||
      (c.active === best.active &&
        (c.idleSince < best.idleSince || (c.idleSince === best.idleSince && c.adminId < best.adminId)))
    ) {
      best = c;
    }
  }
  return best;
}

const BATCH = 100;

/**
 * Empties the queue of waiting sessions, the longest wait first, for as long as somebody is free.
 * Every reason to look (an admin came, one got free) calls `drain`; calls that come while one runs become one more run.
 */
export class Assignment {
  readonly #store: Store;
  readonly #chat: Pick<Chat, 'autoAssign'>;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(store: Store, chat: Pick<Chat, 'autoAssign'>) {
    this.#store = store;
    this.#chat = chat;
  }

  /** Resolves when a run that started after this call has ended. Throws what the store threw. */
  drain(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#again = false;
        await this.#sweep();
      } while (this.#again);
    } finally {
      // In one turn with the last look at `#again`: a call that came between the two would be answered by nobody's run.
      this.#running = null;
    }
  }

  async #sweep(): Promise<void> {
    for (;;) {
      const waiting = await this.#store.waiting(BATCH);
      for (const sessionId of waiting) {
        // The oldest finds nobody: neither would the next one, and it must not jump ahead.
        if (!(await this.#chat.autoAssign(sessionId))) return;
      }
      if (waiting.length < BATCH) return;
    }
  }
}
