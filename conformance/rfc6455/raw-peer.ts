/** A client that writes its handshake and its frames byte by byte. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { CLOSE, frame, type Heard, StrictReader, TEXT } from './wire.ts';

/** The key of RFC 6455's own example, and the answer that it asks for. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const WAIT_MS = 20_000;

export type Header = readonly [name: string, value: string];

/** The headers of a handshake as section 4.1 has them. */
export function handshake(host: string): Header[] {
  return [
    ['Host', host],
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Key', KEY],
    ['Sec-WebSocket-Version', '13'],
  ];
}

/** A request's head. */
export function request(method: string, path: string, headers: readonly Header[], version = '1.1'): Buffer {
  const lines = [`${method} ${path} HTTP/${version}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

export interface Answer {
  readonly status: number;
  readonly version: string;
  /** By lower-case name; several of one name as a list. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** A socket and what comes from it: an HTTP answer first, then frames. */
export class RawPeer {
  readonly socket: Socket;
  /** Everything that has come as frames and was not taken. */
  readonly heard: Heard[] = [];
  ended = false;
  fault: Error | null = null;
  readonly #reader = new StrictReader();
  readonly #looks = new Set<() => void>();
  #http = Buffer.alloc(0);
  #upgraded = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (bytes) => this.#take(bytes as Buffer));
    const end = (): void => {
      this.ended = true;
      this.#wake();
    };
    this.socket.on('end', end).on('close', end);
  }

  /** Writes each of these as a segment of its own, as far as TCP lets one say so. */
  async write(...segments: readonly Buffer[]): Promise<void> {
    for (const segment of segments) {
      if (this.socket.destroyed || !this.socket.writable) return;
      await new Promise<void>((resolve) => this.socket.write(segment, () => resolve()));
      await turn();
    }
  }

  /** Sends a request's head and gives the head of its answer; what follows a 101 is read as frames. */
  async shake(request: Buffer | readonly Buffer[]): Promise<Answer> {
    if (this.socket.connecting) await once(this.socket, 'connect');
    await this.write(...(Buffer.isBuffer(request) ? [request] : request));
    return this.answer();
  }

  async answer(): Promise<Answer> {
    await this.#until(() => this.#upgraded || this.#http.includes('\r\n\r\n') || this.ended, 'an answer');
    const end = this.#http.indexOf('\r\n\r\n');
    assert.notEqual(end, -1, `the server ended the connection after ${JSON.stringify(this.#http.toString('latin1'))}`);
    const [line = '', ...rest] = this.#http.subarray(0, end).toString('latin1').split('\r\n');
    const [, version = '', status = ''] = /^HTTP\/(\d\.\d) (\d{3}) /.exec(line) ?? [];
    const headers = new Map<string, string[]>();
    for (const each of rest) {
      const colon = each.indexOf(':');
      const name = each.slice(0, colon).toLowerCase();
      headers.set(name, [...(headers.get(name) ?? []), each.slice(colon + 1).trim()]);
    }
    const answer = { status: Number(status), version, headers };
    if (answer.status === 101 && !this.#upgraded) {
      this.#upgraded = true;
      const first = this.#http.subarray(end + 4);
      if (first.length > 0) this.#take(first);
    }
    return answer;
  }

  /** The body of an answer that was no 101, once the server has ended the connection. */
  async body(): Promise<string> {
    await this.#until(() => this.ended, 'the end of the answer');
    return this.#http.subarray(this.#http.indexOf('\r\n\r\n') + 4).toString('utf8');
  }

  /** The next frame, of any kind. */
  async next(): Promise<Heard> {
    await this.#until(() => this.heard.length > 0 || this.ended, 'a frame');
    const next = this.heard.shift();
    if (!next) throw new Error('the server ended the connection without another frame');
    return next;
  }

  /** The next text frame that answers this requestId, passing over news. */
  async reply(requestId: string): Promise<{ type: string; data: Record<string, unknown> }> {
    for (;;) {
      const next = await this.next();
      if (next.opcode === CLOSE) throw new Error(`closed with ${next.payload.readUInt16BE(0)} instead of ${requestId}`);
      if (next.opcode !== TEXT) throw new Error(`opcode ${next.opcode} came before the reply to ${requestId}`);
      const said = JSON.parse(next.payload.toString('utf8')) as { type: string; data: Record<string, unknown> };
      if (said.data['requestId'] === requestId) return said;
    }
  }

  /** Everything up to the server's close frame, that included. */
  async untilClose(): Promise<Heard[]> {
    const all: Heard[] = [];
    for (;;) {
      const next = await this.next();
      all.push(next);
      if (next.opcode === CLOSE) return all;
    }
  }

  /** Answers the server's close frame and waits for it to end the connection, as section 7.1.1 has it. */
  async finish(code = 1000): Promise<void> {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    await this.write(frame(CLOSE, payload));
    await this.end();
  }

  /** Waits for the server to end the connection, and ends it as well. */
  async end(): Promise<void> {
    await this.#until(() => this.ended, 'the end of the connection');
    this.socket.end();
    assert.deepEqual(this.heard, [], 'nothing comes after the last frame');
    assert.equal(this.#reader.cutShort, false, 'the server broke off in a frame');
  }

  #take(bytes: Buffer): void {
    try {
      if (this.#upgraded) this.heard.push(...this.#reader.read(bytes));
      else {
        this.#http = Buffer.concat([this.#http, bytes]);
        if (this.#http.toString('latin1', 0, 13).startsWith('HTTP/1.1 101 ') && this.#http.includes('\r\n\r\n'))
          void this.answer();
      }
    } catch (error) {
      this.fault = error as Error;
    }
    this.#wake();
  }

  #wake(): void {
    for (const look of this.#looks) look();
  }

  #until(done: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(late);
        this.#looks.delete(look);
      };
      const look = (): void => {
        if (this.fault) {
          end();
          reject(this.fault);
        } else if (done()) {
          end();
          resolve();
        }
      };
      const late = setTimeout(() => {
        end();
        reject(new Error(`waited ${WAIT_MS} ms in vain for ${what}`));
      }, WAIT_MS);
      this.#looks.add(look);
      look();
    });
  }
}

/** What a server must answer to a key; section 4.2.2. */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
