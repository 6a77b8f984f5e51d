import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BURST,
  createOutbox,
  type Entry,
  EXPIRE_MS,
  MOST_MS,
  type Outbox,
  PER_SECOND,
  REPEAT_MS,
  WINDOW,
} from './outbox.ts';

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
  for (const { clientMessageId, sessionId } of entries) outbox.acked(clientMessageId, sessionId ?? 'new');
};

describe('messages', () => {
  test('of one session go one at a time', () => {
    const outbox = outboxOf('a', 'b', 'c');
    const order: string[] = [];
    for (let now = 0; outbox.entries.length > 0; now += 1) {
      const { send } = outbox.next(now);
      expect(send).toHaveLength(1);
      expect(outbox.next(now).send).toEqual([]);
      order.push(...contents(send));
      ack(outbox, ...send);
    }
    expect(order).toEqual(['a', 'b', 'c']);
  });

  test('of several sessions do not wait for each other, up to the window', () => {
    const outbox = createOutbox(() => 0.5);
    for (let i = 0; i < 80; i += 1) outbox.add(entry(`${i}`, { sessionId: `S${i % 40}` }));
    outbox.connected(0);
    const first = outbox.next(0).send;
    expect(contents(first)).toEqual(Array.from({ length: WINDOW }, (_, i) => `${i}`));
    expect(outbox.next(0).send).toEqual([]);
    ack(outbox, first[3] as Entry);
    expect(contents(outbox.next(1).send)).toEqual(['32']);
  });

  test('do not go faster than a server takes them', () => {
    const outbox = outboxOf(...Array.from({ length: 1_000 }, (_, i) => `${i}`));
    let sent = 0;
    let now = 0;
    while (now < 10_000) {
      const { send, wakeAt } = outbox.next(now);
      sent += send.length;
      ack(outbox, ...send);
      if (send.length === 0) now = Math.max(now + 1, wakeAt);
    }
    expect(sent).toBeLessThanOrEqual(BURST + 10 * PER_SECOND);
    expect(sent).toBeGreaterThan(BURST + 9.5 * PER_SECOND);
  });
});

describe('a message without a session', () => {
  test('goes alone, and never names one: it may have been stored in another one than those beside it', () => {
    const outbox = createOutbox(() => 0.5);
    for (const content of ['a', 'b', 'c']) outbox.add(entry(content, { sessionId: null }));
    outbox.connected(0);
    for (const [now, content] of ['a', 'b', 'c'].entries()) {
      const { send } = outbox.next(now);
      expect(send).toMatchObject([{ content, sessionId: null }]);
      expect(outbox.acked((send[0] as Entry).clientMessageId, `S${now}`)).toBe(send[0]);
    }
  });

  test('lets those before it go first, and holds up those behind it', () => {
    const outbox = createOutbox(() => 0.5);
    for (const [content, sessionId] of [
      ['a', 'S'],
      ['b', 'T'],
      ['c', null],
      ['d', 'U'],
    ] as const) {
      outbox.add(entry(content, { sessionId }));
    }
    outbox.connected(0);
    for (const turn of [['a', 'b'], ['c'], ['d']]) {
      const { send } = outbox.next(0);
      expect(contents(send)).toEqual(turn);
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

describe('an ack', () => {
  test.for([
    { what: 'of its session', sessionId: 'S', more: {}, mine: true },
    { what: 'of whatever session, when it named none', sessionId: null, more: {}, mine: true },
    { what: 'that tells its content', sessionId: 'S', more: { content: 'a' }, mine: true },
    { what: 'of another session, where the mark is another message’s', sessionId: 'T', more: {}, mine: false },
    { what: 'of another message under its mark', sessionId: null, more: { content: 'b' }, mine: false },
  ])('$what: takes the message out $mine', ({ sessionId, more: { content }, mine }) => {
    const outbox = createOutbox(() => 0.5);
    const { clientMessageId } = outbox.add(entry('a', { sessionId }));
    expect(outbox.acked(clientMessageId, 'S', content)?.clientMessageId).toBe(mine ? clientMessageId : undefined);
    expect(outbox.entries).toHaveLength(mine ? 0 : 1);
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

  test('for a while is taken at its word, and nothing overtakes', () => {
    const outbox = outboxOf('a', 'b');
    const [a] = outbox.next(0).send as [Entry];
    expect(outbox.refused(a.clientMessageId, { ...later, retryAfterMs: 1_000 }, 100)).toBeUndefined();
    const { wakeAt } = outbox.next(100);
    expect(wakeAt).toBe(100 + 1_125);
    expect(contents(outbox.next(wakeAt).send)).toEqual(['a']);
  });

  test('for a while concerns its session alone', () => {
    const outbox = outboxOf('a');
    outbox.add(entry('b', { sessionId: 'T' }));
    outbox.add(entry('c', { sessionId: 'T' }));
    const [a, b] = outbox.next(0).send as [Entry, Entry];
    outbox.refused(a.clientMessageId, later, 1);
    ack(outbox, b);
    expect(contents(outbox.next(2).send)).toEqual(['c']);
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

  test('as too fast, which does not say of what, pauses all, and slows down from then on', () => {
    const outbox = createOutbox(() => 0.5);
    for (let i = 0; i < 300; i += 1) outbox.add(entry(`${i}`, { sessionId: `S${i % 3}` }));
    outbox.connected(0);
    const first = outbox.next(0).send;
    for (const _ of first) outbox.refused(undefined, { code: 'RATE_LIMITED', retryable: true, retryAfterMs: 400 }, 0);
    const { send, wakeAt } = outbox.next(399);
    expect([send, wakeAt]).toEqual([[], 450]);
    let sent = 0;
    for (let now = 450; now < 10_450;) {
      const turn = outbox.next(now);
      sent += turn.send.length;
      ack(outbox, ...turn.send);
      if (turn.send.length === 0) now = turn.wakeAt;
    }
    expect(sent).toBeGreaterThan(150);
    expect(sent).toBeLessThan(10 * (PER_SECOND / 2) + 15);
  });

  test('without a mark concerns the message that is alone on its way', () => {
    const bad = { code: 'INVALID_PARAMETER', retryable: false };
    const outbox = outboxOf('a', 'b');
    outbox.add(entry('c', { sessionId: 'T' }));
    const [a, c] = outbox.next(0).send as [Entry, Entry];
    expect(outbox.refused(undefined, bad, 1)).toBeUndefined();
    ack(outbox, c);
    expect(outbox.refused(undefined, bad, 2)).toEqual(a);
    expect(contents(outbox.entries)).toEqual(['b']);
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

  take({
    clientMessageId,
    sessionId,
  }: Entry): { ack: string; of: string } | { refused: string; retryable: boolean; marked: boolean } {
    const refusal = this.refusals.shift();
    if (refusal) return { refused: clientMessageId, ...refusal };
    if (!this.#ids.has(clientMessageId)) {
      this.#ids.add(clientMessageId);
      this.stored.push(clientMessageId);
    }
    return { ack: clientMessageId, of: sessionId as string };
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
    const sessionId = ['S', 'T', 'U'][this.written.length % 3] as string;
    this.written.push(this.outbox.add(entry('x', { at: this.now, sessionId })).clientMessageId);
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
      if (this.outbox.acked(answer.ack, answer.of)) this.acked.push(answer.ack);
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
  {
    weight: 2,
    arbitrary: fc.constantFrom('connect' as const, 'lose' as const, 'reload' as const, 'lateFrame' as const),
  },
  { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 40_000 }) }) },
);
const refusal = fc.record({ refuse: fc.record({ retryable: fc.boolean(), marked: fc.boolean() }) });

function tell(
  story: Story,
  deeds: readonly (string | { pass: number } | { refuse: { retryable: boolean; marked: boolean } })[],
): void {
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

test('whatever is lost, refused or reloaded, each message is stored once, in the order of its session', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 9, arbitrary: deed }, { weight: 1, arbitrary: refusal }), {
        maxLength: 150,
        size: 'max',
      }),
      (deeds) => {
        const story = new Story();
        tell(story, deeds);
        const { stored } = story.server;
        for (const session of [0, 1, 2]) {
          const written = story.written.filter((_, i) => i % 3 === session);
          // One that was refused for good may have been stored by a frame that came late; it is not promised either way.
          const promised = written.filter((id) => !story.failed.has(id));
          expect(stored.filter((id) => promised.includes(id))).toEqual(promised);
        }
        expect(new Set(stored).size).toBe(stored.length);
        expect(story.acked.filter((id) => !stored.includes(id))).toEqual([]);
      },
    ),
    { numRuns: 500 },
  );
}, 60_000);
