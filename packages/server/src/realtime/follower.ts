import { ChatError, errorBody, invalid, type Language } from '@switchboard/protocol';
import type { Caller } from '../domain/chat.ts';
import type { Following } from '../domain/following.ts';
import type { LogPlace } from '../domain/ports.ts';
import type { SessionEvent } from '../domain/session.ts';
import type { FrameWriter } from './frames.ts';

/** One session being caught up with: what happens live meanwhile is kept until the log has been read. */
interface CatchUp {
  readonly live: KeptFrame[];
  /** Characters of these. */
  size: number;
  /** The newest event that was sent of those that the log told. */
  reached: number;
  /** More happened live than is worth keeping: it is read from the log instead. */
  overrun: boolean;
}

interface KeptFrame {
  readonly seq: number;
  readonly text: string;
  /** The connection gets it whether it follows the session or not. */
  readonly addressed: boolean;
}

/** What is needed of a connection to follow sessions with it. */
interface Listener {
  readonly caller: Caller;
  readonly language: Language;
  readonly closing: boolean;
  send(text: string): void;
  /** Resolves when the reader has taken most of what it was sent, or is gone. */
  drained(): Promise<void>;
}

export interface FollowerParts {
  readonly connection: Listener;
  /** Told when the connection begins and ends to follow a session. */
  readonly follow: (sessionId: string) => void;
  readonly unfollow: (sessionId: string) => void;
  readonly following: Following;
  readonly frames: FrameWriter;
  readonly onError: (error: unknown) => void;
}

const SESSIONS = 2_000;
const LIVE_KEPT = 500;
/** Characters sent at once while catching up: well below what may wait for a reader, or it would be cut off for our haste. */
const PIECE = 128 * 1024;

/**
 * What a connection that said `hello` follows, and how far its catching up is. A session is caught up with in this
 * order, or something could fall between: keep what happens live → read the log → send what was kept.
 */
export class Follower {
  readonly #parts: FollowerParts;
  readonly #catchUps = new Map<string, CatchUp>();
  readonly #sessions = new Set<string>();
  /** Pieces of all catching up go out one after the other: together they would be too much for the outbox. */
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  get sessions(): ReadonlySet<string> {
    return this.#sessions;
  }

  /** Keeps a live frame of a session that is being caught up with. @returns false when it is to be sent at once */
  keep(sessionId: string, seq: number, text: string, addressed: boolean): boolean {
    const catchUp = this.#catchUps.get(sessionId);
    if (!catchUp) return false;
    if (catchUp.live.length < LIVE_KEPT && catchUp.size < PIECE) {
      catchUp.live.push({ seq, text, addressed });
      catchUp.size += text.length;
    } else catchUp.overrun = true;
    return true;
  }

  /**
   * Begins to follow a session from a place on, from this moment. What may not be followed is answered with an `error`:
   * until the store has said who may, nothing of the session is sent.
   */
  resume(place: LogPlace, requestId: string | number | undefined): void {
    const { connection, frames } = this.#parts;
    const { sessionId } = place;
    if (!this.#sessions.has(sessionId) && this.#sessions.size >= SESSIONS) {
      const error = invalid(
        'data.sessions',
        `cannot follow more than ${SESSIONS} sessions`,
        `最多同时关注 ${SESSIONS} 个会话`,
      );
      connection.send(
        frames.error(errorBody(error, connection.language), {
          sessionId,
          ...(requestId === undefined ? {} : { requestId }),
        }),
      );
      return;
    }
    const catchUp: CatchUp = { live: [], size: 0, reached: place.afterSeq, overrun: false };
    this.#sessions.add(sessionId);
    this.#catchUps.set(sessionId, catchUp);
    this.#parts.follow(sessionId);
    void this.#catchUp(catchUp, place, requestId);
  }

  unfollow(sessionId: string): void {
    const catchUp = this.#catchUps.get(sessionId);
    this.#sessions.delete(sessionId);
    this.#catchUps.delete(sessionId);
    this.#parts.unfollow(sessionId);
    // What waited and was not for the follower alone would else be lost.
    for (const { seq, text, addressed } of catchUp?.live ?? []) {
      if (addressed && seq > (catchUp?.reached ?? 0)) this.#parts.connection.send(text);
    }
  }

  async #catchUp(catchUp: CatchUp, place: LogPlace, requestId: string | number | undefined): Promise<void> {
    const { connection, frames, onError } = this.#parts;
    const { sessionId } = place;
    try {
      await this.#readOn(catchUp, place, requestId);
    } catch (error) {
      if (this.#catchUps.get(sessionId) !== catchUp) return;
      // Not followed: the client is told, and asks again if that can help.
      this.unfollow(sessionId);
      onError(error);
      const marks = { sessionId, ...(requestId === undefined ? {} : { requestId }) };
      connection.send(frames.error(errorBody(error, connection.language), marks));
    }
  }

  async #readOn(catchUp: CatchUp, place: LogPlace, requestId: string | number | undefined): Promise<void> {
    const { connection, following, frames } = this.#parts;
    const { sessionId } = place;
    let after = place.afterSeq;
    for (;;) {
      const { session, events, receipts } = await following.read(connection.caller, { sessionId, afterSeq: after });
      // A newer `resume`, an `unfollow`, or the end of the connection has overtaken this one.
      if (this.#catchUps.get(sessionId) !== catchUp || connection.closing) return;
      const reset = after > session.lastSeq;
      for (const piece of pieces(events)) {
        await (this.#turn = this.#turn.then(() => connection.drained()));
        if (this.#catchUps.get(sessionId) !== catchUp || connection.closing) return;
        connection.send(frames.sessionEvents(sessionId, piece));
        catchUp.reached = piece.at(-1)?.seq ?? catchUp.reached;
      }
      after = events.at(-1)?.seq ?? after;
      if (!reset && (after < session.lastSeq || catchUp.overrun)) {
        if (catchUp.overrun && after >= session.lastSeq) {
          catchUp.live.length = 0;
          catchUp.size = 0;
          catchUp.overrun = false;
        }
        if (events.length === 0 && after < session.lastSeq) throw new ChatError('UNAVAILABLE', { retryAfterMs: 1_000 });
        continue;
      }
      this.#catchUps.delete(sessionId);
      // A client that is ahead of the log holds another log's events (a restored backup): never a silent part.
      let upToSeq = reset ? session.lastSeq : after;
      for (const { seq, text } of catchUp.live) {
        if (seq <= after && !reset) continue;
        connection.send(text);
        if (seq === upToSeq + 1) upToSeq = seq;
      }
      connection.send(
        frames.other({
          type: 'resumed',
          ...(requestId === undefined ? {} : { requestId }),
          data: {
            sessionId,
            complete: !reset,
            reset,
            upToSeq,
            status: session.status,
            adminId: session.adminId,
            receipts: receipts.map(({ readerType, readerId, deliveredSeq, readSeq }) => ({
              readerType,
              readerId,
              deliveredSeq,
              readSeq,
            })),
          },
        }),
      );
      return;
    }
  }
}

/** Events in as many frames as they need. */
function* pieces(events: readonly SessionEvent[]): Generator<SessionEvent[]> {
  let piece: SessionEvent[] = [];
  let size = 0;
  for (const event of events) {
    if (size > 0 && size + sizeOf(event) > PIECE) {
      yield piece;
      piece = [];
      size = 0;
    }
    piece.push(event);
    size += sizeOf(event);
  }
  if (piece.length > 0) yield piece;
}

/** About how many characters an event takes as text. */
function sizeOf(event: SessionEvent): number {
  if (event.kind !== 'message') return 200;
  const { content, attachments } = event.message;
  return 300 + content.length + (attachments.length === 0 ? 0 : JSON.stringify(attachments).length);
}
