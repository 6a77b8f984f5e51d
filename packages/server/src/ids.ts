import { randomBytes, randomFillSync } from 'node:crypto';
import { systemClock } from './clock.ts';

/** Ids and randomness: everything that must not be guessed or met twice is made here. */

/** 32 digits in ASCII order, lower case, without the look-alikes i, l, o, u (Crockford): ids sort by their time. */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** Asking the system for randomness costs far more than using it: it is asked for many ids at once. */
const pool = new Uint8Array(8_192);
let used = pool.length;

/** `length` random digits of 5 bits each. */
function randomDigits(length: number): string {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = '';
  for (const end = used + length; used < end; used++) text += DIGITS.charAt((pool[used] as number) & 31);
  return text;
}

/** A number as so many digits, the most significant first. */
function digits(value: number, length: number): string {
  let text = '';
  for (let rest = value, i = 0; i < length; i++, rest = Math.floor(rest / 32)) text = DIGITS.charAt(rest % 32) + text;
  return text;
}

const ORDINAL_DIGITS = 3;
const LAST_ORDINAL = 32 ** ORDINAL_DIGITS - 1;
let stampedMs = -1;
let stamp = '';
let ordinal = 0;

/** Ten digits of time (48 bits of milliseconds: until the year 10889), then which of its millisecond it is here. */
function stampDigits(ms: number): string {
  if (ms !== stampedMs) {
    stampedMs = ms;
    stamp = digits(ms, 10);
    ordinal = 0;
  } else if (ordinal < LAST_ORDINAL) ordinal++;
  return stamp + digits(ordinal, ORDINAL_DIGITS);
}

/**
 * A new public id. `msg_`: 48 bits of time, an ordinal and 65 random bits. While the clock goes forward each is greater
 * than the one before, so that new rows land at the very end of an index; order is `seq`'s alone. `session_`: 130 random
 * bits, since it may be all that a guesser lacks.
 */
export function newId(prefix: 'msg' | 'session'): string {
  return prefix === 'msg' ? `msg_${stampDigits(systemClock.now())}${randomDigits(13)}` : `session_${randomDigits(26)}`;
}

/** A new id for this node: each start, and each instance in one process, is a node of its own. */
export function nodeId(): string {
  return `node_${randomDigits(16)}`;
}

/** Which rows of shared counters a node writes: nodes seldom meet there. */
export function randomShard(): number {
  return randomBytes(2).readUInt16BE();
}

/** A new secret of 256 random bits, as text. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** A secret for signing tokens: 384 random bits. */
export function randomSecret(): string {
  return randomBytes(48).toString('base64url');
}
