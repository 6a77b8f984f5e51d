import { ChatError } from '@switchboard/protocol';
import type { FastifyInstance } from 'fastify';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { within } from './deadline.ts';

export interface OpsRoutesParts {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Throws when the store is away or not migrated. */
  readonly ready: () => Promise<void>;
  /** True when the server is about to end. */
  readonly draining: () => boolean;
}

const READY_WITHIN_MS = 2_000;

/** What load balancers, orchestrators and Prometheus ask for: no token, no rate limit. */
export async function opsRoutes(
  server: FastifyInstance,
  { log, metrics, ready, draining }: OpsRoutesParts,
): Promise<void> {
  server.get('/healthz', async () => ({ status: 'ok' }));

  server.get('/readyz', async () => {
    if (draining()) throw new ChatError('UNAVAILABLE');
    try {
      await within(READY_WITHIN_MS, ready());
    } catch (err) {
      log.warn({ err }, 'not ready');
      throw new ChatError('UNAVAILABLE');
    }
    return { status: 'ok' };
  });

  server.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.registry.contentType).send(await metrics.text());
  });
}
