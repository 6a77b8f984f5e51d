import { ChatError } from '@switchboard/protocol';
import { expect, test } from 'vitest';
import { asChatError } from './failure.ts';

test('an error that callers are meant to see stays itself', () => {
  const error = new ChatError('CONFLICT');
  expect(asChatError(error)).toBe(error);
});

test.each([
  [{ code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }, 'PAYLOAD_TOO_LARGE'],
  [{ code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }, 'UNSUPPORTED_MEDIA_TYPE'],
  [{ code: 'FST_ERR_CTP_INVALID_CONTENT_LENGTH', statusCode: 400 }, 'INVALID_PARAMETER'],
  [{ code: 'ECONNRESET', statusCode: 400 }, 'INVALID_PARAMETER'],
  [{ code: 'FST_ERR_REP_INVALID_PAYLOAD_TYPE', statusCode: 500 }, 'INTERNAL'],
  [new TypeError('x is not a function'), 'INTERNAL'],
  ['a text', 'INTERNAL'],
  [undefined, 'INTERNAL'],
])('%j is told as %s', (thrown, code) => {
  expect(asChatError(thrown).code).toBe(code);
});

test('what went wrong inside is kept for the log', () => {
  const thrown = new TypeError('x is not a function');
  expect(asChatError(thrown).cause).toBe(thrown);
});
