import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BURST, createOutbox, type Entry, EXPIRE_MS, MOST_MS, type Outbox, REPEAT_MS, WINDOW } from './outbox.ts';

let ids = 0;
function entry(content: string, more: Partial<Entry> = {}): Entry {
  return { clientMessageId: `m${++ids}`, sessionId: 'S', content, at: 0, ...more };
}

function outboxOf(...contents: string[]): Outbox {
  const outbox = createOutbox(() => 0.5);
  for (const content of contents) outbox.add(entry(content));
  outbox.connected(0);
  return outbox;
}

const contents = (entries: readonly Entry[]): string[] => entries.map(({ content }) => content);
const ack = (outbox: Outbox, ...entries: readonly Entry[]): void => {
  for (const { clientMessageId } of entries) outbox.acked(clientMessageId, 'S');
};

describe('rounds', () => {
  test('begin with one message, and grow to the window while all goes well', () => {
    const outbox = outboxOf(...Array.from({ length: 200 }, (_, i) => `${i}`));
    const sizes: number[] = [];
    for (let now = 0; outbox.entries.length > 0; now += 10_000) {
      const { send } = outbox.next(now);
      sizes.push(send.length);
      ack(outbox, ...send);
    }
    expect(sizes).toEqual([1, 2, 4, 8, 16, WINDOW, WINDOW, WINDOW, WINDOW, WINDOW, 9]);
  });

  test('wait for the last answer of the one before', () => {
    const outbox = outboxOf('a', 'b', 'c', 'd');
    ack(outbox, ...outbox.next(0).send);
    const round = outbox.next(1).send;
    expect(contents(round)).toEqual(['b', 'c']);
    ack(outbox, round[0] as Entry);
    expect(outbox.next(2).send).toEqual([]);
    ack(outbox, round[1] as Entry);
    expect(contents(outbox.next(3).send)).toEqual(['d']);
  });

  test('do not go faster than a server takes messages', () => {
    const outbox = outboxOf(...Array.from({ length: 1_000 }, (_, i) => `${i}`));
    let sent = 0;
    let now = 0;
    while (now < 10_000) {
      const { send, wakeAt } = outbox.next(now);
      sent += send.length;
      ack(outbox, ...send);
      if (send.length === 0) now = Math.max(now + 1, wakeAt);
    }
    expect(sent).toBeLessThanOrEqual(BURST + 10 * 30);
    expect(sent).toBeGreaterThan(BURST + 10 * 29);
  });
});

describe('a message without a session', () => {
  test('goes alone, and the others follow it into its session', () => {
    const outbox = createOutbox(() => 0.5);
    for (const content of ['a', 'b', 'c']) outbox.add(entry(content, { sessionId: null }));
    outbox.connected(0);
    const [first] = outbox.next(0).send;
    expect(outbox.acked((first as Entry).clientMessageId, 'new')?.sessionId).toBeNull();
    expect(outbox.entries.map(({ sessionId }) => sessionId)).toEqual(['new', 'new']);
    expect(contents(outbox.next(1).send)).toEqual(['b', 'c']);
  });

  test('lets those before it go first', () => {
    const outbox = outboxOf('a', 'b', 'c');
    outbox.add(entry('d', { sessionId: null }));
    for (const round of [['a'], ['b', 'c'], ['d']]) {
      const { send } = outbox.next(0);
      expect(contents(send)).toEqual(round);
      ack(outbox, ...send);
    }
  });
});

describe('a message that is not answered', () => {
  test('is sent again after 5 s, then after twice as long each time, with jitter', () => {
    const outbox = outboxOf('a');
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 6; i += 1) {
      const { send, wakeAt } = outbox.next(now);
      expect(contents(send)).toEqual(['a']);
      waits.push(wakeAt - now);
      expect(outbox.next(wakeAt - 1).send).toEqual([]);
      now = wakeAt;
    }
    expect(waits).toEqual([REPEAT_MS, 7_500, 15_000, 22_500, 22_500, 22_500]);
    expect(Math.max(...waits)).toBeLessThanOrEqual(MOST_MS);
  });

  test('goes out on the next connection with the same id', () => {
    const outbox = outboxOf('a', 'b');
    const [first] = outbox.next(0).send;
    outbox.connected(1);
    expect(outbox.next(1).send).toEqual([first]);
  });

  test('is given up after a day, oldest first', () => {
    const outbox = createOutbox(() => 0.5);
    outbox.add(entry('old', { at: 1 }));
    outbox.add(entry('new', { at: 1_000 }));
    expect(contents(outbox.expire(EXPIRE_MS))).toEqual([]);
    expect(contents(outbox.expire(EXPIRE_MS + 1))).toEqual(['old']);
    expect(contents(outbox.entries)).toEqual(['new']);
  });
});

describe('a refusal', () => {
  const later = { code: 'UNAVAILABLE', retryable: true };

  test('for good takes the message out, and no other', () => {
    const outbox = outboxOf('a', 'b');
    const [first] = outbox.next(0).send as [Entry];
    expect(outbox.refused(first.clientMessageId, { code: 'FORBIDDEN', retryable: false }, 1)).toBe(first);
    expect(contents(outbox.next(2).send)).toEqual(['b']);
  });

  test('for a while keeps the order: the oldest alone, when the server said', () => {
    const outbox = outboxOf('a', 'b', 'c');
    ack(outbox, ...outbox.next(0).send);
    const [b] = outbox.next(0).send as [Entry, Entry];
    expect(outbox.refused(b.clientMessageId, { ...later, retryAfterMs: 1_000 }, 100)).toBeUndefined();
    const { wakeAt } = outbox.next(100);
    expect(wakeAt).toBe(100 + 1_125);
    expect(contents(outbox.next(wakeAt).send)).toEqual(['b']);
  });

  test('for a while waits longer each time', () => {
    const outbox = outboxOf('a');
    let now = 0;
    const waits = Array.from({ length: 8 }, () => {
      const [a] = outbox.next(now).send as [Entry];
      outbox.refused(a.clientMessageId, later, now);
      const { wakeAt } = outbox.next(now);
      const wait = wakeAt - now;
      now = wakeAt;
      return wait;
    });
    expect(waits).toEqual([750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500, 22_500]);
  });

  test('as too fast, which does not say of what, slows down for the rest of the connection', () => {
    const outbox = outboxOf(...Array.from({ length: 9 }, (_, i) => `${i}`));
    ack(outbox, ...outbox.next(0).send);
    expect(outbox.next(0).send).toHaveLength(2);
    outbox.refused(undefined, { code: 'RATE_LIMITED', retryable: true, retryAfterMs: 20 }, 0);
    let now = outbox.next(0).wakeAt;
    expect(now).toBeLessThan(100);
    for (let i = 0; i < 5; i += 1) {
      const { send, wakeAt } = outbox.next(now);
      expect(send.length).toBeLessThanOrEqual(1);
      ack(outbox, ...send);
      now = send.length > 0 ? now : wakeAt;
    }
  });

  test('without a mark concerns the message that is alone on its way', () => {
    const bad = { code: 'INVALID_PARAMETER', retryable: false };
    const outbox = outboxOf('a', 'b', 'c');
    const [a] = outbox.next(0).send;
    expect(outbox.refused(undefined, bad, 1)).toBe(a);
    outbox.next(2);
    expect(outbox.refused(undefined, bad, 3)).toBeUndefined();
    expect(contents(outbox.entries)).toEqual(['b', 'c']);
  });
});

test('a clock that is set back changes no order', () => {
  const outbox = createOutbox(() => 0.5);
  const first = outbox.add(entry('a', { at: 1_000 }));
  const second = outbox.add(entry('b', { at: 10 }));
  expect(second.at).toBeGreaterThan(first.at);
  outbox.adopt([entry('z', { at: 500 }), first]);
  expect(contents(outbox.entries)).toEqual(['z', 'a', 'b']);
});

/** A server that stores each message once, and a network that loses, delays, and repeats nothing by itself. */
class ModelServer {
  readonly stored: string[] = [];
  readonly #ids = new Set<string>();
  /** What it says to the next messages instead of storing them. */
  refusals: { retryable: boolean; marked: boolean }[] = [];

  take({ clientMessageId }: Entry): { ack: string } | { refused: string; retryable: boolean; marked: boolean } {
    const refusal = this.refusals.shift();
    if (refusal) return { refused: clientMessageId, ...refusal };
    if (!this.#ids.has(clientMessageId)) {
      this.#ids.add(clientMessageId);
      this.stored.push(clientMessageId);
    }
    return { ack: clientMessageId };
  }
}

type Answer = ReturnType<ModelServer['take']>;

class Story {
  now = 1;
  readonly server = new ModelServer();
  readonly written: string[] = [];
  readonly failed = new Set<string>();
  readonly acked: string[] = [];
  /** What a reload leaves: what was kept last. */
  kept: readonly Entry[] = [];
  outbox: Outbox = createOutbox(() => 0.5);
  online = false;
  wakeAt = Infinity;
  up: Entry[] = [];
  down: Answer[] = [];
  /** Frames of connections that are gone, which may still arrive. */
  late: Entry[] = [];

  keep(): void {
    this.kept = JSON.parse(JSON.stringify(this.outbox.entries)) as Entry[];
  }

  write(): void {
    this.written.push(this.outbox.add(entry('x', { at: this.now })).clientMessageId);
    this.keep();
    this.pump();
  }

  pump(): void {
    this.wakeAt = Infinity;
    if (!this.online) return;
    const { send, wakeAt } = this.outbox.next(this.now);
    if (wakeAt <= this.now) throw new Error('wakes at once, for ever');
    if (send.length > WINDOW) throw new Error('more than the window');
    this.up.push(...send);
    this.wakeAt = wakeAt;
  }

  serve(): void {
    const frame = this.up.shift();
    if (frame) this.down.push(this.server.take(frame));
  }

  answer(): void {
    const answer = this.down.shift();
    if (!answer) return;
    if ('ack' in answer) {
      if (this.outbox.acked(answer.ack, 'S')) this.acked.push(answer.ack);
    } else {
      const { refused, retryable, marked } = answer;
      const code = retryable ? (marked ? 'UNAVAILABLE' : 'RATE_LIMITED') : 'FORBIDDEN';
      const gone = this.outbox.refused(marked ? refused : undefined, { code, retryable, retryAfterMs: 50 }, this.now);
      if (gone) this.failed.add(gone.clientMessageId);
    }
    this.keep();
    this.pump();
  }

  lose(): void {
    this.online = false;
    this.late.push(...this.up);
    this.up = [];
    this.down = [];
  }

  connect(): void {
    this.lose();
    this.online = true;
    this.outbox.connected(this.now);
    this.pump();
  }

  reload(): void {
    this.lose();
    this.outbox = createOutbox(() => 0.5);
    this.outbox.adopt(this.kept);
  }

  pass(ms: number): void {
    const until = this.now + ms;
    while (this.online && this.wakeAt <= until) {
      this.now = this.wakeAt;
      this.pump();
    }
    this.now = until;
  }

  /** Everything works from now on. */
  settle(): void {
    this.server.refusals = [];
    this.connect();
    for (let i = 0; this.outbox.entries.length > 0; i += 1) {
      if (i > 2_000) throw new Error('it never ends');
      if (this.up.length === 0 && this.down.length === 0) this.pass(1_000);
      this.serve();
      this.answer();
    }
  }
}

const deed = fc.oneof(
  { weight: 4, arbitrary: fc.constant('write' as const) },
  { weight: 6, arbitrary: fc.constantFrom('serve' as const, 'answer' as const) },
  { weight: 2, arbitrary: fc.constantFrom('connect' as const, 'lose' as const, 'reload' as const, 'lateFrame' as const) },
  { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 40_000 }) }) },
);
const refusal = fc.record({ refuse: fc.record({ retryable: fc.boolean(), marked: fc.boolean() }) });

function tell(story: Story, deeds: readonly (string | { pass: number } | { refuse: { retryable: boolean; marked: boolean } })[]): void {
  for (const what of deeds) {
    if (typeof what === 'object') {
      if ('pass' in what) story.pass(what.pass);
      // An unmarked refusal for good is an answer to a frame that is not read; the model server reads all of them.
      else if (what.refuse.retryable || what.refuse.marked) story.server.refusals.push(what.refuse);
    } else if (what === 'lateFrame') {
      const [frame] = story.late.splice(0, 1);
      if (frame) story.server.take(frame);
    } else story[what as 'write' | 'serve' | 'answer' | 'connect' | 'lose' | 'reload']();
  }
  story.settle();
}

test('whatever is lost or reloaded, each message is stored once, in the order in which it was written', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 150, size: 'max' }), (deeds) => {
      const story = new Story();
      tell(story, deeds);
      expect(story.server.stored).toEqual(story.written);
    }),
    { numRuns: 300 },
  );
});

test('whatever is refused besides, each message is stored once, or failed, and what was acknowledged is stored', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 9, arbitrary: deed }, { weight: 1, arbitrary: refusal }), { maxLength: 150, size: 'max' }),
      (deeds) => {
        const story = new Story();
        tell(story, deeds);
        const { stored } = story.server;
        expect(new Set(stored).size).toBe(stored.length);
        // One that a late frame stored may have been refused before; never the other way round.
        expect(story.written.filter((id) => !story.failed.has(id) && !stored.includes(id))).toEqual([]);
        expect(story.acked.filter((id) => !stored.includes(id))).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
