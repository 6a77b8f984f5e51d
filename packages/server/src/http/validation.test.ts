import { ChatError, ListSessionsQuery, MessagesQuery, SendMessageBody, SessionParams } from '@switchboard/protocol';
import type Type from 'typebox';
import { expect, test } from 'vitest';
import { compileChecks, withIntegers } from './validation.ts';

interface Checked {
  value?: unknown;
  error?: ChatError;
}

function check(schema: Type.TSchema, httpPart: string, data: unknown): Checked {
  return compileChecks({ schema, httpPart, method: 'GET', url: '/' })(data) as Checked;
}

test('integers of a query become numbers, and only where integers are expected', () => {
  expect(check(ListSessionsQuery, 'querystring', { page: '2', pageSize: '100', other: '3' })).toEqual({
    value: { page: 2, pageSize: 100, other: '3' },
  });
  expect(check(MessagesQuery, 'querystring', { afterSeq: '999999999999999' }).value).toEqual({
    afterSeq: 999_999_999_999_999,
  });
});

test.each(['', ' 1', '1.5', '1e3', '0x10', '+1', '１', 'NaN', '9999999999999999', '--1'])(
  'page=%j stays a text and is refused',
  (page) => {
    expect(withIntegers({ page }, ['page'])).toEqual({ page });
    expect(check(ListSessionsQuery, 'querystring', { page }).error?.fault?.field).toBe('page');
  },
);

test.each([
  [{ page: '0' }, 'page'],
  [{ page: '-1' }, 'page'],
  [{ pageSize: '101' }, 'pageSize'],
  [{ page: ['1', '2'] }, 'page'],
  [{ status: 'open' }, 'status'],
  [{ status: ['all', 'all'] }, 'status'],
])('the query %j is refused for its %s', (query, field) => {
  const { error } = check(ListSessionsQuery, 'querystring', query);
  expect(error).toBeInstanceOf(ChatError);
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER', fault: { field } });
});

test('nothing in a body is converted', () => {
  const body = { content: 'x', adminId: '7' };
  expect(check(SendMessageBody, 'body', body).error?.fault?.field).toBe('adminId');
  expect(check(SendMessageBody, 'body', { content: 5 }).error?.fault?.field).toBe('content');
});

test.each([undefined, null, {}])('the body %j is told by what it lacks', (body) => {
  expect(check(SendMessageBody, 'body', body).error?.fault?.field).toBe('content');
});

test('a bad id in a path is named', () => {
  expect(check(SessionParams, 'params', { sessionId: 'a/b' }).error?.fault?.field).toBe('sessionId');
});
