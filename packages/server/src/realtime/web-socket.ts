import type { Socket } from 'node:net';
import { limits } from '@switchboard/protocol';
import { MessageReader, type ProtocolFault, type Sink } from './message-reader.ts';
import type { TurnEnd } from './turn-end.ts';

/** Who uses a WebSocket. */
export interface Peer {
  /** A message, whole. The payload lies in the network's buffer: it is the peer's only until this returns. */
  received(payload: Buffer, binary: boolean): void;
  /** The other end answered a ping. */
  ponged(): void;
  /** It is over: called once. @param code of the close frame (RFC 6455 section 7.4), 1006 when the line just ended */
  closed(code: number): void;
}

/** Read this much of a message that is too large, so that its sender can be told; of a larger one not even that. */
const READ_BYTES = limits.frameBytes * 2;
/** How long the other end may take to end the line after a close before it is cut. */
const CLOSE_GRACE_MS = 1_000;
/** Who lets so much pile up is not reading: pings are not answered on top of it. */
const PONG_BACKLOG = 64 * 1024;

const FINAL_TEXT = 0x81;
const FINAL_CLOSE = 0x88;
const FINAL_PING = 0x89;
const FINAL_PONG = 0x8a;

interface Line extends Socket {
  webSocket?: WebSocketEnd | undefined;
}

/**
 * The server's end of one WebSocket (RFC 6455), on a socket whose handshake was checked.
 *
 *   open ── close · a fault · the other end's close frame ──▶ closing (our close frame is sent) ── line ends ──▶ gone
 *    └──────────────────────────── terminate · line ends ──────────────────────────────────────────────────▶ gone
 *
 * Few objects and no closures: there is one of these for each of many thousand connections.
 */
export class WebSocketEnd implements Sink {
  readonly #line: Line;
  readonly #peer: Peer;
  readonly #turnEnd: TurnEnd;
  readonly #reader: MessageReader;
  /** What was sent in this turn: texts, and control frames as they go out. */
  #out: (string | Buffer)[] | null = null;
  /** About how many bytes `#out` will take. */
  #outBytes = 0;
  /** How many bytes the last turn brought that found everything read. */
  #burstBytes = 0;
  /** What the ping of this turn asked to be answered with; of several only the last counts (section 5.5.3). */
  #pong: Buffer | null = null;
  #closing = false;
  /** Nothing more will be said by either end: the line is to be ended once `#out` is written. */
  #over = false;
  /** What `closed` will be told. */
  #code = 1006;

  constructor(line: Socket, peer: Peer, turnEnd: TurnEnd) {
    this.#line = line;
    this.#peer = peer;
    this.#turnEnd = turnEnd;
    this.#reader = new MessageReader(this, READ_BYTES);
  }

  /** @param answer to the handshake, as it goes out; @param head what came right behind the request */
  open(answer: string, head: Buffer): void {
    const line = this.#line;
    line.webSocket = this;
    line.setTimeout(0);
    line.setNoDelay();
    line.on('data', onData);
    line.on('end', onEnd);
    line.on('error', onError);
    line.on('close', onClose);
    line.write(answer, 'latin1');
    line.resume();
    if (head.length > 0) this.#reader.read(head);
  }

  /** Bytes that wait for the network or for the other end. */
  get bufferedBytes(): number {
    return this.#outBytes + this.#line.writableLength;
  }

  /** Whether more waits than `bytes`, and more than one turn brought an end that had read everything: be it megabytes. */
  lagsBy(bytes: number): boolean {
    const unread = this.#line.writableLength;
    return unread > 0 && unread + this.#outBytes > Math.max(bytes, this.#burstBytes);
  }

  send(text: string): void {
    if (!this.#closing) this.#put(text, text.length);
  }

  ping(): void {
    if (!this.#closing) this.#put(controlFrame(FINAL_PING, Buffer.alloc(0)), 2);
  }

  /** Sends a close frame behind everything that was sent. Nothing is received from now on. */
  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#code = code;
    this.#leave(code, reason);
  }

  /** Ends it without a word. */
  terminate(): void {
    this.#closing = true;
    this.#line.destroy();
  }

  pause(): void {
    this.#line.pause();
  }

  resume(): void {
    if (!this.#line.destroyed) this.#line.resume();
  }

  /** Writes what this turn has brought, in one piece. */
  flush(): void {
    const out = this.#out ?? [];
    this.#out = null;
    this.#outBytes = 0;
    if (this.#pong) out.push(controlFrame(FINAL_PONG, this.#pong));
    this.#pong = null;
    if (this.#line.destroyed) return;
    if (out.length > 0) {
      const bytes = encode(out);
      if (this.#line.writableLength === 0) this.#burstBytes = bytes.length;
      this.#line.write(bytes);
    }
    if (this.#over) this.#line.end();
  }

  onMessage(payload: Buffer, binary: boolean): void {
    if (!this.#closing) this.#peer.received(payload, binary);
  }

  onPing(payload: Buffer): void {
    if (this.#closing || this.#line.writableLength > PONG_BACKLOG) return;
    if (!this.#out && !this.#pong) this.#turnEnd.at(this);
    this.#pong = Buffer.from(payload);
  }

  onPong(): void {
    this.#peer.ponged();
  }

  onClose(code: number): void {
    if (!this.#closing) {
      this.#code = code;
      this.#leave(code, '');
    }
    this.#end();
  }

  onFault({ code, reason }: ProtocolFault): void {
    if (!this.#closing) {
      this.#code = code;
      this.#leave(code, reason);
    }
    this.#end();
  }

  /** The other end sends nothing more. */
  halfClosed(): void {
    this.#closing = true;
    this.#end();
  }

  gone(): void {
    this.#closing = true;
    this.#reader.end();
    this.#peer.closed(this.#code);
  }

  read(chunk: Buffer): void {
    this.#reader.read(chunk);
  }

  /** @param code 1005 for none */
  #leave(code: number, reason: string): void {
    // What a ping of this turn asked for may not follow the close frame.
    this.#pong = null;
    const payload = code === 1005 ? Buffer.alloc(0) : Buffer.from(`\0\0${reason}`);
    if (code !== 1005) payload.writeUInt16BE(code);
    this.#put(controlFrame(FINAL_CLOSE, payload), payload.length + 2);
    this.#closing = true;
    setTimeout(() => this.#line.destroy(), CLOSE_GRACE_MS).unref();
  }

  #end(): void {
    this.#over = true;
    if (!this.#out && !this.#pong) this.#line.end();
  }

  #put(frame: string | Buffer, bytes: number): void {
    if (this.#out) this.#out.push(frame);
    else {
      this.#out = [frame];
      if (!this.#pong) this.#turnEnd.at(this);
    }
    this.#outBytes += bytes;
  }
}

// Listeners of every line, so that none has its own.

function onData(this: Line, chunk: Buffer): void {
  this.webSocket?.read(chunk);
}

function onEnd(this: Line): void {
  this.webSocket?.halfClosed();
}

/** `close` follows; only without a listener an error would end the process. */
function onError(this: Line): void {}

function onClose(this: Line): void {
  this.webSocket?.gone();
  this.webSocket = undefined;
}

/** @param payload at most 125 bytes */
function controlFrame(first: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.of(first, payload.length), payload]);
}

/** All frames behind one another (section 5.2; a server does not mask). */
function encode(out: readonly (string | Buffer)[]): Buffer {
  const lengths: number[] = [];
  let size = 0;
  for (const frame of out) {
    const length = typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length;
    lengths.push(length);
    size += typeof frame === 'string' ? headerLength(length) + length : length;
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (let i = 0; i < out.length; i++) {
    const frame = out[i] as string | Buffer;
    const length = lengths[i] as number;
    if (typeof frame === 'string') {
      at = writeHeader(bytes, at, length);
      bytes.write(frame, at, length, 'utf8');
    } else frame.copy(bytes, at);
    at += length;
  }
  return bytes;
}

function headerLength(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(bytes: Buffer, at: number, length: number): number {
  bytes[at] = FINAL_TEXT;
  if (length < 126) {
    bytes[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    bytes[at + 1] = 126;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length & 0xff;
    return at + 4;
  }
  bytes[at + 1] = 127;
  bytes.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
  bytes.writeUInt32BE(length % 2 ** 32, at + 6);
  return at + 10;
}
