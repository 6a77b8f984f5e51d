import type { Bus, Presence, Roster } from './ports.ts';
import type { Actor, Identity } from './session.ts';

interface Entry {
  connections: number;
  identity: Identity;
  /** What the store was last told of this admin; users are not told of. */
  told: boolean;
  /** The exchange with the store that is under way. */
  telling: Promise<void> | null;
}

export interface PresenceParts {
  readonly roster: Roster;
  readonly bus: Bus;
  readonly nodeId: string;
  /** How long an admin may be away before their sessions go back to waiting. */
  readonly graceMs: number;
  /** Called after an admin came online in the store. */
  readonly adminCame: () => void;
}

/**
 * Who is connected to this node, by side: account 31 as a user and account 31 as an admin are two. Admins are also told
 * to the store, one exchange at a time for each, so that coming and going in quick succession cannot overtake.
 */
export class LocalPresence implements Presence {
  readonly #parts: PresenceParts;
  readonly #entries = { user: new Map<number, Entry>(), admin: new Map<number, Entry>() };

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  isOnline(actor: Actor): boolean {
    return (this.#entries[actor.type].get(actor.id)?.connections ?? 0) > 0;
  }

  /** Counts a connection in. Resolves when, for an admin, the store knows; throws when it cannot be told. */
  async connect(actor: Actor, identity: Identity): Promise<void> {
    const entries = this.#entries[actor.type];
    let entry = entries.get(actor.id);
    if (!entry) {
      entry = { connections: 0, identity, told: false, telling: null };
      entries.set(actor.id, entry);
    }
    entry.connections++;
    entry.identity = identity;
    if (actor.type === 'user') {
      if (entry.connections === 1) this.#parts.bus.announce([actor.id], true);
      return;
    }
    try {
      await this.#tell(actor.id, entry);
    } catch (error) {
      entry.connections--;
      throw error;
    }
  }

  /** Counts a connection out. Resolves when the store knows; what fails here is caught up by `renew`. */
  async disconnect(actor: Actor): Promise<void> {
    const entry = this.#entries[actor.type].get(actor.id);
    if (!entry || --entry.connections > 0) return;
    if (actor.type === 'user') {
      this.#entries.user.delete(actor.id);
      this.#parts.bus.announce([actor.id], false);
      return;
    }
    await this.#tell(actor.id, entry);
  }

  /** Renews the leases of this node's admins, and tells the store again what it could not be told before. */
  async renew(): Promise<void> {
    const { roster, nodeId, bus } = this.#parts;
    const here: number[] = [];
    for (const [id, entry] of this.#entries.admin) {
      await this.#tell(id, entry);
      if (entry.connections > 0) here.push(id);
    }
    await roster.renew(here, nodeId);
    bus.announce([...this.#entries.user.keys()], true);
  }

  /** Resolves when the store knows of every coming and going so far. */
  async settle(): Promise<void> {
    for (const [id, entry] of this.#entries.admin) await this.#tell(id, entry);
  }

  /** Brings the store to the truth: connected or not. */
  async #tell(id: number, entry: Entry): Promise<void> {
    while (entry.telling || entry.told !== entry.connections > 0) {
      entry.telling ??= this.#tellOnce(id, entry).finally(() => {
        entry.telling = null;
      });
      await entry.telling;
    }
    if (entry.connections === 0 && this.#entries.admin.get(id) === entry) this.#entries.admin.delete(id);
  }

  async #tellOnce(id: number, entry: Entry): Promise<void> {
    const { roster, nodeId, graceMs, adminCame } = this.#parts;
    if (entry.connections > 0) {
      await roster.online(entry.identity, nodeId);
      entry.told = true;
      adminCame();
    } else {
      await roster.offline(id, nodeId, graceMs);
      entry.told = false;
    }
  }
}
