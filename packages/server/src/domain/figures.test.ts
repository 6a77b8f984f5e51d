import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ALL,
  endOf,
  type Figures,
  figureNames,
  SILENT,
  SLOT_MS,
  slotOf,
  STRETCH_MS,
  stretchOf,
  Tally,
} from './figures.ts';
import type { SessionState } from './session.ts';

const time = fc.option(fc.integer({ min: 0, max: 4 * SLOT_MS }), { nil: null });
const anySession: fc.Arbitrary<SessionState> = fc.record({
  sessionId: fc.constant('s'),
  userId: fc.constant(1),
  nickname: fc.constant(''),
  avatar: fc.constant(''),
  adminId: fc.constant(null),
  lastAdminId: fc.constant(null),
  status: fc.constantFrom('waiting', 'active', 'closed'),
  createdAt: fc.constant(SLOT_MS),
  waitingSince: fc.constant(null),
  closedAt: time,
  lastMessageTime: fc.option(fc.constantFrom(0, STRETCH_MS - 1, STRETCH_MS, 2 * STRETCH_MS), { nil: null }),
  lastMessageId: fc.constant(null),
  messageCount: fc.nat(9),
  lastSeq: fc.nat(9),
  firstUserMessageAt: fc.constant(5),
  firstReplyAt: time,
  ratingScore: fc.integer({ min: 1, max: 5 }),
  ratingComment: fc.constant(''),
  ratedAt: time,
});

/** Most changes of a session touch little of it. */
const anyChange = anySession.chain((session) =>
  fc
    .subarray(Object.keys(session) as (keyof SessionState)[], { minLength: 1, maxLength: 2 })
    .map((keys) => Object.fromEntries(keys.map((key) => [key, session[key]]))),
);

const changes = (fill: (tally: Tally) => void): [number, Figures][] => {
  const tally = new Tally();
  fill(tally);
  return tally.changes();
};

test('it does not matter by which states a session came to the one it is in', () => {
  fc.assert(
    fc.property(anySession, fc.array(anyChange, { maxLength: 12 }), (first, changed) => {
      const states = [first];
      for (const change of changed) states.push({ ...(states.at(-1) as SessionState), ...change });
      const way = changes((tally) => {
        for (const [i, state] of states.entries()) tally.session(states[i - 1] ?? null, state);
      });
      expect(way).toEqual(changes((tally) => tally.session(null, states.at(-1) as SessionState)));
    }),
  );
});

test('nothing that is counted is below 0, and what stays the same changes nothing', () => {
  fc.assert(
    fc.property(anySession, (state) => {
      const counted = changes((tally) => tally.session(null, state));
      for (const [, figures] of counted)
        for (const name of figureNames) expect(figures[name]).toBeGreaterThanOrEqual(0);
      expect(changes((tally) => tally.session(state, { ...state, messageCount: 7, lastSeq: 99 }))).toEqual([]);
    }),
  );
});

test('changes come in the order of their slots, messages in the slot of their time', () => {
  const found = changes((tally) => {
    for (const at of [3 * SLOT_MS, SLOT_MS - 1, 0, 3 * SLOT_MS + 1]) tally.message(at);
    tally.add(ALL, 'active', 2);
  });
  expect(found.map(([slot, { active, messages }]) => [slot, active, messages])).toEqual([
    [ALL, 2, 0],
    [0, 0, 2],
    [slotOf(3 * SLOT_MS), 0, 2],
  ]);
});

test('stretches of the list are in its order: newest first, those without a message last', () => {
  const order = [5 * STRETCH_MS, 5 * STRETCH_MS - 1, 0, null].map(stretchOf);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(new Set(order).size).toBe(4);
  expect([order.at(-1), SILENT < ALL]).toEqual([SILENT, true]);
  expect([endOf(stretchOf(0)), endOf(stretchOf(5 * STRETCH_MS - 1))]).toEqual([STRETCH_MS, 5 * STRETCH_MS]);
});
