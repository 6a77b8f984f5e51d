import { Readable } from 'node:stream';
import { ChatError, invalid, parseJson } from '@switchboard/protocol';
import type { FastifyInstance, FastifyRequest, RequestPayload } from 'fastify';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Request bodies are JSON in UTF-8 or nothing. Nothing is nothing whatever its content type says: `fetch` and proxies
 * name one for empty bodies too.
 */
export function readBodies(server: FastifyInstance): void {
  server.addHook('preParsing', (request, _reply, payload, done) => done(null, readAlready(request) ?? payload));
  server.removeAllContentTypeParsers();
  const whole = { parseAs: 'buffer' } as const;
  server.addContentTypeParser('application/json', whole, async (_request: FastifyRequest, bytes: Buffer) =>
    bytes.length === 0 ? undefined : parseJson(decode(bytes), 'body'),
  );
  server.addContentTypeParser('*', whole, async (_request: FastifyRequest, bytes: Buffer) => {
    if (bytes.length > 0) throw new ChatError('UNSUPPORTED_MEDIA_TYPE');
    return undefined;
  });
}

/**
 * The body once more, if somebody has read it before us: mounted on a host's server, a body parser of the host's may
 * come first. Without this the request would wait for bytes that never come.
 */
function readAlready({ raw, headers }: FastifyRequest): RequestPayload | null {
  if (!raw.readableEnded) return null;
  const { body } = raw as { body?: unknown };
  const bytes =
    Buffer.isBuffer(body) || typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  const again: RequestPayload = Readable.from([Buffer.from(bytes)], { objectMode: false });
  // What came over the wire is what the announced length is compared with.
  again.receivedEncodedLength = Number(headers['content-length'] ?? bytes.length);
  return again;
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    // Read leniently, a text would be stored that nobody wrote.
    throw invalid('body', 'is not valid UTF-8', '不是有效的 UTF-8');
  }
}
