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

export interface Shelf {
  /** Takes a place that nobody has. @returns what was left there */
  claim(): Promise<readonly Entry[]>;
  /** Keeps these and no others. @returns false when we have no place (any more): then claim one, and save again */
  save(entries: readonly Entry[]): boolean;
  /** Takes what pages left that are gone. @param keep saves it with what is ours; false when it could not */
  adopt(keep: (entries: readonly Entry[]) => boolean): Promise<void>;
  /** Leaves the place, with what is in it, to others. */
  release(entries: readonly Entry[]): void;
}

interface Place {
  /** Who has it, and until when; of no meaning where there are locks. */
  readonly tab: string;
  readonly until: number;
  readonly entries: readonly Entry[];
}

/** Pages of one account that keep their messages at the same time; what goes beyond is kept in memory alone. */
export const PLACES = 32;
export const LEASE_MS = 15_000;
/** How long after taking a place we look whether somebody else took it at the same moment. */
const SETTLE_MS = 50;

/**
 * Where unsent messages outlive the page. Pages of one account share a storage that knows no transaction, so each page
 * writes to a place of its own, and a place is held by a lock (Web Locks), or by a lease where there are none. A place
 * whose holder is gone is taken over with all that is in it. Should two pages take over the same messages, both send
 * them, and the server stores each once by its `clientMessageId`.
 */
export function createShelf({ storage, locks, prefix, tab, clock, random, onError }: ShelfParts): Shelf {
  /** Ours; -1 for none. */
  let place = -1;
  let giveBack = (): void => undefined;
  let claiming: Promise<readonly Entry[]> | null = null;
  let closed = false;
  /** The last thing written could not be kept. */
  let broken = false;
  /** What is to be left in a place that we were about to take. */
  let left: readonly Entry[] = [];

  function read(at: number): Place | null {
    try {
      const found = JSON.parse(storage.getItem(prefix + at) ?? 'null') as Place | null;
      return Array.isArray(found?.entries) ? found : null;
    } catch {
      // Somebody else's, or broken: as good as empty.
      return null;
    }
  }

  /** With `until` 0 it is anybody's from now on; nothing in nobody's hands needs no place. */
  function write(at: number, entries: readonly Entry[], until = clock.now() + LEASE_MS): void {
    try {
      if (until === 0 && entries.length === 0) storage.removeItem(prefix + at);
      else storage.setItem(prefix + at, JSON.stringify({ tab, until, entries } satisfies Place));
      broken = false;
    } catch (error) {
      if (!broken) onError(error);
      broken = true;
    }
  }

  /** @returns what gives the place back; undefined when somebody has it */
  async function take(at: number): Promise<(() => void) | undefined> {
    if (locks) {
      return new Promise((resolve) => {
        const granted = (lock: unknown): unknown =>
          lock ? new Promise<void>((release) => resolve(release)) : resolve(undefined);
        locks.request(prefix + at, { ifAvailable: true }, granted).catch(() => resolve(undefined));
      });
    }
    const found = read(at);
    if (found && found.tab !== tab && found.until > clock.now()) return undefined;
    write(at, found?.entries ?? []);
    await new Promise<void>((resolve) => void clock.after(SETTLE_MS * (1 + random()), resolve));
    return read(at)?.tab === tab ? () => undefined : undefined;
  }

  async function claim(): Promise<readonly Entry[]> {
    // One where something was left comes first: it is shown before there is a connection.
    for (let i = 0; i < PLACES * 2 && place < 0 && !closed; i++) {
      const at = i % PLACES;
      const release = (i >= PLACES || read(at)?.entries.length) && (await take(at));
      if (!release) continue;
      place = at;
      giveBack = release;
      const entries = read(at)?.entries ?? [];
      if (closed) leave([...entries, ...left]);
      return entries;
    }
    return [];
  }

  function leave(entries: readonly Entry[]): void {
    write(place, entries, 0);
    place = -1;
    giveBack();
  }

  function save(entries: readonly Entry[]): boolean {
    // Without locks we may have slept longer than the lease.
    if (place < 0 || (!locks && read(place)?.tab !== tab)) {
      place = -1;
      return false;
    }
    write(place, entries);
    return true;
  }

  return {
    claim() {
      closed = false;
      claiming ??= claim().finally(() => {
        claiming = null;
      });
      return claiming;
    },
    save,

    async adopt(keep) {
      for (let at = 0; at < PLACES && place >= 0; at++) {
        if (at === place || !read(at)?.entries.length) continue;
        const release = await take(at);
        if (release && !closed && keep(read(at)?.entries ?? [])) write(at, [], 0);
        release?.();
      }
    },

    release(entries) {
      closed = true;
      left = entries;
      if (save(entries)) leave(entries);
    },
  };
}
