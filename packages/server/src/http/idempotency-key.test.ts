import { expect, test } from 'vitest';
import { clientMessageIdOf } from './idempotency-key.ts';

test.each([
  [undefined, undefined, null],
  [undefined, 'k1', 'k1'],
  ['k1', undefined, 'k1'],
  ['"k1"', undefined, 'k1'],
  ['"k1"', 'k1', 'k1'],
])('header %j and body %j mean %j', (header, inBody, id) => {
  expect(clientMessageIdOf(header, inBody)).toBe(id);
});

test.each([
  ['k 1', undefined],
  ['', undefined],
  ['""', undefined],
  ['"k1', undefined],
  ['k'.repeat(65), undefined],
  ['k1, k2', undefined],
  ['k1', 'k2'],
])('header %j with body %j is refused by the name of the header', (header, inBody) => {
  expect(() => clientMessageIdOf(header, inBody)).toThrowError(
    expect.objectContaining({
      code: 'INVALID_PARAMETER',
      fault: expect.objectContaining({ field: 'Idempotency-Key' }),
    }),
  );
});
