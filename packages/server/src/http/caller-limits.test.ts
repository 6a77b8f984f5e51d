import { expect, test } from 'vitest';
import { CallerLimits } from './caller-limits.ts';

const clock = { now: () => 1_700_000_000_000 };

test('one caller does not use up what is another caller’s', () => {
  const limits = new CallerLimits({ perSecond: 2, burst: 1 }, clock);
  expect(limits.take('account 31')).toBe(0);
  expect(limits.take('account 31')).toBe(500);
  expect(limits.take('account 7')).toBe(0);
});

test('only the callers seen last are remembered', () => {
  const limits = new CallerLimits({ perSecond: 1, burst: 1 }, clock, 2);
  limits.take('a');
  limits.take('b');
  limits.take('a');
  limits.take('c');
  expect(limits.take('a')).toBe(1000);
  expect(limits.take('b')).toBe(0);
});
