import type { FrameMessage } from '@switchboard/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOwn, type Own } from './own.ts';
import { createView, type ViewEvent, type WritableView } from './session-view.ts';

const at = '2025-08-13T00:30:00.000Z';

function message(seq: number, more: Partial<FrameMessage> = {}): ViewEvent {
  const fixed = {
    messageId: `msg_${seq}`,
    senderId: 31,
    senderType: 'user',
    messageType: 'text',
    status: 'sent',
  } as const;
  return {
    kind: 'message',
    seq,
    at,
    message: { ...fixed, content: `${seq}`, createdAt: at, seq, attachments: [], ...more },
  };
}

function status(seq: number, to: 'waiting' | 'active' | 'closed', adminId: number | null): ViewEvent {
  return { kind: 'status', seq, at, status: to, adminId };
}

/** Gives the view an event. @returns what that let be applied, in order */
function take(view: WritableView, event: ViewEvent): ViewEvent[] {
  const applied: ViewEvent[] = [];
  view.add(event);
  for (let next; (next = view.apply());) applied.push(next);
  return applied;
}

function viewOf(...events: ViewEvent[]): WritableView {
  const view = createView('S', 'user', () => []);
  for (const event of events) take(view, event);
  return view;
}

const contents = (view: WritableView): string[] => view.messages.map(({ content }) => content);
const entry = { clientMessageId: 'c1', sessionId: 'S', content: 'mine', at: Date.parse(at) };

describe('events', () => {
  test('are applied in order, each once, whatever the order they come in', () => {
    const view = viewOf();
    expect(take(view, message(1)).map(({ seq }) => seq)).toEqual([1]);
    expect(take(view, message(3))).toEqual([]);
    expect([view.lastSeq, view.behind]).toEqual([1, true]);
    expect(take(view, message(1))).toEqual([]);
    expect(take(view, message(2)).map(({ seq }) => seq)).toEqual([2, 3]);
    expect([view.lastSeq, view.behind]).toEqual([3, false]);
    expect(contents(view)).toEqual(['1', '2', '3']);
  });

  test('make the status, the admin and the rating', () => {
    const view = viewOf(message(1));
    expect([view.status, view.adminId]).toEqual(['waiting', null]);
    take(view, status(2, 'active', 7));
    expect([view.status, view.adminId]).toEqual(['active', 7]);
    take(view, { kind: 'rating', seq: 3, at, by: { type: 'user', id: 31 }, score: 4, comment: 'good' });
    expect(view.rating).toEqual({ score: 4, comment: 'good' });
  });

  test('that are known to exist leave the view behind', () => {
    const view = viewOf(message(1));
    view.noteHead(2);
    expect(view.behind).toBe(true);
    take(view, message(2));
    expect(view.behind).toBe(false);
    view.noteHead(1);
    expect(view.behind).toBe(false);
  });

  test('from a place on leave out what lies before', () => {
    const view = createView('S', 'admin', () => []);
    view.reset(10);
    view.noteStatus('active', 7);
    take(view, message(10));
    take(view, message(11));
    expect([view.base, view.lastSeq, view.status, contents(view)]).toEqual([10, 11, 'active', ['11']]);
    take(view, status(12, 'closed', 7));
    view.noteStatus('active', 8);
    expect([view.status, view.adminId]).toEqual(['closed', 7]);
  });
});

describe('messages of our own', () => {
  function beside(...events: ViewEvent[]): { view: WritableView; own: Own } {
    const own = createOwn('user', () => undefined);
    const view = createView('S', 'user', own.of);
    for (const event of events) take(view, event);
    return { view, own };
  }

  test('are shown behind the log as long as they are not in it', () => {
    const { view, own } = beside(message(1));
    own.show(entry);
    take(view, message(2, { senderType: 'admin', senderId: 7 }));
    expect(view.messages.map(({ content, status: s, seq }) => [content, s, seq])).toEqual([
      ['1', 'sent', 1],
      ['2', 'sent', 2],
      ['mine', 'sending', null],
    ]);
    own.put('c1');
    expect(contents(view)).toEqual(['1', '2']);
  });

  test('make another list whenever one of them changes, and only then', () => {
    const { view, own } = beside(message(1));
    const lists = [view.messages];
    for (const change of [
      () => own.show(entry),
      () => own.show(entry, 'EXPIRED'),
      () => own.show({ ...entry, clientMessageId: 'c2' }),
      () => own.put('c1'),
      () => own.put('c2'),
    ]) {
      change();
      lists.push(view.messages);
      own.show({ ...entry, clientMessageId: 'other', sessionId: 'T' });
      expect(view.messages).toBe(lists.at(-1));
    }
    expect(new Set(lists).size).toBe(6);
  });

  test('are known once they are in the log, unless they are the other side’s, of another session, or other ones', () => {
    const { view } = beside(
      message(1, { clientMessageId: 'c1', content: 'mine' }),
      message(2, { clientMessageId: 'c2', content: 'mine', senderType: 'admin', senderId: 7 }),
    );
    expect(view.has(entry)).toBe(true);
    expect(view.has({ ...entry, sessionId: null })).toBe(true);
    expect(view.has({ ...entry, sessionId: 'T' })).toBe(false);
    expect(view.has({ ...entry, clientMessageId: 'c2' })).toBe(false);
    expect(view.has({ ...entry, content: 'another' })).toBe(false);
  });

  test('outlast a reset of the log', () => {
    const { view, own } = beside(message(1), status(2, 'active', 7));
    own.show(entry);
    view.addReceipt({ readerType: 'admin', readerId: 7, deliveredSeq: 1, readSeq: 1 });
    view.reset(0);
    expect([view.lastSeq, view.status, view.adminId, view.receipts, contents(view)]).toEqual([
      0,
      null,
      null,
      [],
      ['mine'],
    ]);
  });
});

describe('receipts', () => {
  test('of the other side move messages on, and never back', () => {
    const view = viewOf(message(1), message(2), message(3, { senderType: 'admin', senderId: 7 }));
    const statuses = (): string[] => view.messages.map(({ status: s }) => s);
    const reader = { readerType: 'admin', readerId: 7 } as const;
    expect(view.addReceipt({ ...reader, deliveredSeq: 2, readSeq: 0 })).toEqual({
      ...reader,
      deliveredSeq: 2,
      readSeq: 0,
    });
    expect(statuses()).toEqual(['delivered', 'delivered', 'sent']);
    // How far the reader has got in all, not what this one says alone.
    expect(view.addReceipt({ ...reader, deliveredSeq: 1, readSeq: 1 })).toEqual({
      ...reader,
      deliveredSeq: 2,
      readSeq: 1,
    });
    expect(statuses()).toEqual(['read', 'delivered', 'sent']);
    expect(view.addReceipt({ ...reader, deliveredSeq: 2, readSeq: 0 })).toBeUndefined();
    expect(view.receipts).toEqual([{ ...reader, deliveredSeq: 2, readSeq: 1 }]);
    view.addReceipt({ readerType: 'user', readerId: 31, deliveredSeq: 0, readSeq: 3 });
    expect(statuses()).toEqual(['read', 'delivered', 'read']);
  });

  test('do not lower what the log itself says', () => {
    const view = viewOf(message(1, { status: 'read' }));
    view.addReceipt({ readerType: 'admin', readerId: 7, deliveredSeq: 1, readSeq: 0 });
    expect(view.messages[0]?.status).toBe('read');
  });
});

test('the list of messages is the same one until it changes', () => {
  const view = viewOf(message(1));
  const before = view.messages;
  expect(view.messages).toBe(before);
  take(view, message(2));
  expect(view.messages).not.toBe(before);
});

test('events in any order, repeated and lost, then the rest: the view equals the log', () => {
  const kinds = fc.constantFrom('message', 'reply', 'active', 'closed', 'rating');
  const log = fc.array(kinds, { minLength: 1, maxLength: 40 }).map((list) =>
    list.map((kind, i): ViewEvent => {
      const seq = i + 1;
      if (kind === 'message') return message(seq);
      if (kind === 'reply') return message(seq, { senderType: 'admin', senderId: 7 });
      if (kind === 'rating')
        return { kind, seq, at, by: { type: 'user', id: 31 }, score: (i % 5) + 1, comment: `${i}` };
      return status(seq, kind as 'active' | 'closed', 7);
    }),
  );
  fc.assert(
    fc.property(log, fc.array(fc.nat(), { maxLength: 120 }), (events, order) => {
      const view = createView('S', 'user', () => []);
      const applied = order.flatMap((n) => take(view, events[n % events.length] as ViewEvent));
      // Never a hole, never a repeat, never out of order.
      expect(applied).toEqual(events.slice(0, view.lastSeq));
      applied.push(...events.slice(view.lastSeq).flatMap((event) => take(view, event)));
      expect(applied).toEqual(events);
      const whole = viewOf(...events);
      expect([view.messages, view.status, view.adminId, view.rating, view.lastSeq, view.behind]).toEqual([
        whole.messages,
        whole.status,
        whole.adminId,
        whole.rating,
        events.length,
        false,
      ]);
    }),
    { numRuns: 300 },
  );
}, 60_000);
