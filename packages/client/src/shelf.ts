import type { Clock, KeyValueStorage, Locks } from './host.ts';
import type { Entry } from './outbox.ts';

export interface ShelfParts {
  readonly storage: KeyValueStorage;
  /** Null where there are none: then places are leased for a time. */
  readonly locks: Locks | null;
  /** Begins every key: one for each account. */
  readonly prefix: string;
  /** Who we are, among the pages that share the storage. */
  readonly tab: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onError: (cause: unknown) => void;
}

interface Place {
  /** Who has it, and until when; of no meaning where there are locks. */
  readonly tab: string;
  readonly until: number;
  readonly entries: readonly Entry[];
}

/** Pages of one account that keep their messages at the same time; what goes beyond is kept in memory alone. */
const PLACES = 32;
const LEASE_MS = 15_000;
/** How long after taking a place we look whether somebody else took it at the same moment. */
const SETTLE_MS = 50;

/**
 * Where unsent messages outlive the page. Pages of one account share a storage that knows no transaction, so each page
 * writes to a place of its own, and a place is held by a lock (Web Locks), or by a lease where there are none. A place
 * whose holder is gone is taken over with all that is in it. Should two pages take over the same messages, both send
 * them, and the server stores each once by its `clientMessageId`.
 */
export class Shelf {
  readonly #parts: ShelfParts;
  #place: number | null = null;
  #release: () => void = () => undefined;
  #claiming: Promise<readonly Entry[]> | null = null;
  #closed = false;

  constructor(parts: ShelfParts) {
    this.#parts = parts;
  }

  /** Takes a place that nobody has. @returns what was left there */
  claim(): Promise<readonly Entry[]> {
    this.#closed = false;
    this.#claiming ??= this.#claim().finally(() => {
      this.#claiming = null;
    });
    return this.#claiming;
  }

  /** Keeps these and no others. @returns false when we have no place (any more): then claim one, and save again */
  save(entries: readonly Entry[]): boolean {
    if (this.#place === null) return false;
    if (!this.#parts.locks && this.#read(this.#place)?.tab !== this.#parts.tab) {
      // We slept longer than the lease.
      this.#place = null;
      return false;
    }
    this.#write(this.#place, entries);
    return true;
  }

  /** Takes what pages left that are gone. @param keep saves it with what is ours; false when it could not */
  async adopt(keep: (entries: readonly Entry[]) => boolean): Promise<void> {
    for (let i = 0; i < PLACES && this.#place !== null; i++) {
      if (i === this.#place || !this.#read(i)?.entries.length) continue;
      const release = await this.#take(i);
      if (!release) continue;
      if (!this.#closed && keep(this.#read(i)?.entries ?? [])) this.#remove(i);
      release();
    }
  }

  /** Leaves the place, with what is in it, to others. */
  release(entries: readonly Entry[]): void {
    this.#closed = true;
    if (this.save(entries)) {
      const place = this.#place as number;
      if (entries.length === 0) this.#remove(place);
      else this.#write(place, entries, 0);
    }
    this.#place = null;
    this.#release();
  }

  async #claim(): Promise<readonly Entry[]> {
    for (let i = 0; i < PLACES && this.#place === null && !this.#closed; i++) {
      const release = await this.#take(i);
      if (!release) continue;
      if (this.#closed) {
        release();
        break;
      }
      this.#place = i;
      this.#release = release;
      return this.#read(i)?.entries ?? [];
    }
    return [];
  }

  /** @returns what gives it back; null when somebody has it */
  #take(place: number): Promise<(() => void) | null> {
    const { locks } = this.#parts;
    return locks ? this.#lock(locks, place) : this.#lease(place);
  }

  #lock(locks: Locks, place: number): Promise<(() => void) | null> {
    return new Promise((resolve) => {
      const granted = (lock: unknown): unknown =>
        lock ? new Promise<void>((release) => resolve(release)) : resolve(null);
      locks.request(this.#key(place), { ifAvailable: true }, granted).catch((error: unknown) => {
        this.#parts.onError(error);
        resolve(null);
      });
    });
  }

  async #lease(place: number): Promise<(() => void) | null> {
    const { tab, clock, random } = this.#parts;
    const found = this.#read(place);
    if (found && found.tab !== tab && found.until > clock.now()) return null;
    this.#write(place, found?.entries ?? []);
    await new Promise<void>((resolve) => void clock.after(SETTLE_MS * (1 + random()), resolve));
    return this.#read(place)?.tab === tab ? () => undefined : null;
  }

  #key(place: number): string {
    return this.#parts.prefix + place;
  }

  #read(place: number): Place | null {
    try {
      const text = this.#parts.storage.getItem(this.#key(place));
      const found = text === null ? null : (JSON.parse(text) as Place);
      return Array.isArray(found?.entries) ? found : null;
    } catch {
      // Somebody else's, or broken: as good as empty.
      return null;
    }
  }

  #write(place: number, entries: readonly Entry[], until = this.#parts.clock.now() + LEASE_MS): void {
    const { storage, tab, onError } = this.#parts;
    try {
      storage.setItem(this.#key(place), JSON.stringify({ tab, until, entries } satisfies Place));
    } catch (error) {
      onError(error);
    }
  }

  #remove(place: number): void {
    try {
      this.#parts.storage.removeItem(this.#key(place));
    } catch (error) {
      this.#parts.onError(error);
    }
  }
}
