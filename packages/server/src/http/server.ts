import { limits } from '@switchboard/protocol';
import Fastify, { type FastifyInstance } from 'fastify';
import type { AddressOf } from '../address.ts';
import type { Authenticate } from '../auth.ts';
import type { Chat } from '../domain/chat.ts';
import type { Clock } from '../domain/ports.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { recordRequests } from './access-log.ts';
import { adminRoutes } from './admin-routes.ts';
import { Admission } from './admission.ts';
import { readBodies } from './body.ts';
import { browserRules } from './browser-rules.ts';
import { CallerLimits } from './caller-limits.ts';
import { answerClientError } from './client-error.ts';
import { collectRoutes, docsRoutes } from './docs-routes.ts';
import { answerFailure } from './failure.ts';
import { openRoutes } from './open-routes.ts';
import { opsRoutes } from './ops-routes.ts';
import { routable } from './path-escapes.ts';
import { Refusals } from './refusals.ts';
import { userRoutes } from './user-routes.ts';
import { compileChecks } from './validation.ts';

export interface HttpParts {
  readonly chat: Chat;
  readonly authenticate: Authenticate;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Origins whose pages may read answers; null: the server's own, and loopback ones in demo mode. */
  readonly allowedOrigins: readonly string[] | null;
  readonly demo: boolean;
  /** Requests of one account, or of one address without a valid token; null: no limit. */
  readonly rateLimit: { perSecond: number; burst: number } | null;
  readonly addressOf: AddressOf;
  /** Throws when the store is away or not migrated. */
  readonly ready: () => Promise<void>;
  /** True when the server is about to end. */
  readonly draining: () => boolean;
  /** Names that a setting gives to frames, for their document. */
  readonly frameNames: Readonly<Record<string, string>>;
  /** What is at `/`, if more than a few words. */
  readonly home?: ((server: FastifyInstance) => Promise<void>) | undefined;
}

/** A request's headers. Who is later is cut at the next check. */
const HEADERS_WITHIN_MS = 5_000;
const CHECK_EVERY_MS = 500;
/** A whole request, body included. */
const REQUEST_WITHIN_MS = 30_000;
/** Longer than the 60 s after which common load balancers close idle connections, so that they always do it first. */
const KEEP_ALIVE_MS = 72_000;

/** The HTTP side: all routes registered, ready, not listening. */
export async function createHttp(parts: HttpParts): Promise<FastifyInstance> {
  const { chat, authenticate, log, clock, rateLimit } = parts;
  const server = Fastify({
    // Fastify's own lines would hold URLs.
    logger: false,
    bodyLimit: limits.bodyBytes,
    http: { headersTimeout: HEADERS_WITHIN_MS, connectionsCheckingInterval: CHECK_EVERY_MS },
    requestTimeout: REQUEST_WITHIN_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    // What arrives on an open connection while the others finish is still answered.
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    rewriteUrl: (request) => routable(request.url ?? '/'),
    // An id that is too long is a fault of the parameter, to be told as one; headers bound it.
    routerOptions: { maxParamLength: 65_536 },
    schemaController: { compilersFactory: { buildValidator: notAsked, buildSerializer: notAsked } },
  });
  server.setValidatorCompiler(compileChecks);
  // Answers are built from known fields already; their schemas are for readers.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data));
  server.setErrorHandler((error, request, reply) => answerFailure(error, request, reply, parts));
  server.decorateRequest('visitor', null);
  readBodies(server);
  recordRequests(server, parts);
  partWithClients(server, parts.draining);
  await browserRules(server, parts);

  const routes = collectRoutes(server);
  const admission = new Admission(authenticate, rateLimit && new CallerLimits(rateLimit, clock), parts.addressOf);
  const refusals = new Refusals(chat, clock, log);
  await server.register(opsRoutes, parts);
  await server.register(openRoutes, { admission, home: parts.home });
  await server.register(docsRoutes, { admission, routes, frameNames: parts.frameNames });
  for (const prefix of ['/api/admin/chat', '/admin/chat']) {
    await server.register(adminRoutes, { prefix, chat, admission, refusals });
  }
  for (const prefix of ['/api/chat', '/chat']) await server.register(userRoutes, { prefix, chat, admission });
  await server.ready();
  return server;
}

/** In place of the compilers that Fastify would load, a hundred files, though ours are set before it asks for any. */
function notAsked(): never {
  throw new Error('the compilers of schemas are our own');
}

/** Tells clients that hold a connection to open their next one elsewhere, once the server is about to end. */
function partWithClients(server: FastifyInstance, draining: () => boolean): void {
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (draining()) reply.header('connection', 'close');
    done(null, payload);
  });
}
