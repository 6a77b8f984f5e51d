/** Situations that many tests begin with. */
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from './house.ts';
import type { House } from './house.ts';
import type { Peer } from './peer.ts';

export interface Visit {
  readonly userId: number;
  readonly user: Peer;
  readonly sessionId: string;
}

/** A user who connects and says something: with nobody at work the session waits, else it is assigned. */
export async function visit(house: House, content = '你好', userId = newId()): Promise<Visit> {
  const user = await house.user(userId);
  const { sessionId } = await user.say(content);
  return { userId, user, sessionId };
}

export interface Staff {
  readonly adminId: number;
  readonly admin: Peer;
}

/** An admin who comes to work. */
export async function staff(house: House, adminId = newId()): Promise<Staff> {
  return { adminId, admin: await house.admin(adminId) };
}

/** Lets the clock that times are taken from move on. */
export async function nextMillisecond(): Promise<void> {
  const now = Date.now();
  while (Date.now() <= now + 1) await sleep(1);
}

/** Characters, as the rules count them, that take four bytes each. */
export function emoji(count: number): string {
  return '😀'.repeat(count);
}

/** Texts that stores, encoders and front ends have stumbled over. */
export const hardTexts: readonly string[] = [
  '  leading and trailing spaces \n\t ',
  "Robert'); DROP TABLE chat_messages;-- \\' \" ` %_?",
  '<script>alert(1)</script>&amp; {{constructor}} ${x}',
  '👩‍👩‍👧‍👦 ZWJ, 𠮷 outside the BMP, é composed, e\u0301 combined, \u202Eright to left\u202C',
  '中文，日本語、한국어 عربي ไทย',
  'line\r\nbreaks\u2028\u2029 and \u0001 control \u007f characters \ufeff',
  '{"type":"send_message","data":{"sessionId":"x"}}',
  'NaN null undefined 0 -0 1e309',
];
