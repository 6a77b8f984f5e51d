import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Outcome } from '../domain/command.ts';
import type { Hint } from '../domain/ports.ts';
import type { ChatMessage, MessageEvent } from '../domain/session.ts';
import { frameMessage, iso, userInfo } from '../domain/views.ts';
import { FrameWriter } from './frames.ts';

const words = fc.string({ unit: 'binary', maxLength: 20 });
const message: fc.Arbitrary<ChatMessage> = fc.record({
  messageId: words,
  sessionId: words,
  seq: fc.nat(),
  senderId: fc.integer(),
  senderType: fc.constantFrom('user' as const, 'admin' as const),
  content: words,
  messageType: fc.constantFrom('text' as const, 'image' as const),
  status: fc.constantFrom('sent' as const, 'read' as const),
  createdAt: fc.nat(4e12),
  attachments: fc.array(fc.record({ url: words, size: fc.nat() }), { maxLength: 2 }),
  clientMessageId: fc.option(words),
});
const requestId = fc.option(fc.oneof(words, fc.integer()), { nil: undefined });
const user = fc.record({ id: fc.integer(), nickname: words, avatar: words });

test('a message frame is what its view says, in the order of the document', () => {
  fc.assert(
    fc.property(message, user, (stored, names) => {
      const hint = { sessionId: stored.sessionId, user: names } as Hint;
      const event: MessageEvent = { kind: 'message', seq: stored.seq, at: stored.createdAt, message: stored };
      const type = stored.senderType === 'user' ? 'new_user_message' : 'new_admin_message';
      const data = { sessionId: stored.sessionId, message: frameMessage(stored), userInfo: userInfo(names) };
      const text = new FrameWriter({}).message(hint, event);
      expect(text).toBe(JSON.stringify({ type, data }));
    }),
  );
});

test('an ack is what the schema says, and repeats the request’s mark', () => {
  fc.assert(
    fc.property(message, fc.boolean(), requestId, (stored, duplicate, mark) => {
      const outcome = { session: { sessionId: stored.sessionId }, message: stored, duplicate, events: [] };
      const text = new FrameWriter({}).ack(outcome as unknown as Outcome, mark);
      const marks = mark === undefined ? {} : { requestId: mark };
      expect(JSON.parse(text)).toEqual({
        type: 'message_ack',
        data: {
          sessionId: stored.sessionId,
          messageId: stored.messageId,
          clientMessageId: stored.clientMessageId,
          seq: stored.seq,
          status: 'sent',
          timestamp: iso(stored.createdAt),
          ...(duplicate ? { duplicate } : {}),
          ...marks,
        },
        ...marks,
      });
    }),
  );
});

test('frames go by the names that a front end expects', () => {
  const frames = new FrameWriter({ new_admin_message: 'admin_message', message_ack: 'stored' });
  const stored = { ...fc.sample(message, 1)[0], senderType: 'admin' } as ChatMessage;
  const event: MessageEvent = { kind: 'message', seq: 1, at: 1, message: stored };
  const hint = { sessionId: 's', user: { id: 1, nickname: '', avatar: '' } } as Hint;
  expect(JSON.parse(frames.message(hint, event))).toMatchObject({ type: 'admin_message' });
  const outcome = { session: { sessionId: 's' }, message: stored } as unknown as Outcome;
  expect(JSON.parse(frames.ack(outcome, 1))).toMatchObject({ type: 'stored', requestId: 1 });
});
