/** What was wrong with anything that the server said, whoever heard it: found after each test, and fails it. */
import assert from 'node:assert/strict';
import { afterEach } from 'vitest';

export const faults: string[] = [];

afterEach(() => {
  assert.deepEqual(faults.splice(0), [], 'the server said what the schemas do not allow');
});

const timeNames = /^(createdAt|lastMessageTime|waitingSince|closedAt|ratedAt|timestamp|serverTime)$/;
const utc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/;

/** Every time in a value that is not ISO 8601 UTC with a Z. What was sent as attachments is somebody else's. */
export function timeFaults(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    if (name === 'attachments') return [];
    if (!timeNames.test(name) || part === null) return timeFaults(part);
    return typeof part === 'string' && utc.test(part) && !Number.isNaN(Date.parse(part))
      ? []
      : [`${name}: ${String(part)}`];
  });
}
