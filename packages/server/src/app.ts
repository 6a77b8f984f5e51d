import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { addressReader } from './address.ts';
import { createAuthenticate } from './auth.ts';
import { LocalBus } from './bus/local.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { demoRoutes } from './demo/routes.ts';
import { Assignment } from './domain/assignment.ts';
import { Chat } from './domain/chat.ts';
import { Following } from './domain/following.ts';
import type { Bus, Clock } from './domain/ports.ts';
import { LocalPresence } from './domain/presence.ts';
import { Upkeep } from './domain/upkeep.ts';
import { type HostAuthenticate, hostAuthenticate } from './embed/account.ts';
import { HostEvents, type Listener, overheard, type SwitchboardEvents } from './embed/events.ts';
import { type HttpServer, Mount, type Next } from './embed/mount.ts';
import { type Behalf, Party } from './embed/party.ts';
import { createHttp } from './http/server.ts';
import { newId, nodeId as newNodeId } from './ids.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { openStore } from './open-store.ts';
import { FrameWriter } from './realtime/frames.ts';
import { Gateway } from './realtime/gateway.ts';
import { turnAway } from './realtime/handshake.ts';
import { Hub } from './realtime/hub.ts';
import { Sequencer } from './realtime/sequencer.ts';
import { Sweeper } from './realtime/sweeper.ts';
import { repeat } from './repeat.ts';
import type { BorrowedPool } from './store/borrowed-pool.ts';
import { LEASE_MS } from './store/roster.ts';

/** A chat server: listening by itself, or mounted on a server that is there already. */
export interface Switchboard {
  /** Starts to serve on `HOST` and `PORT`. @returns the address, such as `http://127.0.0.1:8787` */
  listen(): Promise<string>;
  /**
   * Answers requests to Switchboard's own paths; others go to `next`, as in Express.
   * @returns whether the request was one of its own
   */
  readonly handler: (request: IncomingMessage, response: ServerResponse, next?: Next) => boolean;
  /**
   * Takes WebSocket upgrades to Switchboard's own path, and leaves others alone.
   * @returns whether the upgrade was one of its own
   */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /** Whether a request or an upgrade is for Switchboard. */
  readonly serves: (request: IncomingMessage) => boolean;
  /**
   * `handler` and `upgrade` in front of everything else on this server: framework, body parsers, other WebSockets.
   * @returns takes it off again; `close` does so too
   */
  attach(server: HttpServer): () => void;
  /** Listens to what this node commits, each event once. @returns ends the subscription */
  on<E extends keyof SwitchboardEvents>(name: E, listener: Listener<E>): () => void;
  /** Acts for a user or an admin, with the same rules as by REST and without a token. */
  as(who: Behalf): Party;
  /** For the host's own health check. Throws when the store is away. */
  ready(): Promise<void>;
  /** For the host's own metrics page: what this instance counts, in the text format of Prometheus. */
  metrics(): Promise<string>;
  /** Stops accepting, lets what is in flight finish, tells sockets to go elsewhere. Resolves within ten seconds. */
  close(): Promise<void>;
}

/** What a host brings along. */
export interface HostParts {
  readonly pool?: BorrowedPool | null;
  readonly authenticate?: HostAuthenticate | null;
  readonly prefix?: string;
  /** Ends the wait for a database that is away: `assemble` then throws an `AbortError`. */
  readonly giveUp?: AbortSignal;
}

const UPKEEP_EVERY_MS = 500;
/** How late a message may be on another node while the bus is away. */
const SWEEP_EVERY_MS = 2_000;
const RENEW_EVERY_MS = LEASE_MS / 3;
const DRAIN_MS = 4_000;
/** What reading on may wait for others when thousands of clients come back at once. */
const STORM_PAUSE_MS = 20;
/** How long requests in flight may go on after the sockets are gone. */
const LINGER_MS = 2_000;

/**
 * Puts all parts together: the only place that knows every one. The store is migrated before this resolves.
 * @throws what the store throws when it cannot be reached or migrated
 */
export async function assemble(config: Config, log: Log, host: HostParts = {}): Promise<Switchboard> {
  const clock = systemClock;
  const nodeId = newNodeId();
  const metrics = createMetrics();
  const authenticate = host.authenticate
    ? hostAuthenticate(host.authenticate, log)
    : await createAuthenticate(config.jwt, clock);
  const store = await openStore(config, { log, metrics, pool: host.pool ?? null, giveUp: host.giveUp });
  const events = new HostEvents(log);
  const plainBus = await openBus(config.redisUrl, { nodeId, log, clock });
  const bus = overheard(plainBus, (hint) => {
    for (const event of hint.events) {
      if (event.kind === 'message') metrics.messagesStored.add(event.message.senderType);
    }
    events.tell(hint);
  });
  const graceMs = config.adminOfflineGraceSeconds * 1000;

  const drainQueue = (): void => {
    assignment
      .drain()
      .catch((error: unknown) => log.warn({ err: error }, 'the queue could not be looked at; next look soon'));
  };
  const presence: LocalPresence = new LocalPresence({
    roster: store.roster,
    bus,
    nodeId,
    graceMs,
    adminCame: drainQueue,
  });
  const chat = new Chat({
    store,
    bus,
    clock,
    presence,
    newId,
    businessZone: config.businessZone,
    capacityChanged: drainQueue,
  });
  const assignment = new Assignment(store, chat);
  const upkeep = new Upkeep({
    roster: store.roster,
    presence,
    assignment,
    chat,
    clock,
    graceMs,
    renewEveryMs: RENEW_EVERY_MS,
    aloneAs: bus.shared ? null : nodeId,
  });

  const frames = new FrameWriter(config.frameNames);
  const hub = new Hub(frames);
  const sequencer = new Sequencer({
    readLog: (sessionId, afterSeq, limit) => store.log(sessionId, afterSeq, limit),
    deliver: (hint) => hub.deliver(hint),
  });
  bus.subscribe((hint) => {
    if (hint.receipt) hub.deliverReceipt(hint, hint.receipt);
    else sequencer.receive(hint);
  });

  let draining = false;
  let connections = 0;
  const { allowedOrigins, demo } = config;
  const addressOf = addressReader(config.trustProxy);
  const gateway = new Gateway({
    chat,
    following: new Following({ store, bus, clock, pause: () => sleep(STORM_PAUSE_MS) }),
    hub,
    frames,
    presence,
    authenticate,
    clock,
    log,
    metrics,
    allowedOrigins,
    demo,
    addressOf,
    newConnectionId: () => `${nodeId}-${++connections}`,
    rateLimit: config.rateLimit?.frames ?? null,
  });
  const http = await createHttp({
    chat,
    authenticate,
    log,
    metrics,
    clock,
    allowedOrigins,
    demo,
    addressOf,
    rateLimit: config.rateLimit?.requests ?? null,
    ready: () => store.ready(),
    draining: () => draining,
    frameNames: config.frameNames,
    home: demo ? demoRoutes(config, clock) : undefined,
  });
  const takeUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    void gateway.upgrade(request, socket, head);
  };
  http.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (Gateway.serves(request)) takeUpgrade(request, socket, head);
    else refusePath(socket);
  });
  const mount = new Mount({
    prefix: host.prefix ?? '',
    log,
    answer: (request, response) => void http.server.emit('request', request, response),
    servesUpgrade: (url) => Gateway.serves({ url } as IncomingMessage),
    upgrade: takeUpgrade,
  });

  const neglected = (error: unknown): void => {
    metrics.upkeepFailures.inc();
    log.warn({ err: error }, 'upkeep failed; next look soon');
  };
  const loops = [repeat(UPKEEP_EVERY_MS, () => upkeep.tick(), neglected)];
  if (bus.shared) {
    const sweeper = new Sweeper(store, sequencer, clock);
    loops.push(repeat(SWEEP_EVERY_MS, () => sweeper.sweep(), neglected));
  }

  const close = async (): Promise<void> => {
    draining = true;
    // The listener closes first; what it already let in is answered by the drain.
    const closed = http.close();
    const answered = mount.close(DRAIN_MS + LINGER_MS);
    await gateway.drain(DRAIN_MS);
    const impatience = setTimeout(() => http.server.closeAllConnections(), LINGER_MS);
    await closed;
    clearTimeout(impatience);
    await answered;
    await Promise.all(loops.map((loop) => loop.stop()));
    await presence.settle().catch((error: unknown) => log.warn({ err: error }, 'departures could not be stored'));
    await bus.close();
    await store.close();
    events.flush();
  };
  let closing: Promise<void> | undefined;

  return {
    listen: () => listen(http, config),
    handler: (request, response, next) => mount.handler(request, response, next),
    upgrade: (request, socket, head) => mount.upgrade(request, socket, head),
    serves: (request) => mount.serves(request),
    attach: (server) => mount.attach(server),
    on: (name, listener) => events.on(name, listener),
    as: (who) => new Party(chat, who),
    ready: () => store.ready(),
    metrics: () => metrics.text(),
    close: () => (closing ??= close()),
  };
}

/** The driver of Redis is loaded only where it is needed. */
async function openBus(url: string | null, parts: { nodeId: string; log: Log; clock: Clock }): Promise<Bus> {
  if (url === null) return new LocalBus();
  const { RedisBus } = await import('./bus/redis.ts');
  return RedisBus.connect({ url, ...parts });
}

async function listen(http: FastifyInstance, { host, port }: Config): Promise<string> {
  await http.listen({ host, port });
  const bound = http.server.address() as AddressInfo;
  return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

function refusePath(socket: Duplex): void {
  socket.on('error', () => undefined);
  turnAway(socket, 'HTTP/1.1 404 NOT_FOUND\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}
