import { expect, test } from 'vitest';
import { createOwn, type Own } from './own.ts';
import type { ChatMessage } from './session-view.ts';

const at = Date.parse('2025-08-13T00:30:00.000Z');
const entry = { clientMessageId: 'c1', sessionId: null, content: 'mine', at };

function told(): { own: Own; changed: (string | null)[]; ids: (sessionId: string | null) => unknown[] } {
  const changed: (string | null)[] = [];
  const own = createOwn('user', (sessionId) => changed.push(sessionId));
  return { own, changed, ids: (sessionId) => own.of(sessionId).map(({ clientMessageId }) => clientMessageId) };
}

test('a message that names no session is in the present conversation, whichever that is', () => {
  const { own, changed, ids } = told();
  own.show(entry);
  own.show({ ...entry, clientMessageId: 'c2', sessionId: 'T' });
  expect([ids(null), ids('S'), ids('T')]).toEqual([['c1'], [], ['c2']]);
  own.here = 'S';
  expect([ids(null), ids('S'), ids('T')]).toEqual([[], ['c1'], ['c2']]);
  own.here = 'S';
  expect(changed).toEqual([null, 'T', null, 'S']);
});

test('a message is in one place, and both places are told when it moves', () => {
  const { own, changed, ids } = told();
  own.here = 'S';
  own.show(entry);
  const [message] = own.of('S') as [ChatMessage];
  changed.length = 0;
  own.put('c1', { sessionId: 'T', message: { ...message, status: 'sent', seq: 3 } });
  expect([ids('S'), ids('T'), changed]).toEqual([[], ['c1'], ['S', 'T']]);
  own.put('c1');
  own.put('c1');
  expect([ids('T'), changed]).toEqual([[], ['S', 'T', 'T']]);
});

test('a message that failed stays where it stood among the others', () => {
  const { own } = told();
  own.show(entry);
  own.show({ ...entry, clientMessageId: 'c2' });
  own.show(entry, 'EXPIRED');
  expect(own.of(null).map(({ status, error }) => [status, error])).toEqual([
    ['failed', 'EXPIRED'],
    ['sending', undefined],
  ]);
});
