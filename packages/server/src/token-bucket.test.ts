import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

function atTime(): { now: () => number; ms: number } {
  const clock = { ms: 1_700_000_000_000, now: () => clock.ms };
  return clock;
}

test('a burst passes at once, then one token in the time of one', () => {
  const clock = atTime();
  const bucket = new TokenBucket(4, 3, clock);
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([0, 0, 0]);
  expect(bucket.take()).toBe(250);
  clock.ms += 100;
  expect(bucket.take()).toBe(150);
  clock.ms += 150;
  expect(bucket.take()).toBe(0);
  expect(bucket.take()).toBe(250);
});

test('an idle bucket holds no more than a burst', () => {
  const clock = atTime();
  const bucket = new TokenBucket(100, 2, clock);
  clock.ms += 3_600_000;
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([0, 0, 10]);
});

test('many are taken together or not at all', () => {
  const bucket = new TokenBucket(1, 5, atTime());
  expect(bucket.take(3)).toBe(0);
  expect(bucket.take(3)).toBe(1000);
  expect(bucket.take(2)).toBe(0);
});

test('a clock that is set back neither gives tokens nor blocks for as long as it was set back', () => {
  const clock = atTime();
  const bucket = new TokenBucket(1, 1, clock);
  bucket.take();
  clock.ms -= 3_600_000;
  expect(bucket.take()).toBe(1000);
  clock.ms += 1000;
  expect(bucket.take()).toBe(0);
});

test('whatever the rate: never more than burst + rate × time, and the wait it names is enough', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 1000, noNaN: true }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 100 }),
      (perSecond, burst, steps) => {
        const clock = atTime();
        const bucket = new TokenBucket(perSecond, burst, clock);
        const start = clock.ms;
        let taken = 0;
        for (const step of steps) {
          clock.ms += step;
          const wait = bucket.take();
          if (wait > 0) {
            clock.ms += wait;
            expect(bucket.take()).toBe(0);
          }
          taken++;
          expect(taken).toBeLessThanOrEqual(burst + ((clock.ms - start) * perSecond) / 1000 + 0.001);
        }
      },
    ),
  );
});
