import { closeCodes } from '@switchboard/protocol';
import type { Following } from '../domain/following.ts';
import type { Clock } from '../domain/ports.ts';
import { iso } from '../domain/views.ts';
import type { Connection } from './connection.ts';
import type { FrameWriter } from './frames.ts';

/** How often a connection is asked whether it is there, and one that said `hello` is told how far its sessions are. */
export const HEARTBEAT_MS = 25_000;
/** How often all connections are looked at. With the period and the time to answer: a dead peer is noticed within 35 s. */
const LOOK_EVERY_MS = 1_000;
const ANSWER_WITHIN_MS = 8_000;
/** How long before its end a token is warned of; half of its life, where that is shorter. */
const WARN_BEFORE_MS = 60_000;

export interface HeartbeatParts {
  readonly connections: ReadonlySet<Connection>;
  readonly following: Following;
  readonly frames: FrameWriter;
  readonly clock: Clock;
}

/** Looks after all connections with one timer: a timer each would cost more memory than the connection. */
export class Heartbeat {
  readonly #parts: HeartbeatParts;
  readonly #timer: NodeJS.Timeout;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = this.#parts.clock.now();
    for (const connection of this.#parts.connections) {
      this.#checkToken(connection, now);
      this.#checkLife(connection, now);
      if (connection.follower && Math.abs(now - connection.beatAt) >= HEARTBEAT_MS) {
        connection.beatAt = now;
        void this.#beat(connection);
      }
    }
  }

  #checkToken(connection: Connection, now: number): void {
    const { expiresAt, tokenSince, follower } = connection;
    if (expiresAt === null) return;
    const warnBefore = Math.min(WARN_BEFORE_MS, (expiresAt - tokenSince) / 2);
    if (expiresAt <= now) connection.dismiss(closeCodes.unauthorized);
    else if (follower && !connection.warned && expiresAt - now <= warnBefore) {
      connection.warned = true;
      connection.send(this.#parts.frames.other({ type: 'auth_expiring', data: { expiresAt: iso(expiresAt) } }));
    }
  }

  #checkLife(connection: Connection, now: number): void {
    // A clock that was set back would otherwise silence the questions for as long.
    if (connection.heardAt > now) connection.heardAt = now;
    if (connection.askedAt > now) connection.askedAt = now;
    if (connection.askedAt !== 0) {
      if (now - connection.askedAt > ANSWER_WITHIN_MS) connection.terminate();
    } else if (now - connection.heardAt > HEARTBEAT_MS) connection.ping(now);
  }

  /** The heads come from the store: a message whose live frame was lost is noticed by them. */
  async #beat(connection: Connection): Promise<void> {
    const { following, frames, clock } = this.#parts;
    let heads = new Map<string, number>();
    try {
      heads = await following.heads(connection.follower?.sessions ?? []);
    } catch {
      // The store is away: the beat still says that the server is there.
    }
    const data = { serverTime: iso(clock.now()), heads: Object.fromEntries(heads) };
    connection.send(frames.other({ type: 'heartbeat', data }));
  }
}
