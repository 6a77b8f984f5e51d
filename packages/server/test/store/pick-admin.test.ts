import { expect, test } from 'vitest';
import { Assignment, type Candidate, pickAdmin } from '../../src/domain/assignment.ts';
import type { Store } from '../../src/domain/ports.ts';

const c = (adminId: number, active: number, idleSince: number): Candidate => ({ adminId, active, idleSince });

test.each([
  ['nobody online', [], 10, null, null],
  ['the only one', [c(1, 0, 0)], 10, null, 1],
  ['fewest active', [c(1, 3, 0), c(2, 1, 9), c(3, 2, 0)], 10, null, 2],
  ['a tie: idle longest', [c(1, 1, 20), c(2, 1, 10), c(3, 1, 30)], 10, null, 2],
  ['a tie of both: lowest id', [c(3, 1, 10), c(2, 1, 10)], 10, null, 2],
  ['nobody below capacity', [c(1, 10, 0), c(2, 11, 0)], 10, null, null],
  ['one place left', [c(1, 10, 0), c(2, 9, 0)], 10, null, 2],
  ['the last admin before all others', [c(1, 0, 0), c(2, 9, 9)], 10, 2, 2],
  ['the last admin is full', [c(1, 5, 0), c(2, 10, 9)], 10, 2, 1],
  ['the last admin is away', [c(1, 5, 0)], 10, 2, 1],
  ['capacity of one', [c(1, 1, 0), c(2, 0, 0)], 1, 1, 2],
] as const)('pickAdmin: %s', (_name, candidates, capacity, last, expected) => {
  expect(pickAdmin([...candidates], capacity, last)?.adminId ?? null).toBe(expected);
});

test('drain asked for the moment another run ends looks again', async () => {
  let looks = 0;
  const store = { waiting: () => Promise.resolve([looks++].map(String)) } as unknown as Store;
  const assignment = new Assignment(store, { autoAssign: () => Promise.resolve(false) });
  for (let pauses = 0; pauses < 12; pauses++) {
    const first = assignment.drain();
    for (let i = 0; i < pauses; i++) await Promise.resolve();
    const before = looks;
    await assignment.drain();
    // A run that began after the call: at least one more look than there had been.
    expect(looks).toBeGreaterThan(before);
    await first;
  }
});
