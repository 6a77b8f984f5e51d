import { expect, test } from 'vitest';
import { isAllowedOrigin } from './origin.ts';

test.each([
  // origin, host, allowed, demo, answer
  [undefined, 'chat.example', null, false, true],
  ['https://chat.example', 'chat.example', null, false, true],
  ['https://CHAT.example', 'Chat.Example', null, false, true],
  ['https://shop.example', 'chat.example', null, false, false],
  ['https://chat.example.evil', 'chat.example', null, false, false],
  ['null', 'chat.example', null, false, false],
  ['https://evil@chat.example', 'chat.example', null, false, false],
  ['file://', 'chat.example', null, false, false],
  ['http://localhost:5173', '127.0.0.1:8787', null, false, false],
  ['http://localhost:5173', '127.0.0.1:8787', null, true, true],
  ['http://[::1]:5173', '127.0.0.1:8787', null, true, true],
  ['http://[::1]:80', '127.0.0.1:8787', null, true, true],
  ['http://localhost.evil', '127.0.0.1:8787', null, true, false],
  ['https://shop.example', 'chat.example', ['https://shop.example'], false, true],
  ['https://shopXexample', 'chat.example', ['https://shop.example'], false, false],
  ['http://shop.example', 'chat.example', ['https://shop.example'], false, false],
  ['null', 'chat.example', ['*'], false, true],
] as const)('origin %s at host %s, allowed %j, demo %s: %s', (origin, host, allowed, demo, answer) => {
  expect(isAllowedOrigin(origin, host, allowed, demo)).toBe(answer);
});
