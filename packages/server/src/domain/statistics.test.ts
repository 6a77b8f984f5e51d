import { expect, test } from 'vitest';
import { SLOT_MS } from './figures.ts';
import { businessDay } from './statistics.ts';

const day = (at: string, zone: string): { from: string; to: string } => {
  const { from, to } = businessDay(Date.parse(at), zone);
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
};

test.each([
  ['no clock change', '2026-11-25T16:00:00Z', 'Asia/Shanghai', '2026-11-25T16:00:00.000Z', '2026-11-26T16:00:00.000Z'],
  [
    'a day of 23 hours',
    '2026-03-29T10:00:00Z',
    'Europe/Berlin',
    '2026-03-28T23:00:00.000Z',
    '2026-03-29T22:00:00.000Z',
  ],
  [
    'a day of 25 hours',
    '2026-10-25T10:00:00Z',
    'Europe/Berlin',
    '2026-10-24T22:00:00.000Z',
    '2026-10-25T23:00:00.000Z',
  ],
  ['half an hour', '2026-11-25T10:00:00Z', 'Asia/Kolkata', '2026-11-24T18:30:00.000Z', '2026-11-25T18:30:00.000Z'],
  // The clocks of Cairo are put forward at midnight: that day begins at one o'clock.
  [
    'a day without a midnight',
    '2024-04-26T12:00:00Z',
    'Africa/Cairo',
    '2024-04-25T22:00:00.000Z',
    '2024-04-26T21:00:00.000Z',
  ],
  ['far east', '2026-11-25T10:30:00Z', 'Pacific/Kiritimati', '2026-11-25T10:00:00.000Z', '2026-11-26T10:00:00.000Z'],
])('the business day: %s', (_name, at, zone, from, to) => {
  expect(day(at, zone)).toEqual({ from, to });
});

test('a day of any zone is a whole number of the slots in which the store counts', { timeout: 60_000 }, () => {
  const odd = Intl.supportedValuesOf('timeZone').filter((zone) =>
    [0, 180].some((days) => {
      const { from, to } = businessDay(Date.UTC(2026, 0, 1 + days), zone);
      return from % SLOT_MS !== 0 || to % SLOT_MS !== 0;
    }),
  );
  expect(odd).toEqual([]);
});
