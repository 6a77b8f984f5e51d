import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Counts by one label. What happens with every message is only added up here, and handed to Prometheus when it asks. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(label: string): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + 1);
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}

/** More than the ten milliseconds after which the event loop's delay is looked at again. */
const LOOK_MS = 15;

/** What one instance counts. Labels take few values by construction: never an id, an address or a text of a client. */
export interface Metrics {
  /** Of this instance alone: two in one process do not mix. */
  readonly registry: Registry;
  /** All of them, as Prometheus reads them. */
  readonly text: () => Promise<string>;
  readonly connections: Gauge<'type'>;
  /** By type of the frame. */
  readonly framesReceived: Tally;
  /** By the side that sent them. */
  readonly messagesStored: Tally;
  /** Seconds from the start of a group commit to its end. */
  readonly commitSeconds: Histogram;
  /** Commands in one group commit. */
  readonly commitSize: Histogram;
  /** Seconds that a REST request took. `route` is the pattern (`/sessions/:sessionId`), never the address asked for. */
  readonly requests: Histogram<'method' | 'route' | 'status'>;
  readonly errors: Counter<'code'>;
  readonly closes: Counter<'code'>;
  readonly upkeepFailures: Counter;
}

/**
 * New metrics with a registry of their own. The usual ones of a Node.js process are among them from the first time that
 * somebody asks: to watch the event loop wakes a process that has nothing to do a hundred times a second.
 */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  let watching: Promise<void> | undefined;
  return {
    registry,
    text: async () => {
      watching ??= watchProcess(registry);
      await watching;
      return registry.metrics();
    },
    connections: new Gauge({
      name: 'switchboard_connections',
      help: 'WebSocket connections that are open now, by side',
      labelNames: ['type'],
      registers,
    }),
    framesReceived: tally(registry, 'type', {
      name: 'switchboard_frames_received_total',
      help: 'Frames from clients, by type',
    }),
    messagesStored: tally(registry, 'sender', {
      name: 'switchboard_messages_stored_total',
      help: 'Messages that became durable, by the side that sent them',
    }),
    commitSeconds: new Histogram({
      name: 'switchboard_commit_seconds',
      help: 'Duration of one group commit',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    commitSize: new Histogram({
      name: 'switchboard_commit_size',
      help: 'Commands in one group commit',
      buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500],
      registers,
    }),
    requests: new Histogram({
      name: 'switchboard_request_seconds',
      help: 'Duration of REST requests, by method, route pattern and status',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    errors: new Counter({
      name: 'switchboard_errors_total',
      help: 'Errors that callers were told, by code',
      labelNames: ['code'],
      registers,
    }),
    closes: new Counter({
      name: 'switchboard_closes_total',
      help: 'WebSocket connections that ended, by close code',
      labelNames: ['code'],
      registers,
    }),
    upkeepFailures: new Counter({
      name: 'switchboard_upkeep_failures_total',
      help: 'Rounds of upkeep (leases, grace, queue) that failed',
      registers,
    }),
  };
}

async function watchProcess(registry: Registry): Promise<void> {
  collectDefaultMetrics({ register: registry });
  // The first look only begins; without a second one, all that is known of the delay is nonsense.
  await sleep(LOOK_MS);
  await sleep(LOOK_MS);
}

function tally(registry: Registry, label: string, about: { name: string; help: string }): Tally {
  const counted = new Tally();
  const counter = new Counter<string>({
    ...about,
    labelNames: [label],
    registers: [],
    collect() {
      this.reset();
      for (const [value, count] of counted.counts) this.inc({ [label]: value }, count);
    },
  });
  registry.registerMetric(counter);
  return counted;
}
