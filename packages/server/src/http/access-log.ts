import type { FastifyInstance } from 'fastify';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { routeOf } from './failure.ts';

/** One line and one measurement a request. Routes are templates: a URL may hold a token. */
export function recordRequests(server: FastifyInstance, { log, metrics }: { log: Log; metrics: Metrics }): void {
  server.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const status = reply.statusCode;
    const route = routeOf(request);
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    metrics.requests.observe({ method, route, status: String(status) }, ms / 1000);
    const level = status >= 500 ? 'error' : status >= 400 ? 'info' : 'debug';
    const account = request.visitor?.account?.identity.id;
    log[level]({ method, route, status, ms, requestId: request.id, account }, 'request');
    done();
  });
}
