import { expect, test } from 'vitest';
import { Chance } from './chance.ts';

test('the same seed makes the same run, today and in later versions: seeds that found something are pinned', () => {
  const chance = new Chance(1);
  expect([chance.next(), chance.below(1_000), chance.happens(528), chance.pick(['a', 'b', 'c'])]).toEqual([
    0.6270739405881613,
    2,
    true,
    'c',
  ]);
  expect([...new Chance(2).bytes(4)]).toEqual([...new Chance(2).bytes(4)]);
  expect(new Chance(2).next()).not.toBe(new Chance(3).next());
});
