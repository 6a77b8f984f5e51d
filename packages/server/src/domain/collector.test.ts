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

test('collects for a while behind a question of a storm, and behind no other', async () => {
  const asked: number[] = [];
  let pauses = 0;
  let go: () => void = () => undefined;
  const pause = (): Promise<void> => {
    pauses++;
    return new Promise((resolve) => (go = resolve));
  };
  const answer = (questions: readonly number[]): Promise<number[]> => {
    asked.push(questions.length);
    return Promise.resolve([...questions]);
  };
  const collector = new Collector<number, number>(100, answer, pause);
  const ask = (count: number): Promise<number[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => collector.ask(i)));
  await ask(7);
  await ask(1);
  expect(pauses).toBe(0);
  await ask(8);
  await expect.poll(() => pauses).toBe(1);
  const late = [ask(2), ask(3)];
  expect(asked).toEqual([7, 1, 8]);
  go();
  await Promise.all(late);
  expect(asked).toEqual([7, 1, 8, 5]);
});
