import { expect, test } from 'vitest';
import { ID_PATTERN } from '@switchboard/protocol';
import { newId, newSecret, nodeId } from './ids.ts';

test.for(['msg', 'session'] as const)('%s ids are well-formed and never repeat', (prefix) => {
  const ids = Array.from({ length: 20_000 }, () => newId(prefix));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(id).toMatch(new RegExp(ID_PATTERN));
    expect(id).toMatch(/^(msg|session)_[0-9a-z]{26}$/);
  }
});

test('message ids sort by the time they were made', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) {
    ids.push(newId('msg'));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect([...ids].sort()).toEqual(ids);
});

test('the time in a message id is 48 bits of milliseconds, most significant digit first', () => {
  const before = Date.now();
  const digits = newId('msg').slice(4, 14);
  const ms = digits.split('').reduce((sum, digit) => sum * 32 + '0123456789abcdefghjkmnpqrstvwxyz'.indexOf(digit), 0);
  expect(ms).toBeGreaterThanOrEqual(before);
  expect(ms).toBeLessThanOrEqual(Date.now());
});

test('every random digit takes every value, about equally often', () => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    for (const [at, digit] of newId('session').slice(8).split('').entries()) {
      counts.set(`${at}${digit}`, (counts.get(`${at}${digit}`) ?? 0) + 1);
    }
  }
  expect(counts.size).toBe(26 * 32);
  // 20,000 / 32 = 625, standard deviation 25: eight of them leave no room for chance.
  for (const count of counts.values()) expect(Math.abs(count - 625)).toBeLessThan(200);
});

test('every call names another node and another secret', () => {
  expect(nodeId()).toMatch(/^node_[0-9a-z]{16}$/);
  expect(nodeId()).not.toBe(nodeId());
  expect(Buffer.from(newSecret(), 'base64url')).toHaveLength(32);
  expect(newSecret()).not.toBe(newSecret());
});
