import type { Socket } from 'node:net';
import type { Language } from '@switchboard/protocol';
import { closeCodes } from '@switchboard/protocol';
import type { WebSocket } from 'ws';
import type { Caller } from '../domain/chat.ts';
import type { TokenBucket } from '../token-bucket.ts';
import type { CorkedWrites } from './corked-writes.ts';
import type { Follower } from './follower.ts';

/** Bytes that may wait for a reader. One who lets more pile up is cut off and catches up later. */
const OUTBOX_BYTES = 1024 * 1024;
/** How long a peer may take to answer our close before the socket is destroyed. */
const CLOSE_GRACE_MS = 1_000;
const DRAIN_CHECK_MS = 20;
/** Sent messages that may wait for their commit; above it the connection is not read. */
const UNSETTLED = 256;

/**
 * One socket, from its upgrade to its end.
 *
 *   opening (frames wait in a list) ── attach ──▶ open ── close ──▶ closing ── gone
 *                                                  └─ peer or network ends it ──▶ gone
 */
export class Connection {
  readonly caller: Caller;
  readonly language: Language;
  /** When the token ends; milliseconds UTC, null for never. A new token moves it. */
  expiresAt: number | null;
  /** True once the peer was told that its token is about to end. */
  warned = false;
  /** Set by `hello`: what the connection follows. Null: it gets the five frames of the contract and no others. */
  follower: Follower | null = null;
  /** When it was last sent a heartbeat; milliseconds. */
  beatAt = 0;
  readonly bucket: TokenBucket | null;
  /** When the peer last proved to be there; milliseconds. */
  heardAt: number;
  /** When we last asked; 0 when there is no question open. */
  askedAt = 0;
  /** Frames refused as too many in a row: what tells a flood from a burst. */
  refused = 0;
  readonly #writes: CorkedWrites;
  #waiting: string[] = [];
  #ws: WebSocket | null = null;
  #socket: Socket | null = null;
  #closing = false;
  #unsettled = 0;
  #pauses = 0;

  constructor(parts: {
    caller: Caller;
    language: Language;
    expiresAt: number | null;
    bucket: TokenBucket | null;
    now: number;
    writes: CorkedWrites;
  }) {
    this.caller = parts.caller;
    this.language = parts.language;
    this.expiresAt = parts.expiresAt;
    this.bucket = parts.bucket;
    this.heardAt = parts.now;
    this.#writes = parts.writes;
  }

  get id(): string {
    return this.caller.connection as string;
  }

  attach(ws: WebSocket, socket: Socket): void {
    this.#ws = ws;
    this.#socket = socket;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const text of waiting) this.send(text);
  }

  /** Puts a frame in the outbox. Never waits: a full outbox ends the connection. */
  send(text: string): void {
    if (this.#closing) return;
    if (!this.#ws || !this.#socket) {
      this.#waiting.push(text);
      return;
    }
    this.#writes.cork(this.#socket);
    this.#ws.send(text);
    if (this.#ws.bufferedAmount > OUTBOX_BYTES) this.close(closeCodes.slow);
  }

  /** Sends a frame that tells an event of a session, in its turn if the session is being caught up with. */
  tell(sessionId: string, seq: number, text: string): void {
    if (!this.follower?.keep(sessionId, seq, text)) this.send(text);
  }

  /** Resolves when the reader has taken most of what it was sent, or is gone. */
  async drained(): Promise<void> {
    while (!this.#closing && (this.#ws?.bufferedAmount ?? 0) > OUTBOX_BYTES / 4) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_MS));
    }
  }

  ping(now: number): void {
    this.askedAt = now;
    this.#ws?.ping();
  }

  close({ code, reason }: { code: number; reason: string }): void {
    if (this.#closing) return;
    this.#closing = true;
    const ws = this.#ws;
    if (!ws) return;
    ws.close(code, reason);
    setTimeout(() => ws.terminate(), CLOSE_GRACE_MS).unref();
  }

  /** Ends it without a word: nobody is there to hear one. */
  terminate(): void {
    this.#closing = true;
    this.#ws?.terminate();
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Messages handed on whose fate is not known yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  sent(): void {
    if (++this.#unsettled === UNSETTLED) this.pause();
  }

  settled(): void {
    if (this.#unsettled-- === UNSETTLED) this.resume();
  }

  /** Stops reading until as many `resume`s came as `pause`s. */
  pause(): void {
    if (this.#pauses++ === 0) this.#ws?.pause();
  }

  resume(): void {
    if (--this.#pauses === 0) this.#ws?.resume();
  }
}
