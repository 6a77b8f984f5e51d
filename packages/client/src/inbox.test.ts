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
  return { inbox, changed, woken: () => woken };
}

test('a snapshot in several frames makes the list', () => {
  const { inbox, changed } = make();
  expect(inbox.next(1_000).send).toEqual([{ type: 'inbox', requestId: 'inbox', data: { since: undefined } }]);
  inbox.snapshot({ sessions: [session('A', 3)], last: false, serverTime });
  expect(inbox.complete).toBe(false);
  inbox.snapshot({ sessions: [session('B', 1, { status: 'active', adminId: 7 })], last: true, serverTime });
  expect([inbox.complete, inbox.sessions.map(({ sessionId }) => sessionId), inbox.get('B')?.adminId]).toEqual([
    true,
    ['A', 'B'],
    7,
  ]);
  expect(changed).toEqual(['A waiting 3', 'B active 1']);
});

test('after a break it asks for what has changed, and what is closed leaves', () => {
  const { inbox, changed } = make();
  inbox.next(1_000);
  inbox.snapshot({ sessions: [session('A', 3), session('B', 1), session('C', 1)], last: true, serverTime });
  inbox.connected();
  expect(inbox.next(9_000).send).toEqual([{ type: 'inbox', requestId: 'inbox', data: { since: serverTime } }]);
  changed.length = 0;
  // C is closed too, and not even told.
  inbox.snapshot({ sessions: [session('A', 4), session('B', 2, { status: 'closed' })], last: true, serverTime });
  expect(changed).toEqual(['A waiting 4', 'B closed 2', 'C closed 1']);
  expect(inbox.sessions.map(({ sessionId }) => sessionId)).toEqual(['A']);
});

test('what is told live moves it on, and is not undone by an older snapshot', () => {
  const { inbox } = make();
  inbox.next(1_000);
  inbox.snapshot({ sessions: [session('A', 3)], last: true, serverTime });
  inbox.note('A', 5, { status: 'active', adminId: 7 });
  inbox.note('A', 4, { status: 'waiting', adminId: null });
  inbox.connected();
  inbox.next(9_000);
  inbox.snapshot({ sessions: [session('A', 4)], last: true, serverTime });
  expect(inbox.get('A')).toEqual(session('A', 5, { status: 'active', adminId: 7 }));
  inbox.note('A', 6, { status: 'closed', adminId: 7 });
  expect(inbox.get('A')).toBeUndefined();
});

test('a session that nobody told of is asked for, at most once a second', () => {
  const { inbox, woken } = make();
  inbox.next(1_000);
  inbox.snapshot({ sessions: [], last: true, serverTime });
  inbox.note('new', 1, {});
  inbox.note('gone', 9, { status: 'closed' });
  expect(woken()).toBe(1);
  expect(inbox.next(1_200)).toEqual({ send: [], wakeAt: 2_000 });
  expect(inbox.next(2_000).send).toHaveLength(1);
});

test('a snapshot that does not come is asked for again', () => {
  const { inbox } = make();
  const { wakeAt } = inbox.next(1_000);
  expect(inbox.next(wakeAt - 1).send).toEqual([]);
  expect(inbox.next(wakeAt).send).toHaveLength(1);
});
