import { expect, test } from 'vitest';
import { createInbox, type InboxEntry } from './inbox.ts';

const serverTime = '2025-08-13T00:30:00.000Z';
const session = (sessionId: string, lastSeq: number, more: Partial<InboxEntry> = {}): InboxEntry => ({
  sessionId,
  userId: 31,
  status: 'waiting',
  adminId: null,
  lastSeq,
  ...more,
});

function make() {
  const changed: string[] = [];
  let woken = 0;
  const inbox = createInbox(
    ({ sessionId, status, lastSeq }) => changed.push(`${sessionId} ${status} ${lastSeq}`),
    () => (woken += 1),
  );
  let asked: unknown;
  return {
    inbox,
    changed,
    woken: () => woken,
    ask: (now: number) => {
      const turn = inbox.next(now);
      for (const frame of turn.send) asked = (frame as { requestId: unknown }).requestId;
      return turn;
    },
    answer: (sessions: InboxEntry[], last = true, requestId = asked) =>
      inbox.snapshot({ sessions, last, serverTime }, requestId),
    asked: () => asked,
  };
}

test('a snapshot in several frames makes the list', () => {
  const { inbox, changed, ask, answer } = make();
  expect(ask(1_000).send).toEqual([{ type: 'inbox', requestId: 'inbox1', data: { since: undefined } }]);
  answer([session('A', 3)], false);
  expect(inbox.complete).toBe(false);
  answer([session('B', 1, { status: 'active', adminId: 7 })]);
  expect([inbox.complete, inbox.sessions.map(({ sessionId }) => sessionId), inbox.get('B')?.adminId]).toEqual([
    true,
    ['A', 'B'],
    7,
  ]);
  expect(changed).toEqual(['A waiting 3', 'B active 1']);
});

test('after a break it asks for what has changed, and what is closed leaves', () => {
  const { inbox, changed, ask, answer } = make();
  ask(1_000);
  answer([session('A', 3), session('B', 1), session('C', 1)]);
  inbox.connected();
  expect(ask(9_000).send).toEqual([{ type: 'inbox', requestId: 'inbox2', data: { since: serverTime } }]);
  changed.length = 0;
  // C is closed too, and not even told.
  answer([session('A', 4), session('B', 2, { status: 'closed' })]);
  expect(changed).toEqual(['A waiting 4', 'B closed 2', 'C closed 1']);
  expect(inbox.sessions.map(({ sessionId }) => sessionId)).toEqual(['A']);
});

test('what is told live moves it on, and is not undone by an older snapshot', () => {
  const { inbox, ask, answer } = make();
  ask(1_000);
  answer([session('A', 3)]);
  inbox.note('A', 5, { status: 'active', adminId: 7 });
  inbox.note('A', 4, { status: 'waiting', adminId: null });
  inbox.connected();
  ask(9_000);
  answer([session('A', 4)]);
  expect(inbox.get('A')).toEqual(session('A', 5, { status: 'active', adminId: 7 }));
  inbox.note('A', 6, { status: 'closed', adminId: 7 });
  expect(inbox.get('A')).toBeUndefined();
});

test('a session that nobody told of is asked for, at most once a second', () => {
  const { inbox, woken, ask, answer } = make();
  ask(1_000);
  answer([]);
  inbox.note('new', 1, {});
  inbox.note('gone', 9, { status: 'closed' });
  expect(woken()).toBe(1);
  expect(ask(1_200)).toEqual({ send: [], wakeAt: 2_000 });
  expect(ask(2_000).send).toHaveLength(1);
});

test('a snapshot that does not come is asked for again', () => {
  const { ask } = make();
  const { wakeAt } = ask(1_000);
  expect(ask(wakeAt - 1).send).toEqual([]);
  expect(ask(wakeAt).send).toHaveLength(1);
});

test('the end of a snapshot that came too late closes nothing', () => {
  const { inbox, ask, answer, asked } = make();
  const { wakeAt } = ask(1_000);
  answer([session('A', 3)]);
  inbox.connected();
  ask(wakeAt);
  const late = asked();
  answer([session('A', 3)], false);
  ask(wakeAt * 2);
  answer([session('B', 1)], true, late);
  expect(inbox.sessions.map(({ sessionId }) => sessionId)).toEqual(['A']);
  answer([session('A', 3), session('B', 1)]);
  expect(inbox.sessions.map(({ sessionId }) => sessionId)).toEqual(['A', 'B']);
});
