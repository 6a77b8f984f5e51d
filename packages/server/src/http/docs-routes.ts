import { readFileSync } from 'node:fs';
import {
  asyncApiDocument,
  type DocumentedRoute,
  type Language,
  openApiDocument,
  preferredLanguage,
} from '@switchboard/protocol';
import type { FastifyInstance } from 'fastify';
import { packageRoot } from '../package-root.ts';
import type { Admission } from './admission.ts';

const FILES = [
  ['/docs', 'index.html', 'text/html'],
  ['/docs/websocket', 'index.html', 'text/html'],
  ['/docs/docs.css', 'docs.css', 'text/css'],
  ['/docs/docs.js', 'docs.js', 'text/javascript'],
  ['/docs/schema.js', 'schema.js', 'text/javascript'],
  ['/docs/words.js', 'words.js', 'text/javascript'],
] as const;
/** Only what the page itself has, and nothing inline. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  'img-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
/** Pages for people, which are no part of the API. */
const PAGES = /^\/($|demo|docs)/;

/** Collects the routes that are registered from now on, for the document. */
export function collectRoutes(server: FastifyInstance): DocumentedRoute[] {
  const routes: DocumentedRoute[] = [];
  server.addHook('onRoute', ({ method, url, schema }) => {
    for (const one of [method].flat()) {
      // HEAD comes with every GET, and OPTIONS is for browsers.
      if (one !== 'HEAD' && one !== 'OPTIONS' && !PAGES.test(url)) routes.push({ method: one, url, schema });
    }
  });
  return routes;
}

export interface DocsRoutesParts {
  readonly admission: Admission;
  readonly routes: readonly DocumentedRoute[];
  readonly frameNames: Readonly<Record<string, string>>;
}

/** The documents that are made from the routes and schemas, and the pages that show them. */
export async function docsRoutes(
  server: FastifyInstance,
  { admission, routes, frameNames }: DocsRoutesParts,
): Promise<void> {
  server.addHook('onRequest', (request) => admission.admit(request, 'open'));

  const { version } = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string };
  const makers = {
    '/openapi.json': (language: Language) => openApiDocument(routes, { version, language }),
    '/asyncapi.json': (language: Language) => asyncApiDocument({ version, language, frameNames }),
  };
  for (const [url, make] of Object.entries(makers)) {
    // Made when somebody asks first: it takes a tenth of a second that a start can do without.
    const documents = new Map<Language, string>();
    server.get(url, async (request, reply) => {
      const language = preferredLanguage(request.headers['accept-language']);
      let document = documents.get(language);
      if (document === undefined) documents.set(language, (document = JSON.stringify(make(language))));
      reply.header('vary', 'Accept-Language');
      return reply.type('application/json; charset=utf-8').send(document);
    });
  }

  for (const [url, file, type] of FILES) {
    const content = readFileSync(new URL(`docs-site/${file}`, packageRoot));
    server.get(url, async (_request, reply) => {
      reply.header('content-security-policy', POLICY);
      return reply.type(`${type}; charset=utf-8`).send(content);
    });
  }
}
