import { createClient } from '@redis/client';
import type { Bus, Clock, Hint } from '../domain/ports.ts';
import type { Log } from '../log.ts';

type Client = ReturnType<typeof createClient>;

/** A node that has not renewed its list of users for so long is taken for dead. */
const ONLINE_SECONDS = 30;
const CONNECT_WAIT_MS = 3_000;

/**
 * Hints between any number of nodes, by Redis publish/subscribe, and who is online where, by sets with an expiry.
 * While Redis is away hints are dropped: nodes deliver their own events, and find the others' by seq.
 */
export class RedisBus implements Bus {
  readonly shared = true;
  readonly #nodeId: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #commands: Client;
  readonly #subscriber: Client;
  readonly #channel: string;
  readonly #nodesKey: string;
  #deliver: (hint: Hint) => void = () => undefined;
  #complainedAt = -Infinity;

  /** Connects in the background if Redis does not answer within three seconds: a node works without it. */
  static async connect(parts: { url: string; nodeId: string; log: Log; clock: Clock }): Promise<RedisBus> {
    const bus = new RedisBus(parts);
    const ready = Promise.all([bus.#commands.connect(), bus.#subscribeToAll()]).catch((error: unknown) => {
      bus.#complain(error);
    });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, CONNECT_WAIT_MS);
    });
    await Promise.race([ready, patience]);
    clearTimeout(timer);
    return bus;
  }

  private constructor(parts: { url: string; nodeId: string; log: Log; clock: Clock }) {
    this.#nodeId = parts.nodeId;
    this.#log = parts.log;
    this.#clock = parts.clock;
    // Publish/subscribe knows no database numbers: keep installations on one Redis apart by name.
    const database = new URL(parts.url).pathname.slice(1) || '0';
    this.#channel = `switchboard:${database}:hints`;
    this.#nodesKey = `switchboard:${database}:nodes`;
    this.#commands = createClient({
      url: parts.url,
      disableOfflineQueue: true,
      socket: { reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 2_000) },
    });
    this.#subscriber = this.#commands.duplicate();
    for (const client of [this.#commands, this.#subscriber]) client.on('error', (error) => this.#complain(error));
  }

  publish(hint: Hint): void {
    this.#deliver(hint);
    this.#try(() => this.#commands.publish(this.#channel, JSON.stringify({ node: this.#nodeId, hint })));
  }

  subscribe(deliver: (hint: Hint) => void): void {
    this.#deliver = deliver;
  }

  announce(userIds: readonly number[], online: boolean): void {
    const key = this.#onlineKey(this.#nodeId);
    const members = userIds.map(String);
    this.#try(() => {
      const batch = this.#commands.multi();
      if (members.length > 0) {
        if (online) batch.sAdd(key, members);
        else batch.sRem(key, members);
      }
      return batch.expire(key, ONLINE_SECONDS).sAdd(this.#nodesKey, this.#nodeId).exec();
    });
  }

  async onlineElsewhere(userIds: readonly number[]): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    if (!this.#commands.isReady || userIds.length === 0) return found;
    try {
      const members = userIds.map(String);
      for (const node of await this.#commands.sMembers(this.#nodesKey)) {
        if (node === this.#nodeId) continue;
        const key = this.#onlineKey(node);
        const [exists, online] = await Promise.all([
          this.#commands.exists(key),
          this.#commands.smIsMember(key, members),
        ]);
        if (exists === 0) await this.#commands.sRem(this.#nodesKey, node);
        for (const [i, id] of userIds.entries()) if (Number(online[i]) === 1) found.add(id);
      }
    } catch (error) {
      // Who is online is shown, nothing rests on it: better unknown than no answer.
      this.#complain(error);
    }
    return found;
  }

  async close(): Promise<void> {
    try {
      if (this.#commands.isReady) await this.#commands.del(this.#onlineKey(this.#nodeId));
    } catch (error) {
      this.#complain(error);
    }
    for (const client of [this.#commands, this.#subscriber]) if (client.isOpen) client.destroy();
  }

  async #subscribeToAll(): Promise<void> {
    await this.#subscriber.connect();
    await this.#subscriber.subscribe(this.#channel, (text) => {
      try {
        const { node, hint } = JSON.parse(text) as { node: string; hint: Hint };
        if (node !== this.#nodeId) this.#deliver(hint);
      } catch (error) {
        this.#complain(error);
      }
    });
  }

  #onlineKey(node: string): string {
    return `${this.#nodesKey}:${node}`;
  }

  #try(command: () => Promise<unknown>): void {
    if (!this.#commands.isReady) return;
    command().catch((error: unknown) => this.#complain(error));
  }

  /** Logs at most once in ten seconds: an absent Redis would fill the log. */
  #complain(error: unknown): void {
    const now = this.#clock.now();
    if (Math.abs(now - this.#complainedAt) < 10_000) return;
    this.#complainedAt = now;
    this.#log.warn({ err: error }, 'redis is away; this node goes on alone');
  }
}
