/** A few seconds of what `npm run fuzz` does for hours. */
import { expect, test } from 'vitest';
import { seed } from '../../testing/seed.ts';
import { fuzzers } from './fuzzers.ts';

test.each([
  ['frames', 10_000],
  ['rest', 1_000],
  ['tcp', 400],
] as const)(
  `R4.5 R11.6 %s × %i (seed ${seed}): the server lives, serves others, and says nothing of itself`,
  async (name, count) => {
    const { tried, wrong, neighbour } = (await fuzzers[name]?.({ count, minutes: 0.2 }, seed)) ?? {};
    // Memory finds its size in longer runs.
    expect(wrong?.filter((line) => !line.startsWith('memory grew'))).toEqual([]);
    expect(tried).toBeGreaterThan(0);
    expect(neighbour?.acks).toBeGreaterThan(0);
  },
  180_000,
);
