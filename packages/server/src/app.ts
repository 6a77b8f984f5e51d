import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { addressReader } from './address.ts';
import { createAuthenticate } from './auth.ts';
import { LocalBus } from './bus/local.ts';
import { RedisBus } from './bus/redis.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { Assignment } from './domain/assignment.ts';
import { Chat } from './domain/chat.ts';
import { Following } from './domain/following.ts';
import type { Bus } from './domain/ports.ts';
import { LocalPresence } from './domain/presence.ts';
import { Upkeep } from './domain/upkeep.ts';
import { createHttp } from './http/server.ts';
import { newId, nodeId as newNodeId } from './ids.ts';
import type { Log } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { FrameWriter } from './realtime/frames.ts';
import { Gateway } from './realtime/gateway.ts';
import { Hub } from './realtime/hub.ts';
import { Sequencer } from './realtime/sequencer.ts';
import { Sweeper } from './realtime/sweeper.ts';
import { repeat } from './repeat.ts';
import type { Dialect } from './store/dialect.ts';
import { mysqlDialect } from './store/mysql.ts';
import { LEASE_MS } from './store/roster.ts';
import { sqliteDialect } from './store/sqlite.ts';
import { SqlStore } from './store/sql-store.ts';

export interface Switchboard {
  /** Starts to serve. @returns the address, such as `http://127.0.0.1:8787` */
  listen(): Promise<string>;
  /** Stops accepting, lets what is in flight finish, tells sockets to go elsewhere. Resolves within ten seconds. */
  close(): Promise<void>;
}

const UPKEEP_EVERY_MS = 500;
/** How late a message may be on another node while the bus is away. */
const SWEEP_EVERY_MS = 2_000;
const RENEW_EVERY_MS = LEASE_MS / 3;
const DRAIN_MS = 4_000;
/** How long requests in flight may go on after the sockets are gone. */
const LINGER_MS = 2_000;

/**
 * Puts all parts together: the only place that knows every one. The store is migrated before this resolves.
 * @throws what the store throws when it cannot be reached or migrated
 */
export async function createSwitchboard(config: Config, log: Log): Promise<Switchboard> {
  const clock = systemClock;
  const nodeId = newNodeId();
  const metrics = createMetrics();
  const store = await openStore(config, log, metrics);
  const bus: Bus = config.redisUrl
    ? await RedisBus.connect({ url: config.redisUrl, nodeId, log, clock })
    : new LocalBus();
  const graceMs = config.adminOfflineGraceSeconds * 1000;

  const drainQueue = (): void => {
    assignment.drain().catch((error: unknown) => log.warn({ err: error }, 'the queue could not be looked at; next look soon'));
  };
  const presence: LocalPresence = new LocalPresence({ roster: store.roster, bus, nodeId, graceMs, adminCame: drainQueue });
  const chat = new Chat({
    store, bus, clock, presence, newId, businessZone: config.businessZone, capacityChanged: drainQueue,
  });
  const assignment = new Assignment(store, chat);
  const upkeep = new Upkeep({
    roster: store.roster, presence, assignment, chat, clock, graceMs,
    renewEveryMs: RENEW_EVERY_MS,
    aloneAs: bus.shared ? null : nodeId,
  });

  const frames = new FrameWriter(config.frameNames);
  const hub = new Hub(frames);
  const sequencer = new Sequencer({
    readLog: (sessionId, afterSeq, limit) => store.log(sessionId, afterSeq, limit),
    deliver: (hint) => {
      for (const event of hint.events) if (event.kind === 'message' && hint.origin) metrics.messagesStored.inc({ sender: event.message.senderType });
      hub.deliver(hint);
    },
  });
  bus.subscribe((hint) => {
    if (hint.receipt) hub.deliverReceipt(hint, hint.receipt);
    else sequencer.receive(hint);
  });

  const authenticate = await createAuthenticate(config.jwt, clock);
  let draining = false;
  let connections = 0;
  const { allowedOrigins, demo } = config;
  const addressOf = addressReader(config.trustProxy);
  const gateway = new Gateway({
    chat, following: new Following({ store, bus, clock }), hub, frames, presence, authenticate, clock, log, metrics, allowedOrigins, demo, addressOf,
    newConnectionId: () => `${nodeId}-${++connections}`,
    rateLimit: config.rateLimit?.frames ?? null,
  });
  const http = await createHttp({
    chat, authenticate, log, metrics, clock, allowedOrigins, demo, addressOf,
    rateLimit: config.rateLimit?.requests ?? null,
    ready: () => store.ready(),
    draining: () => draining,
  });
  http.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (Gateway.serves(request)) void gateway.upgrade(request, socket, head);
    else refusePath(socket);
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

  return {
    listen: () => listen(http, config),
    async close() {
      draining = true;
      // The listener closes first; what it already let in is answered by the drain.
      const closed = http.close();
      await gateway.drain(DRAIN_MS);
      const impatience = setTimeout(() => http.server.closeAllConnections(), LINGER_MS);
      await closed;
      clearTimeout(impatience);
      await Promise.all(loops.map((loop) => loop.stop()));
      await presence.settle().catch((error: unknown) => log.warn({ err: error }, 'departures could not be stored'));
      await bus.close();
      await store.close();
    },
  };
}

async function openStore(config: Config, log: Log, metrics: Metrics): Promise<SqlStore> {
  const dialect: Dialect =
    config.database.kind === 'sqlite' ? await sqliteDialect(config.database.file) : mysqlDialect(config.database.options);
  const store = new SqlStore({
    dialect,
    capacity: config.maxActiveSessionsPerAdmin,
    onCommit: (size, seconds) => {
      metrics.commitSize.observe(size);
      metrics.commitSeconds.observe(seconds);
    },
  });
  try {
    await migrateWhenReachable(store, dialect, config.databaseWaitSeconds * 1000, log);
    for (const fault of await store.durabilityFaults()) {
      log.warn({ fault }, 'the database may lose acknowledged messages at a power loss');
    }
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
  return store;
}

/** A database that starts at the same time as we do gets a while to come up. */
async function migrateWhenReachable(store: SqlStore, dialect: Dialect, patienceMs: number, log: Log): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      await store.migrate();
      return;
    } catch (error) {
      if (dialect.classify(error) !== 'away' || performance.now() > until) throw error;
      log.warn({ err: error }, 'the database cannot be reached yet');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function listen(http: FastifyInstance, { host, port }: Config): Promise<string> {
  await http.listen({ host, port });
  const bound = http.server.address() as AddressInfo;
  return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

function refusePath(socket: Duplex): void {
  socket.on('error', () => undefined);
  socket.end('HTTP/1.1 404 NOT_FOUND\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}
