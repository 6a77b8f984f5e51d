import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  ChatError,
  closeCodes,
  decodeFrame,
  errorBody,
  errorKinds,
  invalid,
  type Language,
  limits,
  marksIn,
  preferredLanguage,
} from '@switchboard/protocol';
import type { AddressOf } from '../address.ts';
import { type Authenticate, type Authenticated, findToken } from '../auth.ts';
import type { Chat } from '../domain/chat.ts';
import type { Following } from '../domain/following.ts';
import type { Clock } from '../domain/ports.ts';
import type { LocalPresence } from '../domain/presence.ts';
import type { Actor } from '../domain/session.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { TokenBucket } from '../token-bucket.ts';
import { Connection, type Owner } from './connection.ts';
import { dispatch, type DispatchParts, refuse } from './dispatch.ts';
import type { FrameWriter, Marks } from './frames.ts';
import { acceptance, checkHandshake, turnAway } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Hub } from './hub.ts';
import { isAllowedOrigin } from '../origin.ts';
import { TurnEnd } from './turn-end.ts';

export interface GatewayParts {
  readonly chat: Chat;
  readonly following: Following;
  readonly hub: Hub;
  readonly frames: FrameWriter;
  readonly presence: LocalPresence;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly addressOf: AddressOf;
  readonly newConnectionId: () => string;
  readonly allowedOrigins: readonly string[] | null;
  /** Demo mode: pages on this machine may connect. */
  readonly demo: boolean;
  readonly rateLimit: { readonly perSecond: number; readonly burst: number } | null;
}

const PATHS = new Set(['/chat', '/api/chat']);
/** Frames refused before a flood is cut off. Each one that is taken makes up for some, so that a burst is none. */
const FLOOD = 200;
const FORGIVEN = 4;
/** Over how long the clients of a node that ends are told to come back. */
const SPREAD_MS = 10_000;
/** Lets WebSocket connections in, reads their frames, and lets them go. */
export class Gateway implements Owner {
  readonly #parts: GatewayParts;
  readonly #turnEnd = new TurnEnd();
  readonly #dispatch: DispatchParts;
  readonly #heartbeat: Heartbeat;
  #draining = false;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#dispatch = { ...parts, onError: (error, connection) => this.#noteError(error, connection) };
    this.#heartbeat = new Heartbeat({ ...parts, connections: parts.hub.connections });
  }

  /** True when an upgrade request is for the chat. */
  static serves(request: IncomingMessage): boolean {
    return PATHS.has(pathOf(request));
  }

  /** Answers an upgrade request: a connection, or an HTTP error. Never rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // The peer may go at any moment, even while a refusal is on its way to it, and an error that nobody listens for would
    // end the process: the listener stays.
    socket.on('error', ignore);
    const language = preferredLanguage(request.headers['accept-language']);
    const asked: { admin: boolean; id: number | null } = { admin: false, id: null };
    try {
      await this.#admit(request, socket as Socket, head, language, asked);
    } catch (error) {
      const body = errorBody(error, language);
      refuseUpgrade(socket, body);
      if (!(error instanceof ChatError)) this.#parts.log.error({ err: error }, 'upgrade failed');
      this.#parts.metrics.errors.inc({ code: body.code });
      if (asked.admin && body.code !== 'UNAVAILABLE')
        await this.#recordRefusal(asked.id, body.code, this.#parts.addressOf(request));
    }
  }

  /** No more connections; those that are here are told to go elsewhere once their frames are answered. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#heartbeat.stop();
    const { hub, frames } = this.#parts;
    for (const connection of hub.connections) connection.pause();
    const until = performance.now() + deadlineMs;
    const unanswered = (): boolean => [...hub.connections].some((c) => c.unsettled > 0);
    while (unanswered() && performance.now() < until) await tick(10);
    // Who said hello is told when to come back, one after the other: all at once would be a storm elsewhere.
    const spreadMs = Math.min(SPREAD_MS, hub.connections.size * 2);
    let place = 0;
    for (const connection of hub.connections) {
      const reconnectInMs = Math.floor((spreadMs * place++) / hub.connections.size);
      if (connection.follower) connection.send(frames.other({ type: 'draining', data: { reconnectInMs } }));
      connection.resume();
      connection.close(closeCodes.restart);
    }
    while (hub.connections.size > 0 && performance.now() < until + 2_000) await tick(10);
  }

  async #admit(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    language: Language,
    asked: { admin: boolean; id: number | null },
  ): Promise<void> {
    if (this.#draining) throw new ChatError('UNAVAILABLE', { retryAfterMs: 1_000 });
    const { clock, authenticate, allowedOrigins, demo, rateLimit, newConnectionId, presence, hub } = this.#parts;
    if (!isAllowedOrigin(request.headers.origin, request.headers.host, allowedOrigins, demo)) {
      throw new ChatError('FORBIDDEN', {
        fault: { field: 'Origin', fault: { en: 'is not in ALLOWED_ORIGINS', zh: '不在 ALLOWED_ORIGINS 之列' } },
      });
    }
    const query = new URL(request.url ?? '/', 'ws://localhost').searchParams;
    asked.admin = query.getAll('type').includes('admin');
    const { authorization, 'sec-websocket-protocol': protocols } = request.headers;
    const token = findToken({ authorization, query, protocols });
    if (token === null) throw new ChatError('UNAUTHORIZED');
    const account = await authenticate(token);
    asked.id = account.identity.id;
    const actor = chosenSide(query, account);
    checkHandshake(request);
    const connection = new Connection({
      caller: {
        actor,
        identity: account.identity,
        connection: newConnectionId(),
        address: this.#parts.addressOf(request),
      },
      language,
      expiresAt: account.expiresAt,
      bucket: rateLimit && new TokenBucket(rateLimit.perSecond, rateLimit.burst, clock),
      now: clock.now(),
      owner: this,
    });
    // It hears from now on, before the store knows that it is here: what is assigned to it next must find it.
    hub.join(connection);
    try {
      await presence.connect(actor, account.identity);
    } catch (error) {
      hub.leave(connection);
      throw error;
    }
    if (socket.destroyed) {
      this.#leave(connection);
      return;
    }
    this.#parts.metrics.connections.inc({ type: actor.type });
    connection.open(socket, this.#turnEnd, acceptance(request), head);
    if (this.#draining) connection.close(closeCodes.restart);
  }

  gone(connection: Connection, code: number): void {
    const { metrics } = this.#parts;
    metrics.connections.dec({ type: connection.caller.actor.type });
    metrics.closes.inc({ code: String(code) });
    this.#leave(connection);
  }

  heard(connection: Connection): void {
    connection.heardAt = this.#parts.clock.now();
    connection.askedAt = 0;
  }

  #leave(connection: Connection): void {
    this.#parts.hub.leave(connection);
    this.#parts.presence.disconnect(connection.caller.actor).catch((error: unknown) => {
      // The next renewal tells the store again, and a lease that nobody renews ends by itself.
      this.#parts.log.warn({ err: error }, 'a departure could not be stored yet');
    });
  }

  /** Bytes → a typed frame → its method, or an `error`. */
  receive(connection: Connection, payload: Buffer, binary: boolean): Promise<void> | undefined {
    const { metrics } = this.#parts;
    this.heard(connection);
    if (connection.closing) return undefined;
    const marks: Marks & Record<string, unknown> = {};
    try {
      if (payload.length > limits.frameBytes) {
        metrics.framesReceived.add('refused');
        refuse(
          this.#dispatch,
          connection,
          invalid('frame', `must have at most ${limits.frameBytes} bytes`, `不能超过 ${limits.frameBytes} 字节`),
          binary ? {} : marksIn(payload.toString('utf8')),
        );
        connection.dismiss(closeCodes.tooLarge);
        return undefined;
      }
      const waitMs = this.#waitMs(connection);
      if (binary) throw invalid('frame', 'must be a text frame, not a binary one', '必须是文本帧，不能是二进制帧');
      const frame = decodeFrame(payload.toString('utf8'), marks);
      // Only now: the answer names the frame that it refuses.
      if (waitMs > 0) throw new ChatError('RATE_LIMITED', { retryAfterMs: waitMs });
      metrics.framesReceived.add(frame.type);
      return dispatch(this.#dispatch, connection, frame);
    } catch (error) {
      metrics.framesReceived.add('refused');
      refuse(this.#dispatch, connection, error, marks);
      return undefined;
    }
  }

  /** Counts a frame. @returns milliseconds until the next one may come, 0 when this one may */
  #waitMs(connection: Connection): number {
    const retryAfterMs = connection.bucket?.take() ?? 0;
    if (retryAfterMs === 0) connection.refused = Math.max(0, connection.refused - FORGIVEN);
    else if (++connection.refused >= FLOOD) connection.dismiss(closeCodes.flood);
    return retryAfterMs;
  }

  #noteError(error: unknown, connection: Connection): void {
    const code = error instanceof ChatError ? error.code : 'INTERNAL';
    this.#parts.metrics.errors.inc({ code });
    const level = code === 'INTERNAL' ? 'error' : 'debug';
    this.#parts.log[level]({ err: error, connection: connection.id, actor: connection.caller.actor }, 'frame refused');
  }

  async #recordRefusal(adminId: number | null, outcome: string, address: string): Promise<void> {
    try {
      await this.#parts.chat.recordRefusal({ adminId, action: 'connect', sessionId: null, outcome, address });
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'a refusal could not be recorded');
    }
  }
}

/** The connection's `type` decides the side, never the account's id; a token must carry the right to it. */
function chosenSide(query: URLSearchParams, account: Authenticated): Actor {
  const types = query.getAll('type');
  const type = types[0] ?? 'user';
  if (types.length > 1 || (type !== 'user' && type !== 'admin')) {
    throw invalid('type', 'must be one of: user, admin', '必须是其中之一：user、admin');
  }
  if (type === 'admin' && !account.roles.has('admin')) throw new ChatError('FORBIDDEN');
  return { type, id: account.identity.id };
}

function refuseUpgrade(socket: Duplex, body: ReturnType<typeof errorBody>): void {
  const text = JSON.stringify({ success: false, error: body });
  const { status } = errorKinds[body.code];
  const head = [
    `HTTP/1.1 ${status} ${body.code}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Cache-Control: no-store',
    // What a client of another version has to be told (RFC 6455 section 4.4).
    ...(body.details?.field === 'Sec-WebSocket-Version' ? ['Sec-WebSocket-Version: 13'] : []),
    ...(body.retryAfterMs === undefined ? [] : [`Retry-After: ${Math.ceil(body.retryAfterMs / 1000)}`]),
  ];
  turnAway(socket, `${head.join('\r\n')}\r\n\r\n${text}`);
}

function pathOf(request: IncomingMessage): string {
  const path = (request.url ?? '/').split('?', 1)[0] as string;
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function ignore(): void {}

const tick = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
