import { type KeyValueStorage, type Locks } from '../../src/host.ts';

/** As localStorage, for as many pages as like to share it. */
export class MemoryStorage implements KeyValueStorage {
  readonly items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

/** As `navigator.locks` of pages of one origin: a page's locks are free as soon as it is gone. */
export class SharedLocks {
  readonly #held = new Map<string, object>();

  /** The locks as one page sees them. */
  of(page: object): Locks {
    return {
      request: async (name, _options, granted) => {
        await Promise.resolve();
        if (this.#held.has(name)) return granted(null);
        this.#held.set(name, page);
        const result = await granted({});
        if (this.#held.get(name) === page) this.#held.delete(name);
        return result;
      },
    };
  }

  /** The page is gone. */
  free(page: object): void {
    for (const [name, holder] of this.#held) if (holder === page) this.#held.delete(name);
  }
}
