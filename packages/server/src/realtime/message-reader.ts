import { isUtf8 } from 'node:buffer';

/** Who hears what a reader reads. Payloads are the sink's own only until it returns: they lie in the network's buffer. */
export interface Sink {
  onMessage(payload: Buffer, binary: boolean): void;
  onPing(payload: Buffer): void;
  onPong(): void;
  /** The peer's close frame: its code, or 1005 when it named none. */
  onClose(code: number): void;
  /** The peer broke the protocol: nothing after this is read. */
  onFault(fault: ProtocolFault): void;
}

export interface ProtocolFault {
  readonly code: 1002 | 1007 | 1009;
  readonly reason: string;
}

const protocol = (reason: string): ProtocolFault => ({ code: 1002, reason });
const faults = {
  reserved: protocol('reserved bits are set'),
  opcode: protocol('unknown opcode'),
  unmasked: protocol('a client must mask its frames'),
  longControl: protocol('a control frame must have at most 125 bytes'),
  fragmentedControl: protocol('a control frame must not be fragmented'),
  nothingToContinue: protocol('there is nothing to continue'),
  interrupted: protocol('a message began before the last one ended'),
  closeLength: protocol('a close frame must have no payload or a code'),
  closeCode: protocol('the close code may not be sent'),
  text: { code: 1007, reason: 'the text is not UTF-8' },
  tooLarge: { code: 1009, reason: 'message too large' },
} as const satisfies Record<string, ProtocolFault>;

const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** The longest header: two bytes, eight of length, four of mask. */
const HEADER = 14;

/**
 * Bytes of a client → WebSocket messages, as RFC 6455 (section 5) reads them: whatever pieces the bytes come in. It
 * keeps no more memory than the peer has really sent, and nothing at all between two messages.
 */
export class MessageReader {
  readonly #sink: Sink;
  /** Largest message, in bytes. */
  readonly #most: number;
  /** The beginning of a frame of which more is to come. */
  #begun: Gathered | null = null;
  /** How many bytes must be there before it is worth looking at `#begun` again. */
  #needed = 0;
  /** The fragments so far of a message of which more is to come, and its opcode. */
  #fragments: Gathered | null = null;
  #opcode = CONTINUATION;
  #ended = false;

  constructor(sink: Sink, most: number) {
    this.#sink = sink;
    this.#most = most;
  }

  /** Nothing that comes from now on is read: after a close frame, or when nobody listens any longer. */
  end(): void {
    this.#ended = true;
    this.#begun = null;
    this.#fragments = null;
  }

  /** @param chunk is unmasked in place */
  read(chunk: Buffer): void {
    if (this.#ended) return;
    let bytes = chunk;
    if (this.#begun) {
      this.#begun.add(chunk);
      if (this.#begun.length < this.#needed) return;
      bytes = this.#begun.take();
      this.#begun = null;
    }
    let at = 0;
    while (!this.#ended && at < bytes.length) {
      const next = this.#frame(bytes, at);
      if (next === at) {
        this.#begun ??= new Gathered(this.#most + HEADER);
        this.#begun.add(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** Reads the frame that begins at `at`. @returns where the next one begins, or `at` when this one is not there yet */
  #frame(bytes: Buffer, at: number): number {
    const there = bytes.length - at;
    if (there < 2) return this.#wait(at, 2);
    const first = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const opcode = first & 0x0f;
    const final = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) return this.#fail(faults.reserved, bytes);
    if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG) return this.#fail(faults.opcode, bytes);
    if ((second & 0x80) === 0) return this.#fail(faults.unmasked, bytes);
    let length = second & 0x7f;
    if (opcode >= CLOSE) {
      if (!final) return this.#fail(faults.fragmentedControl, bytes);
      if (length > 125) return this.#fail(faults.longControl, bytes);
    } else if (opcode === CONTINUATION) {
      if (!this.#fragments) return this.#fail(faults.nothingToContinue, bytes);
    } else if (this.#fragments) return this.#fail(faults.interrupted, bytes);
    let header = 6;
    if (length === 126) {
      header = 8;
      if (there < 4) return this.#wait(at, 4);
      length = bytes.readUInt16BE(at + 2);
    } else if (length === 127) {
      header = HEADER;
      if (there < 10) return this.#wait(at, 10);
      // Exact up to 2^53, and far above any limit beyond.
      length = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
    }
    // Before its payload is waited for: a length alone must not cost memory.
    if (length + (opcode < CLOSE ? (this.#fragments?.length ?? 0) : 0) > this.#most)
      return this.#fail(faults.tooLarge, bytes);
    if (there < header + length) return this.#wait(at, header + length);
    const start = at + header;
    const payload = bytes.subarray(start, start + length);
    unmask(payload, bytes, start - 4);
    if (opcode >= CLOSE) this.#control(opcode, payload);
    else this.#data(opcode, final, payload);
    return start + length;
  }

  #data(opcode: number, final: boolean, payload: Buffer): void {
    if (!final || this.#fragments) {
      if (opcode !== CONTINUATION) this.#opcode = opcode;
      this.#fragments ??= new Gathered(this.#most);
      this.#fragments.add(payload);
      if (!final) return;
    }
    const whole = this.#fragments?.take() ?? payload;
    const binary = (this.#fragments ? this.#opcode : opcode) === BINARY;
    this.#fragments = null;
    if (!binary && !isUtf8(whole)) this.#fail(faults.text, whole);
    else this.#sink.onMessage(whole, binary);
  }

  #control(opcode: number, payload: Buffer): void {
    if (opcode === PING) this.#sink.onPing(payload);
    else if (opcode === PONG) this.#sink.onPong();
    else if (payload.length === 1) this.#fail(faults.closeLength, payload);
    else if (payload.length > 1 && !maySend(payload.readUInt16BE(0))) this.#fail(faults.closeCode, payload);
    else if (!isUtf8(payload.subarray(2))) this.#fail(faults.text, payload);
    else {
      this.end();
      this.#sink.onClose(payload.length === 0 ? 1005 : payload.readUInt16BE(0));
    }
  }

  #wait(at: number, needed: number): number {
    this.#needed = needed;
    return at;
  }

  #fail(fault: ProtocolFault, bytes: Buffer): number {
    this.end();
    this.#sink.onFault(fault);
    return bytes.length;
  }
}

/** Codes that a peer may name in a close frame (RFC 6455 section 7.4, and the registry that it founds). */
function maySend(code: number): boolean {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

/** RFC 6455 section 5.3. The mask stands in `bytes` at `mask`. */
function unmask(payload: Buffer, bytes: Buffer, mask: number): void {
  const a = bytes[mask] as number;
  const b = bytes[mask + 1] as number;
  const c = bytes[mask + 2] as number;
  const d = bytes[mask + 3] as number;
  const { length } = payload;
  const even = length - (length % 4);
  let i = 0;
  for (; i < even; i += 4) {
    (payload[i] as number) ^= a;
    (payload[i + 1] as number) ^= b;
    (payload[i + 2] as number) ^= c;
    (payload[i + 3] as number) ^= d;
  }
  if (i < length) (payload[i] as number) ^= a;
  if (i + 1 < length) (payload[i + 1] as number) ^= b;
  if (i + 2 < length) (payload[i + 2] as number) ^= c;
}

/** Bytes that come in pieces, however small: copied together, so that a thousand pieces of a byte cost a thousand bytes. */
class Gathered {
  readonly #most: number;
  #bytes: Buffer = Buffer.alloc(0);
  length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(piece: Buffer): void {
    const length = this.length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#most, length * 2)));
      this.#bytes.copy(larger, 0, 0, this.length);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.length);
    this.length = length;
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }
}
