import type { Message, SessionStatus } from '@switchboard/protocol';
import type { Bus, Hint } from '../domain/ports.ts';
import type { Cause, SessionEvent } from '../domain/session.ts';
import { iso, messageView } from '../domain/views.ts';
import type { Log } from '../log.ts';

/** The session that something happened in, as it stands after it. */
export interface SessionFacts {
  readonly sessionId: string;
  readonly userId: number;
  readonly adminId: number | null;
  readonly status: SessionStatus;
}

/** Who did it; `system` with id 0 is Switchboard itself. */
export type Who = Cause;

/** What a program that embeds Switchboard can listen to. */
export interface SwitchboardEvents {
  /** A message was stored. */
  message: { readonly session: SessionFacts; readonly message: Message };
  /** A session went to an admin: by itself, by a claim or reply, or by another admin. */
  assigned: {
    readonly session: SessionFacts;
    readonly adminId: number;
    readonly reason: 'assigned' | 'claimed' | 'transferred' | 'reopened';
    readonly by: Who;
    readonly seq: number;
    readonly at: string;
  };
  /** A session was closed. */
  closed: { readonly session: SessionFacts; readonly by: Who; readonly seq: number; readonly at: string };
  /** A user rated a session, 1 to 5. */
  rated: {
    readonly session: SessionFacts;
    readonly score: number;
    readonly comment: string;
    readonly by: Who;
    readonly seq: number;
    readonly at: string;
  };
}

export type Listener<E extends keyof SwitchboardEvents> = (event: SwitchboardEvents[E]) => void | Promise<void>;

/**
 * Tells the host's listeners what this node has committed, each event once, in commit order for one session. Listeners
 * run after the answers are on their way; one that fails is logged and hinders nobody.
 */
export class HostEvents {
  readonly #log: Log;
  readonly #listeners = new Map<keyof SwitchboardEvents, Set<Listener<never>>>();
  #waiting: Hint[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** @returns ends the subscription */
  on<E extends keyof SwitchboardEvents>(name: E, listener: Listener<E>): () => void {
    const known = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, known);
    // One subscription each, even of the same function.
    const own: Listener<E> = (event) => listener(event);
    known.add(own);
    return () => {
      known.delete(own);
    };
  }

  tell(hint: Hint): void {
    if (hint.events.length === 0 || this.#listeners.size === 0) return;
    if (this.#waiting.push(hint) === 1) setImmediate(() => this.flush());
  }

  /** Tells what waits, now. */
  flush(): void {
    const hints = this.#waiting;
    this.#waiting = [];
    for (const hint of hints) for (const event of hint.events) this.#tellOne(hint, event);
  }

  #tellOne({ sessionId, userId, adminId, status }: Hint, event: SessionEvent): void {
    const session = { sessionId, userId, adminId, status };
    switch (event.kind) {
      case 'message':
        this.#emit('message', { session, message: messageView(event.message) });
        break;
      case 'status': {
        const { by, seq, reason } = event;
        const at = iso(event.at);
        if (event.status === 'closed') this.#emit('closed', { session, by, seq, at });
        else if (event.adminId !== null && reason !== 'admin_offline' && reason !== 'closed') {
          this.#emit('assigned', { session, adminId: event.adminId, reason, by, seq, at });
        }
        break;
      }
      case 'rating': {
        const { score, comment, by, seq } = event;
        this.#emit('rated', { session, score, comment, by, seq, at: iso(event.at) });
        break;
      }
    }
  }

  #emit<E extends keyof SwitchboardEvents>(name: E, event: SwitchboardEvents[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) void this.#call(name, listener as Listener<E>, event);
  }

  async #call<E extends keyof SwitchboardEvents>(
    name: E,
    listener: Listener<E>,
    event: SwitchboardEvents[E],
  ): Promise<void> {
    try {
      await listener(event);
    } catch (err) {
      this.#log.error({ err, event: name }, "a listener of the host's failed");
    }
  }
}

/** A bus that also lets somebody here hear what this node publishes: its own commits, each once. */
export function overheard(bus: Bus, hear: (hint: Hint) => void): Bus {
  return {
    shared: bus.shared,
    publish: (hint) => {
      bus.publish(hint);
      hear(hint);
    },
    subscribe: (deliver) => bus.subscribe(deliver),
    announce: (userIds, online) => bus.announce(userIds, online),
    onlineElsewhere: (userIds) => bus.onlineElsewhere(userIds),
    close: () => bus.close(),
  };
}
