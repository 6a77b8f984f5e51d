/** RFC 6455 by the byte: any frame that a client could send, right or wrong, and a strict reading of the server's. */
import { isUtf8 } from 'node:buffer';

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export interface FrameOptions {
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits as a number: 4 is RSV1. Default 0. */
  readonly rsv?: number;
  /** Null sends it unmasked, as no client may. */
  readonly mask?: readonly number[] | null;
  /** How the length is written; by default in as few bytes as it needs. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length that is declared; by default the true one. */
  readonly declared?: bigint;
}

/** One frame of a client. */
export function frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, mask = [0x37, 0xfa, 0x21, 0x3d], declared } = options;
  const bytes = Buffer.from(payload);
  const length = declared ?? BigInt(bytes.length);
  const bits = options.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const extended = Buffer.alloc(bits === 7 ? 0 : bits / 8);
  if (bits === 16) extended.writeUInt16BE(Number(length));
  if (bits === 64) extended.writeBigUInt64BE(length);
  const short = bits === 7 ? Number(length) : bits === 16 ? 126 : 127;
  const head = Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, (mask ? 0x80 : 0) | short]);
  if (!mask) return Buffer.concat([head, extended, bytes]);
  if (mask.some((byte) => byte !== 0))
    for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) ^ (mask[i % 4] as number);
  return Buffer.concat([head, extended, Buffer.from(mask), bytes]);
}

/** The payload of a close frame. */
export function closing(code: number, reason: Buffer | string = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}

/** A text message in fragments, cut at these places. */
export function fragments(payload: Buffer | string, cuts: readonly number[], opcode = TEXT): Buffer[] {
  const bytes = Buffer.from(payload);
  const edges = [0, ...cuts, bytes.length];
  return edges
    .slice(1)
    .map((end, i) =>
      frame(i === 0 ? opcode : CONTINUATION, bytes.subarray(edges[i], end), { fin: i === edges.length - 2 }),
    );
}

export interface Heard {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Bytes of its length field. */
  readonly lengthBits: 7 | 16 | 64;
}

/** Reads what a server sends, and takes nothing that section 5 forbids it. */
export class StrictReader {
  #bytes = Buffer.alloc(0);
  #closed = false;

  /** @throws Error that says what the server did wrong */
  read(bytes: Buffer): Heard[] {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    const heard: Heard[] = [];
    for (let next = this.#next(); next; next = this.#next()) heard.push(next);
    return heard;
  }

  /** True when the server has sent the beginning of a frame only. */
  get cutShort(): boolean {
    return this.#bytes.length > 0;
  }

  #next(): Heard | null {
    const bytes = this.#bytes;
    if (bytes.length < 2) return null;
    if (this.#closed) throw new Error('5.5.1: the server sent something after its close frame');
    const [first, second] = [bytes[0] as number, bytes[1] as number];
    const opcode = first & 0xf;
    if (first & 0x70) throw new Error('5.2: the server set a reserved bit without an extension');
    if (second & 0x80) throw new Error('5.1: the server masked a frame');
    if (![TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) throw new Error(`5.2: the server sent opcode ${opcode}`);
    if (!(first & 0x80)) throw new Error('the server sends whole messages only');
    const short = second & 0x7f;
    const lengthBits = short === 127 ? 64 : short === 126 ? 16 : 7;
    const head = lengthBits === 7 ? 2 : 2 + lengthBits / 8;
    if (bytes.length < head) return null;
    const length =
      lengthBits === 7 ? short : lengthBits === 16 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if ((lengthBits === 16 && length < 126) || (lengthBits === 64 && length < 65_536))
      throw new Error(`5.2: the server wrote the length ${length} in ${lengthBits} bits`);
    if (opcode >= CLOSE && length > 125) throw new Error('5.5: the server sent a control frame of more than 125 bytes');
    if (bytes.length < head + length) return null;
    const payload = bytes.subarray(head, head + length);
    this.#bytes = bytes.subarray(head + length);
    if (opcode === TEXT && !isUtf8(payload)) throw new Error('8.1: the server sent text that is not UTF-8');
    if (opcode === CLOSE) this.#checkClose(payload);
    return { opcode, payload, lengthBits };
  }

  #checkClose(payload: Buffer): void {
    this.#closed = true;
    if (payload.length === 0) return;
    if (payload.length === 1) throw new Error('5.5.1: the server sent a close frame of one byte');
    const code = payload.readUInt16BE(0);
    if (code < 1000 || [1004, 1005, 1006, 1015].includes(code) || (code > 1014 && code < 3000) || code > 4999)
      throw new Error(`7.4: the server sent close code ${code}`);
    if (!isUtf8(payload.subarray(2))) throw new Error('5.5.1: the server sent a reason that is not UTF-8');
  }
}
