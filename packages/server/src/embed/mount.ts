import type { EventEmitter } from 'node:events';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ChatError, errorBody, preferredLanguage } from '@switchboard/protocol';
import type { Log } from '../log.ts';

/** Passes a request on, as in Express and Connect. */
export type Next = (error?: unknown) => void;

/** An HTTP or HTTPS server of Node's. */
export type HttpServer = Pick<EventEmitter, 'emit' | 'on' | 'off' | 'listeners'>;

export interface MountParts {
  /** What stands before our paths on the host's server; empty for nothing. */
  readonly prefix: string;
  readonly log: Log;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
  readonly servesUpgrade: (url: string) => boolean;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Everything below these is ours. They themselves are not: the host may well have a page at `/chat`. */
const OURS = /^(\/api)?(\/admin)?\/chat\/[^?#]/;

const UPGRADES_MISSING =
  "a WebSocket came as a plain request: pass the server's upgrade events to switchboard.upgrade, or use attach";

/** Our routes on somebody else's HTTP server: takes what is ours and passes on everything else. */
export class Mount {
  readonly #parts: MountParts;
  readonly #open = new Set<ServerResponse>();
  readonly #attached = new Set<() => void>();
  #closed = false;
  #allAnswered: (() => void) | undefined;

  constructor(parts: MountParts) {
    this.#parts = parts;
  }

  /** Whether a request, or an upgrade, is for us. */
  serves(request: IncomingMessage): boolean {
    return this.#ownUrl(request) !== null;
  }

  /** @returns whether the request was ours; if not, `next` has been called */
  handler(request: IncomingMessage, response: ServerResponse, next?: Next): boolean {
    const url = this.#ownUrl(request);
    if (url !== null && isUpgrade(request)) this.#parts.log.warn(UPGRADES_MISSING);
    if (url === null || isUpgrade(request)) {
      next?.();
      return false;
    }
    if (this.#closed) {
      refuse(request, response);
      return true;
    }
    this.#open.add(response);
    response.once('close', () => {
      this.#open.delete(response);
      if (this.#open.size === 0) this.#allAnswered?.();
    });
    request.url = url;
    this.#parts.answer(request, response);
    return true;
  }

  /** @returns whether the upgrade was ours; if not, nothing was done */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const url = this.#ownUrl(request);
    if (url === null || !isUpgrade(request)) return false;
    request.url = url;
    this.#parts.upgrade(request, socket, head);
    return true;
  }

  /**
   * Takes our requests and upgrades before anybody else on this server hears of them, so that neither body parsers nor
   * WebSocket libraries that refuse every path but their own come between.
   * @returns undoes it
   */
  attach(server: HttpServer): () => void {
    const { emit } = server;
    const inherited = !Object.hasOwn(server, 'emit');
    let attached = true;
    const isOurs = (name: string | symbol, args: readonly unknown[]): boolean => {
      if (!attached) return false;
      if (name === 'request') return this.handler(...(args as [IncomingMessage, ServerResponse]));
      return name === 'upgrade' && this.upgrade(...(args as [IncomingMessage, Duplex, Buffer]));
    };
    function intercept(this: EventEmitter, name: string | symbol, ...args: unknown[]): boolean {
      return isOurs(name, args) || emit.call(this, name, ...args);
    }
    server.emit = intercept;
    // Node says that there is an upgrade only if somebody listens for them.
    const otherwise = (request: IncomingMessage, socket: Duplex): void => {
      if (server.listeners('upgrade').find((listener) => !fallbacks.has(listener)) !== undefined) return;
      // Of several that are attached, one answers.
      if (server.listeners('upgrade')[0] === otherwise) answerPlainly(server, request, socket as Socket);
    };
    fallbacks.add(otherwise);
    server.on('upgrade', otherwise);
    const detach = (): void => {
      attached = false;
      this.#attached.delete(detach);
      server.off('upgrade', otherwise);
      // Who came after us keeps what they put there, and we pass everything on.
      if (server.emit !== intercept) return;
      if (inherited) delete (server as Partial<HttpServer>).emit;
      else server.emit = emit;
    };
    this.#attached.add(detach);
    return detach;
  }

  /** From now on requests are refused. Resolves when those that came before are answered, or after `ms`. */
  async close(ms: number): Promise<void> {
    this.#closed = true;
    if (this.#open.size > 0) {
      const impatience = setTimeout(() => this.#allAnswered?.(), ms);
      await new Promise<void>((resolve) => {
        this.#allAnswered = resolve;
      });
      clearTimeout(impatience);
    }
    for (const detach of this.#attached) detach();
  }

  /** The request's URL without the prefix, null when it is not ours. */
  #ownUrl(request: IncomingMessage): string | null {
    // Express cuts off what a router is mounted at; an upgrade never passes a router.
    const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
    const { prefix, servesUpgrade } = this.#parts;
    if (!url.startsWith(prefix)) return null;
    const own = url.slice(prefix.length);
    const ours = isUpgrade(request) ? servesUpgrade(own) : OURS.test(own);
    return ours ? own : null;
  }
}

/** Our listeners for upgrades that nobody wants, on whatever server. */
const fallbacks = new WeakSet<object>();

/** What Node does with an upgrade that nobody listens for: the request is one like any other (RFC 9110, 7.8). */
function answerPlainly(server: HttpServer, request: IncomingMessage, socket: Socket): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.destroySoon();
  });
  server.emit('request', request, response);
}

function isUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

function refuse(request: IncomingMessage, response: ServerResponse): void {
  const error = errorBody(
    new ChatError('UNAVAILABLE', { retryAfterMs: 1_000 }),
    preferredLanguage(request.headers['accept-language']),
  );
  response.writeHead(503, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'retry-after': '1',
    connection: 'close',
  });
  response.end(JSON.stringify({ success: false, error }));
}
