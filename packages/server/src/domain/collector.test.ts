import { expect, test } from 'vitest';
import { Collector } from './collector.ts';

test('collects while one question is under way, at most so many at once, answers in order', async () => {
  const asked: number[][] = [];
  const collector = new Collector<number, number>(3, (questions) => {
    asked.push([...questions]);
    return Promise.resolve(questions.map((q) => q * 10));
  });
  const answers = await Promise.all([1, 2, 3, 4, 5].map((q) => collector.ask(q)));
  expect(answers).toEqual([10, 20, 30, 40, 50]);
  expect(asked).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
});

test('a failure fails those who were asked together, not the next', async () => {
  let calls = 0;
  const collector = new Collector<number, number>(2, (questions) =>
    ++calls === 1 ? Promise.reject(new Error('away')) : Promise.resolve(questions.map(() => 1)),
  );
  const results = await Promise.allSettled([1, 2, 3].map((q) => collector.ask(q)));
  expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});
