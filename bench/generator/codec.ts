/** Just enough of RFC 6455 for a client that has to be cheaper than any server it measures. */

/** One key for all frames: a mask protects proxies, and there are none here. Not zero, or servers could skip their work. */
const MASK = [0x5a, 0xc3, 0x17, 0x9e] as const;
export const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Digits of a message's id: always as many, so that they can be written over those of a finished frame. */
export const ID_DIGITS = 9;
export const FIRST_ID = 100_000_000;
/** Stands for the id in a template's text. */
export const ID_MARK = '#'.repeat(ID_DIGITS);

export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length > 65_535) throw new Error('a frame of the bench is never that long');
  const head = length < 126 ? 6 : 8;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = 0x80 | opcode;
  if (length < 126) frame[1] = 0x80 | length;
  else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  }
  frame.set(MASK, head - 4);
  for (let i = 0; i < length; i++) frame[head + i] = (payload[i] as number) ^ (MASK[i & 3] as number);
  return frame;
}

export const textFrame = (text: string): Buffer => clientFrame(TEXT, Buffer.from(text));

/** A frame that is masked once and then sent again and again with another id. */
export class FrameTemplate {
  readonly #frame: Buffer;
  readonly #places: readonly number[];
  readonly #head: number;

  /** @param text has `ID_MARK` wherever the id belongs */
  constructor(text: string) {
    const payload = Buffer.from(text);
    this.#frame = textFrame(text);
    this.#head = this.#frame.length - payload.length;
    const places: number[] = [];
    for (let at = payload.indexOf(ID_MARK); at >= 0; at = payload.indexOf(ID_MARK, at + ID_DIGITS)) places.push(at);
    this.#places = places;
  }

  get length(): number {
    return this.#frame.length;
  }

  write(into: Buffer, at: number, id: number): void {
    into.set(this.#frame, at);
    for (const place of this.#places) {
      let rest = id;
      for (let i = place + ID_DIGITS - 1; i >= place; i--) {
        into[at + this.#head + i] = (48 + (rest % 10)) ^ (MASK[i & 3] as number);
        rest = Math.floor(rest / 10);
      }
    }
  }
}

/** The id that starts here, or -1 where no id is. */
export function readId(bytes: Buffer, at: number, end: number): number {
  if (at + ID_DIGITS > end) return -1;
  let id = 0;
  for (let i = at; i < at + ID_DIGITS; i++) {
    const digit = (bytes[i] as number) - 48;
    if (digit < 0 || digit > 9) return -1;
    id = id * 10 + digit;
  }
  return id;
}

export interface FrameListener {
  /** A text frame's payload. The bytes are only lent. */
  text(bytes: Buffer, start: number, end: number): void;
  ping(payload: Buffer): void;
  closed(code: number, reason: string): void;
}

/** Cuts a server's bytes into frames. */
export class FrameReader {
  readonly #listener: FrameListener;
  #rest: Buffer | null = null;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** @param bytes only lent: what must be kept is copied */
  read(bytes: Buffer): void {
    const all = this.#rest ? Buffer.concat([this.#rest, bytes]) : bytes;
    let at = 0;
    while (at + 2 <= all.length) {
      let length = (all[at + 1] as number) & 0x7f;
      let start = at + 2;
      if (length === 126) {
        if (start + 2 > all.length) break;
        length = all.readUInt16BE(start);
        start += 2;
      } else if (length === 127) {
        if (start + 8 > all.length) break;
        length = Number(all.readBigUInt64BE(start));
        start += 8;
      }
      if (start + length > all.length) break;
      this.#frame(all[at] as number, all, start, start + length);
      at = start + length;
    }
    this.#rest = at < all.length ? Buffer.from(all.subarray(at)) : null;
  }

  #frame(first: number, all: Buffer, start: number, end: number): void {
    const opcode = first & 0x0f;
    if (opcode === TEXT && first & 0x80) this.#listener.text(all, start, end);
    else if (opcode === PING) this.#listener.ping(Buffer.from(all.subarray(start, end)));
    else if (opcode === CLOSE) {
      const code = end - start >= 2 ? all.readUInt16BE(start) : 1005;
      this.#listener.closed(code, all.toString('utf8', start + 2, end));
    } else if (opcode !== PONG) throw new Error(`a frame of opcode ${opcode} that nobody expects`);
  }
}

export const pongFrame = (payload: Buffer): Buffer => clientFrame(PONG, payload);
