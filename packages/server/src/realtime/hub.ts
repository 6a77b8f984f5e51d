import type { Hint } from '../domain/ports.ts';
import type { Actor, SessionEvent } from '../domain/session.ts';
import type { Connection } from './connection.ts';
import type { FrameWriter } from './frames.ts';

/**
 * All connections of this node, and who of them gets to hear what. Each frame is written once, however many hear it.
 */
export class Hub {
  readonly #frames: FrameWriter;
  readonly #bySide = { user: new Map<number, Set<Connection>>(), admin: new Map<number, Set<Connection>>() };
  readonly #all = new Set<Connection>();
  readonly #followers = new Map<string, Set<Connection>>();

  constructor(frames: FrameWriter) {
    this.#frames = frames;
  }

  join(connection: Connection): void {
    const { type, id } = connection.caller.actor;
    const side = this.#bySide[type];
    const own = side.get(id);
    if (own) own.add(connection);
    else side.set(id, new Set([connection]));
    this.#all.add(connection);
  }

  leave(connection: Connection): void {
    const { type, id } = connection.caller.actor;
    const own = this.#bySide[type].get(id);
    if (own?.delete(connection) && own.size === 0) this.#bySide[type].delete(id);
    this.#all.delete(connection);
    for (const sessionId of connection.follower?.sessions ?? []) this.unfollow(connection, sessionId);
  }

  get connections(): ReadonlySet<Connection> {
    return this.#all;
  }

  /** From now on the connection is told every event of the session. */
  follow(connection: Connection, sessionId: string): void {
    const followers = this.#followers.get(sessionId);
    if (followers) followers.add(connection);
    else this.#followers.set(sessionId, new Set([connection]));
  }

  unfollow(connection: Connection, sessionId: string): void {
    const followers = this.#followers.get(sessionId);
    if (followers?.delete(connection) && followers.size === 0) this.#followers.delete(sessionId);
  }

  /** Tells everybody here whom a session's news concerns. */
  deliver(hint: Hint): void {
    for (const event of hint.events) {
      const audience = this.#audience(hint, event);
      const followers = this.#others(hint, audience);
      if (audience.length > 0 && event.kind !== 'rating') {
        const text =
          event.kind === 'message' ? this.#frames.message(hint, event) : this.#frames.status(hint.sessionId, event);
        for (const connection of audience) connection.tell(hint.sessionId, event.seq, text, true);
      }
      if (followers.length > 0) {
        const text = this.#frames.sessionEvent(hint.sessionId, event);
        for (const connection of followers) connection.tell(hint.sessionId, event.seq, text, false);
      }
    }
  }

  /** Tells followers and both sides of a session how far a reader has got. */
  deliverReceipt(hint: Hint, receipt: NonNullable<Hint['receipt']>): void {
    const audience = new Set([...this.#of('user', hint.userId), ...(this.#followers.get(hint.sessionId) ?? [])]);
    if (hint.adminId !== null) for (const connection of this.#of('admin', hint.adminId)) audience.add(connection);
    const text = this.#frames.receipt(hint.sessionId, receipt);
    for (const connection of audience) if (connection.follower && connection.id !== hint.origin) connection.send(text);
  }

  /** Whom the contract's frames tell of an event, `hello` or not. */
  #audience(hint: Hint, event: SessionEvent): Connection[] {
    switch (event.kind) {
      case 'message':
        return event.message.senderType === 'user'
          ? this.#listeningAdmins(hint)
          : this.#concernedByReply(hint, { type: 'admin', id: event.message.senderId });
      case 'status':
        return [...this.#of('user', hint.userId), ...this.#admins()];
      case 'rating':
        return [];
    }
  }

  /** Followers whom no frame of the contract tells; the one who caused it has its ack. */
  #others(hint: Hint, audience: readonly Connection[]): Connection[] {
    const followers = this.#followers.get(hint.sessionId);
    if (!followers) return [];
    return [...followers].filter((connection) => connection.id !== hint.origin && !audience.includes(connection));
  }

  /** The admin who has the session; while nobody has it, every admin. */
  #listeningAdmins({ status, adminId }: Hint): Connection[] {
    // An adopted session may wait and still name the admin it once had.
    return status === 'waiting' || adminId === null ? this.#admins() : [...this.#of('admin', adminId)];
  }

  /** The user, the replying admin's other connections, and the admin who has the session. */
  #concernedByReply(hint: Hint, sender: Actor): Connection[] {
    const audience = [...this.#of('user', hint.userId), ...this.#of('admin', sender.id)];
    if (hint.adminId !== null && hint.adminId !== sender.id) audience.push(...this.#of('admin', hint.adminId));
    return audience.filter((connection) => connection.id !== hint.origin);
  }

  #of(type: Actor['type'], id: number): Iterable<Connection> {
    return this.#bySide[type].get(id) ?? [];
  }

  #admins(): Connection[] {
    return [...this.#bySide.admin.values()].flatMap((own) => [...own]);
  }
}
