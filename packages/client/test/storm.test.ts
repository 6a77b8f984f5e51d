/** `SDK_STORM_CYCLES=500 TEST_SEED=7 npm test -- packages/client/test/storm` for a longer one, or the same again. */
import { expect, test } from 'vitest';
import { seed } from '../../../testing/seed.ts';
import { storm } from './support/storm.ts';

const cycles = Number(process.env['SDK_STORM_CYCLES'] ?? 12);

test(
  `whatever breaks (seed ${seed}): what is written is stored once, in order, and shown so to everybody`,
  async () => {
    const { figures, faults, ...found } = await storm({ seed, cycles });
    if (cycles > 100) process.stdout.write(`${JSON.stringify({ seed, ...figures, faults })}\n`);
    expect(found).toEqual({
      verdict: { lost: [], doubled: [], disordered: [], holes: [], miscounted: [] },
      unstored: [],
      twice: [],
      disordered: [],
      otherwise: [],
      failed: [],
      shownTwice: [],
    });
    expect(figures['stored']).toBeGreaterThan(cycles * 5);
  },
  120_000 + cycles * 10_000,
);
