import { expect, test } from 'vitest';
import { mayRead } from './browser-rules.ts';

test.each([
  ['https://shop.example', ['https://shop.example'], false, true],
  ['https://shop.example', ['https://other.example'], false, false],
  ['https://shop.example', ['*'], false, true],
  ['http://localhost:5173', ['https://shop.example'], true, false],
  ['http://localhost:5173', null, true, true],
  ['http://127.0.0.1:8080', null, true, true],
  ['http://[::1]:8080', null, true, true],
  ['http://localhost:5173', null, false, false],
  ['http://localhost.evil.example', null, true, false],
  ['http://127.0.0.1.evil.example', null, true, false],
  ['null', null, true, false],
])('pages of %s, allowed %j, demo %j: %j', (origin, allowed, demo, may) => {
  expect(mayRead(origin, allowed, demo)).toBe(may);
});
