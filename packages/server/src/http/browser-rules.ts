import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import { isAllowedOrigin } from '../origin.ts';

/** The headers that tell browsers who may read the answers, and what may be done with them. */
export async function browserRules(
  server: FastifyInstance,
  { allowedOrigins, demo }: { allowedOrigins: readonly string[] | null; demo: boolean },
): Promise<void> {
  await server.register(cors, {
    // Pages of the server's own origin need no leave, so its own name is not looked at.
    origin: (origin, decide) =>
      decide(null, origin !== undefined && isAllowedOrigin(origin, undefined, allowedOrigins, demo)),
    methods: ['GET', 'HEAD', 'POST'],
    exposedHeaders: ['Retry-After', 'X-Request-Id'],
    // Front ends that are known and send cookies everywhere may do so here; nothing reads them.
    credentials: !allowedOrigins?.includes('*'),
    maxAge: 600,
    // Strictness would answer in plain text.
    strictPreflight: false,
  });
  await server.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
    },
    referrerPolicy: { policy: 'no-referrer' },
    // Whether a whole domain is to be HTTPS for ever is decided where TLS ends, not here.
    strictTransportSecurity: false,
  });
  server.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store');
    done();
  });
}
