import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Hint } from '../domain/ports.ts';
import type { SessionEvent } from '../domain/session.ts';
import { Sequencer } from './sequencer.ts';

const event = (seq: number): SessionEvent => ({
  kind: 'rating',
  seq,
  at: seq,
  by: { type: 'user', id: 31 },
  score: 5,
  comment: '',
});

function hint(from: number, to: number): Hint {
  const events = Array.from({ length: to - from + 1 }, (_, i) => event(from + i));
  const user = { id: 31, nickname: '', avatar: '' };
  return { sessionId: 's', userId: 31, adminId: null, status: 'waiting', user, events, origin: null };
}

function sequencer(log: readonly SessionEvent[]): {
  receive: (h: Hint) => void;
  delivered: number[];
  settled: () => Promise<void>;
} {
  const delivered: number[] = [];
  let reads = Promise.resolve();
  const subject = new Sequencer({
    readLog: (_session, after, limit) => {
      const read = Promise.resolve(log.filter((e) => e.seq > after).slice(0, limit));
      reads = reads.then(() => read).then(() => undefined);
      return read;
    },
    deliver: (h) => delivered.push(...h.events.map((e) => e.seq)),
  });
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await reads;
  };
  return { receive: (h) => subject.receive(h), delivered, settled };
}

describe('Sequencer', () => {
  test('delivers what comes in order at once', () => {
    const s = sequencer([]);
    s.receive(hint(1, 2));
    s.receive(hint(3, 3));
    expect(s.delivered).toEqual([1, 2, 3]);
  });

  test('drops what it has delivered, whole or in part', () => {
    const s = sequencer([]);
    s.receive(hint(1, 3));
    s.receive(hint(2, 3));
    s.receive(hint(3, 4));
    expect(s.delivered).toEqual([1, 2, 3, 4]);
  });

  test('fills a gap from the store before what comes after it', async () => {
    const s = sequencer([1, 2, 3, 4, 5].map(event));
    s.receive(hint(1, 1));
    s.receive(hint(4, 4));
    s.receive(hint(5, 5));
    await s.settled();
    expect(s.delivered).toEqual([1, 2, 3, 4, 5]);
  });

  test('goes on when the store cannot fill the gap', async () => {
    const s = sequencer([]);
    s.receive(hint(1, 1));
    s.receive(hint(4, 4));
    s.receive(hint(5, 5));
    await s.settled();
    expect(s.delivered).toEqual([1, 4, 5]);
  });

  test('delivers late what lies before the first thing it heard', () => {
    const s = sequencer([]);
    s.receive(hint(2, 2));
    s.receive(hint(1, 1));
    s.receive(hint(1, 1));
    s.receive(hint(3, 3));
    expect(s.delivered).toEqual([2, 1, 3]);
  });

  test('makes one gap-free order of hints that are lost, doubled and shuffled', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 2, max: 30 }), { maxLength: 60 }), async (order) => {
        const s = sequencer(Array.from({ length: 30 }, (_, i) => event(i + 1)));
        s.receive(hint(1, 1));
        for (const seq of order) s.receive(hint(seq, seq));
        await s.settled();
        const head = Math.max(1, ...order);
        expect(s.delivered).toEqual(Array.from({ length: head }, (_, i) => i + 1));
      }),
    );
  });
});
