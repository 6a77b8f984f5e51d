import type { Socket } from 'node:net';
import type { Language } from '@switchboard/protocol';
import { closeCodes } from '@switchboard/protocol';
import type { Caller } from '../domain/chat.ts';
import type { TokenBucket } from '../token-bucket.ts';
import type { Follower } from './follower.ts';
import type { TurnEnd } from './turn-end.ts';
import { type Peer, WebSocketEnd } from './web-socket.ts';

/** Bytes that may wait for a reader. One who lets more pile up is cut off and catches up later. */
const OUTBOX_BYTES = 1024 * 1024;
const DRAIN_CHECK_MS = 20;
/** Sent messages that may wait for their commit; above it the connection is not read. */
const UNSETTLED = 256;

/** What a connection needs of the gateway that let it in. */
export interface Owner {
  /** Reads one frame. @returns a promise when the next frame must wait for it; it never rejects */
  receive(connection: Connection, payload: Buffer, binary: boolean): Promise<void> | undefined;
  /** The connection showed that somebody is there. */
  heard(connection: Connection): void;
  gone(connection: Connection, code: number): void;
}

interface HeldFrame {
  readonly payload: Buffer;
  readonly binary: boolean;
}

/**
 * One socket, from its upgrade to its end.
 *
 *   opening (frames wait in a list) ── open ──▶ open ── close ──▶ closing ── gone
 *                                                └─ peer or network ends it ──▶ gone
 */
export class Connection implements Peer {
  readonly caller: Caller;
  readonly language: Language;
  /** When the token ends; milliseconds UTC, null for never. A new token moves it. */
  expiresAt: number | null;
  /** When the token was taken. */
  tokenSince: number;
  /** True once the peer was told that this token is about to end. */
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
  /** Frames refused as too many, less those made up for: what tells a flood from a burst. */
  refused = 0;
  readonly #owner: Owner;
  #socket: WebSocketEnd | null = null;
  /** What was to be sent before it was open. */
  #early: string[] | null = null;
  /** Frames that came while an earlier one still had to look something up; null when none does. */
  #held: HeldFrame[] | null = null;
  #closing = false;
  /** What it is closed with, as soon as it is owed no more answers. */
  #advice: { code: number; reason: string } | null = null;
  #unsettled = 0;
  #pauses = 0;

  constructor(parts: {
    caller: Caller;
    language: Language;
    expiresAt: number | null;
    bucket: TokenBucket | null;
    now: number;
    owner: Owner;
  }) {
    this.caller = parts.caller;
    this.language = parts.language;
    this.expiresAt = parts.expiresAt;
    this.bucket = parts.bucket;
    this.tokenSince = parts.now;
    this.heardAt = parts.now;
    this.#owner = parts.owner;
  }

  get id(): string {
    return this.caller.connection as string;
  }

  /** Answers the handshake, and begins to read and to write. */
  open(line: Socket, turnEnd: TurnEnd, answer: string, head: Buffer): void {
    this.#socket = new WebSocketEnd(line, this, turnEnd);
    this.#socket.open(answer, head);
    const early = this.#early ?? [];
    this.#early = null;
    for (const text of early) this.send(text);
    // It was told to go before it was here.
    if (this.#closing && this.#advice) this.#socket.close(this.#advice.code, this.#advice.reason);
  }

  /** Puts a frame in the outbox. Never waits: a full outbox ends the connection. */
  send(text: string): void {
    if (this.#closing) return;
    if (!this.#socket) {
      (this.#early ??= []).push(text);
      return;
    }
    this.#socket.send(text);
    if (this.#socket.lagsBy(OUTBOX_BYTES)) this.close(closeCodes.slow);
  }

  /**
   * Sends a frame that tells an event of a session, in its turn if the session is being caught up with.
   * @param addressed it goes here even if the session is not followed
   */
  tell(sessionId: string, seq: number, text: string, addressed: boolean): void {
    if (!this.follower?.keep(sessionId, seq, text, addressed)) this.send(text);
  }

  /** Resolves when the reader has taken most of what it was sent, or is gone. */
  async drained(): Promise<void> {
    while (!this.#closing && (this.#socket?.bufferedBytes ?? 0) > OUTBOX_BYTES / 4) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_MS));
    }
  }

  ping(now: number): void {
    this.askedAt = now;
    this.#socket?.ping();
  }

  close(advice: { code: number; reason: string }): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#advice = advice;
    this.#socket?.close(advice.code, advice.reason);
  }

  /** Ends it when everything that was handed on is answered: its sender must not think that it was lost. */
  dismiss(advice: { code: number; reason: string }): void {
    if (this.#advice) return;
    this.#advice = advice;
    this.pause();
    this.#depart();
  }

  #depart(): void {
    if (!this.#advice || this.#unsettled > 0) return;
    // What would lie unread at the end of a socket resets it, and what was sent last may be lost with that.
    this.resume();
    this.close(this.#advice);
  }

  /** Ends it without a word: nobody is there to hear one. */
  terminate(): void {
    this.#closing = true;
    this.#socket?.terminate();
  }

  /** Frames run in order: one that comes while another still has to look something up waits for it. */
  received(payload: Buffer, binary: boolean): void {
    if (this.#held) {
      if (this.#held.push({ payload: Buffer.from(payload), binary }) === 1) this.pause();
      return;
    }
    const wait = this.#owner.receive(this, payload, binary);
    if (wait) void this.#continue(wait);
  }

  ponged(): void {
    this.#owner.heard(this);
  }

  closed(code: number): void {
    this.#closing = true;
    this.#owner.gone(this, code);
  }

  /** Nothing that still comes is looked at. */
  get closing(): boolean {
    return this.#closing || this.#advice !== null;
  }

  /** Messages handed on whose fate is not known yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  sent(): void {
    if (++this.#unsettled === UNSETTLED) this.pause();
  }

  /** After the answer was sent. */
  settled(): void {
    if (this.#unsettled-- === UNSETTLED) this.resume();
    this.#depart();
  }

  /** Stops reading until as many `resume`s came as `pause`s. */
  pause(): void {
    if (this.#pauses++ === 0) this.#socket?.pause();
  }

  resume(): void {
    if (--this.#pauses === 0) this.#socket?.resume();
  }

  async #continue(wait: Promise<void>): Promise<void> {
    const held: HeldFrame[] = [];
    this.#held = held;
    await wait;
    while (held.length > 0) {
      // More may come while one of these waits: an array's iterator sees them too.
      for (const { payload, binary } of held) await this.#owner.receive(this, payload, binary);
      held.length = 0;
      this.resume();
    }
    this.#held = null;
  }
}
