import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock, settled } from '../test/support/manual-clock.ts';
import { MemoryStorage, SharedLocks } from '../test/support/pages.ts';
import type { Entry } from './outbox.ts';
import { createSending, type Sending } from './sending.ts';
import { LEASE_MS, PLACES } from './shelf.ts';

type Frame = { data: { clientMessageId: string; content: string } };

/** Pages of one browser: they share a storage and a clock, and locks where there are any. */
class Browser {
  readonly clock = new ManualClock();
  readonly storage = new MemoryStorage();
  readonly locks: SharedLocks | null;
  readonly stored: string[] = [];
  #pages = 0;

  constructor(hasLocks: boolean) {
    this.locks = hasLocks ? new SharedLocks() : null;
  }

  page(account: string | null = '31'): Page {
    return new Page(this, `tab${++this.#pages}`, account);
  }
}

class Page {
  readonly sending: Sending;
  readonly waiting: Entry[] = [];
  readonly failed: string[] = [];
  readonly errors: unknown[] = [];
  readonly #browser: Browser;
  #gone = false;
  #asleep: (() => void)[] | null = null;

  constructor(browser: Browser, tab: string, account: string | null) {
    this.#browser = browser;
    const { clock, storage, locks } = browser;
    const own = (run: () => void) => (): void => {
      if (this.#asleep) this.#asleep.push(run);
      else if (!this.#gone) run();
    };
    this.sending = createSending({
      // A page that is gone runs no timers any more.
      clock: { now: () => clock.now(), after: (ms, run) => clock.after(ms, own(run)) },
      random: () => 0.5,
      expireMs: undefined,
      tab,
      storage: { storage, locks: locks?.of(this) ?? null },
      prefix: 'p/',
      onWaiting: (entry) => this.waiting.push(entry),
      onFailed: ({ clientMessageId }, { code }) => this.failed.push(`${clientMessageId} ${code}`),
      onError: (_code, cause) => this.errors.push(cause),
    });
    if (account !== null) this.sending.setAccount(account);
  }

  write(clientMessageId: string): void {
    void this.sending.add({ content: clientMessageId, clientMessageId }, 'S');
  }

  connect(): void {
    this.sending.connected();
  }

  /** What is due goes to the server, and is answered unless the answer is lost. */
  send(answered = true): void {
    for (const { data } of this.sending.next(this.#browser.clock.now()).send as Frame[]) {
      if (!this.#browser.stored.includes(data.clientMessageId)) this.#browser.stored.push(data.clientMessageId);
      if (answered) this.sending.stored(data.clientMessageId, 'S');
    }
  }

  /** Its timers stand still, as those of a page out of sight may. */
  sleep(): void {
    this.#asleep = [];
  }

  wake(): void {
    const late = this.#asleep ?? [];
    this.#asleep = null;
    for (const run of late) run();
  }

  /** The page dies without a word. */
  vanish(): void {
    this.#gone = true;
    this.#browser.locks?.free(this);
  }

  get ids(): string[] {
    return this.sending.entries.map(({ clientMessageId }) => clientMessageId);
  }
}

describe.for([
  { name: 'with locks', locks: true },
  { name: 'with leases', locks: false },
])('unsent messages, $name', ({ locks }) => {
  test('outlive the page, and go to the next one in their order', async () => {
    const browser = new Browser(locks);
    const first = browser.page();
    await browser.clock.pass(200);
    for (const id of ['a', 'b', 'c']) first.write(id);
    first.vanish();
    await browser.clock.pass(LEASE_MS);
    const second = browser.page();
    await browser.clock.pass(200);
    expect(second.ids).toEqual(['a', 'b', 'c']);
    expect(second.waiting.map(({ content }) => content)).toEqual(['a', 'b', 'c']);
  });

  test('that were written before the storage was ready are kept as well', async () => {
    const browser = new Browser(locks);
    browser.page().write('early');
    await browser.clock.pass(200);
    expect([...browser.storage.items.values()].join()).toContain('early');
  });

  test('that were written just before the end are kept as well', async () => {
    const browser = new Browser(locks);
    const page = browser.page();
    page.write('late');
    page.sending.close();
    await browser.clock.pass(200);
    const next = browser.page();
    await browser.clock.pass(200);
    expect(next.ids).toEqual(['late']);
  });

  test('of a page that says good-bye are free at once', async () => {
    const browser = new Browser(locks);
    const first = browser.page();
    await browser.clock.pass(200);
    first.write('a');
    first.sending.leave();
    first.vanish();
    const second = browser.page();
    await browser.clock.pass(200);
    expect(second.ids).toEqual(['a']);
  });

  test('of a page that lives are its own', async () => {
    const browser = new Browser(locks);
    const [first, second] = [browser.page(), browser.page()];
    await browser.clock.pass(200);
    first.write('a');
    second.write('b');
    second.connect();
    await browser.clock.pass(60_000);
    expect([first.ids, second.ids]).toEqual([['a'], ['b']]);
  });

  test('of a page that died are taken over by one that is connected', async () => {
    const browser = new Browser(locks);
    const [first, second] = [browser.page(), browser.page()];
    await browser.clock.pass(200);
    first.write('a');
    await browser.clock.pass(1);
    second.write('b');
    first.vanish();
    await browser.clock.pass(LEASE_MS * 2);
    expect(second.ids).toEqual(['b']);
    second.connect();
    await browser.clock.pass(10_000);
    expect(second.ids).toEqual(['a', 'b']);
    second.vanish();
    await browser.clock.pass(LEASE_MS);
    const third = browser.page();
    await browser.clock.pass(200);
    expect(third.ids).toEqual(['a', 'b']);
  });

  test('of a page that slept too long and another that took them for orphans are neither lost nor overwritten', async () => {
    const browser = new Browser(locks);
    const first = browser.page();
    await browser.clock.pass(200);
    first.write('a');
    first.sleep();
    await browser.clock.pass(LEASE_MS * 2);
    const second = browser.page();
    await browser.clock.pass(200);
    second.write('b');
    first.write('c');
    first.wake();
    await browser.clock.pass(1_000);
    first.vanish();
    second.vanish();
    await browser.clock.pass(LEASE_MS);
    const third = browser.page();
    third.connect();
    await browser.clock.pass(LEASE_MS);
    expect(third.ids.toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('leave nothing behind once they are stored', async () => {
    const browser = new Browser(locks);
    const page = browser.page();
    await browser.clock.pass(200);
    page.write('a');
    page.connect();
    page.send();
    page.sending.close();
    expect([...browser.storage.items]).toEqual([]);
  });

  test('of other accounts are none of our business', async () => {
    const browser = new Browser(locks);
    const first = browser.page('31');
    await browser.clock.pass(200);
    first.write('a');
    first.sending.close();
    const other = browser.page('32');
    other.connect();
    await browser.clock.pass(10_000);
    expect(other.ids).toEqual([]);
  });

  test('wait in memory until it is known whose they are', async () => {
    const browser = new Browser(locks);
    const page = browser.page(null);
    page.write('a');
    await browser.clock.pass(10_000);
    expect([...browser.storage.items]).toEqual([]);
    page.sending.setAccount('31');
    await browser.clock.pass(200);
    expect([...browser.storage.items.values()].join()).toContain('"a"');
  });

  test('come back to a page that was closed and opened again', async () => {
    const browser = new Browser(locks);
    const page = browser.page();
    await browser.clock.pass(200);
    page.write('a');
    page.sending.close();
    page.write('b');
    page.sending.open();
    await browser.clock.pass(200);
    expect(page.ids).toEqual(['a', 'b']);
    expect([...browser.storage.items.values()].join()).toContain('"b"');
  });

  test('survive a storage that is broken, full, or somebody else’s', async () => {
    const browser = new Browser(locks);
    for (const [i, text] of ['{', 'null', '7', '{"entries":5}', '[]'].entries())
      browser.storage.items.set(`p/31/${i}`, text);
    const full = new Error('full');
    browser.storage.setItem = () => {
      throw full;
    };
    const page = browser.page();
    page.connect();
    await browser.clock.pass(6_000);
    page.write('a');
    page.send();
    page.write('b');
    await browser.clock.pass(60_000);
    page.send();
    expect(browser.stored).toEqual(['a', 'b']);
    // It is told once, not with every letter.
    expect(page.errors).toEqual([full]);
  });

  test('whatever a storage throws that may not be used, are sent all the same', async () => {
    const browser = new Browser(locks);
    const denied = (): never => {
      throw new Error('denied');
    };
    Object.assign(browser.storage, { getItem: denied, setItem: denied, removeItem: denied });
    const page = browser.page();
    page.write('a');
    page.connect();
    page.send();
    await browser.clock.pass(10_000);
    page.write('b');
    page.send();
    page.sending.close();
    expect(browser.stored).toEqual(['a', 'b']);
    expect(page.errors).toHaveLength(1);
  });

  test('of more pages than there are places are kept in memory', async () => {
    const browser = new Browser(locks);
    const pages = Array.from({ length: PLACES + 1 }, () => browser.page());
    await browser.clock.pass(10_000);
    for (const [i, page] of pages.entries()) page.write(`m${i}`);
    const kept = [...browser.storage.items.values()].flatMap(
      (text) => (JSON.parse(text) as { entries: Entry[] }).entries,
    );
    expect(kept).toHaveLength(PLACES);
    expect(pages.flatMap(({ ids }) => ids)).toHaveLength(PLACES + 1);
  });

  test('whatever pages come, go and die, are stored once each', async () => {
    const deed = fc.oneof(
      { weight: 6, arbitrary: fc.record({ write: fc.nat(3) }) },
      { weight: 4, arbitrary: fc.record({ send: fc.nat(3), answered: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.constantFrom(100, 3_000, 20_000) }) },
      { weight: 1, arbitrary: fc.record({ open: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ connect: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ close: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ vanish: fc.nat(3) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(deed, { maxLength: 40 }), async (deeds) => {
        const browser = new Browser(locks);
        const pages = Array.from({ length: 4 }, () => browser.page());
        const written: string[] = [];
        // Leases need a moment in which nobody dies before they hold.
        await browser.clock.pass(1_000);
        for (const what of deeds) {
          if ('write' in what) {
            const id = `m${written.length}`;
            written.push(id);
            pages[what.write]?.write(id);
          } else if ('send' in what) {
            pages[what.send]?.connect();
            pages[what.send]?.send(what.answered);
          } else if ('pass' in what) await browser.clock.pass(what.pass);
          else if ('connect' in what) pages[what.connect]?.connect();
          else if ('close' in what) {
            pages[what.close]?.sending.close();
            pages[what.close]?.sending.open();
            await browser.clock.pass(1_000);
          } else {
            const place = 'open' in what ? what.open : what.vanish;
            pages[place]?.vanish();
            pages[place] = browser.page();
            await browser.clock.pass(1_000);
          }
          await settled();
        }
        for (const page of pages) page.connect();
        for (let i = 0; i < 40; i += 1) {
          await browser.clock.pass(3_000);
          for (const page of pages) page.send();
        }
        expect(browser.stored.toSorted()).toEqual(written.toSorted());
        expect(pages.flatMap(({ ids }) => ids)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe('a promise', () => {
  const page = (): Page => new Browser(true).page();

  test('is one for each id', () => {
    const { sending } = page();
    const [first, again] = [
      sending.add({ content: 'x', clientMessageId: 'a' }, 'S'),
      sending.add({ content: 'x', clientMessageId: 'a' }, 'S'),
    ];
    expect([again === first, sending.entries.length]).toEqual([true, 1]);
  });

  test('is of a copy: what the caller changes later is not sent', () => {
    const { sending } = page();
    const attachments = [{ name: 'a.png' }];
    void sending.add({ content: 'x', attachments }, 'S');
    (attachments[0] as { name: string }).name = 'b.png';
    expect(sending.entries[0]?.attachments).toEqual([{ name: 'a.png' }]);
  });

  test('fails at once for what no frame holds', async () => {
    const { sending } = page();
    const big = sending.add({ content: '好'.repeat(22_000) }, 'S');
    await expect(big).rejects.toMatchObject({ code: 'FRAME_TOO_LARGE', name: 'SwitchboardError' });
    expect(sending.entries).toEqual([]);
  });

  test('may be ignored', async () => {
    const { sending } = page();
    void sending.add({ content: 'x', clientMessageId: 'a' }, 'S');
    expect(sending.refused('a', { code: 'FORBIDDEN', retryable: false })).toBe(true);
    await settled();
  });

  test('fails when its message is too old', async () => {
    const browser = new Browser(true);
    const { sending } = browser.page();
    const old = sending.add({ content: 'x' }, 'S');
    sending.connected();
    await browser.clock.pass(86_400_000);
    expect(sending.next(browser.clock.now()).send).toEqual([]);
    await expect(old).rejects.toMatchObject({ code: 'EXPIRED' });
  });
});
