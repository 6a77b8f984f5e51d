import { ChatError, invalid, parseJson } from '@switchboard/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Request bodies are JSON in UTF-8 or nothing. Nothing is nothing whatever its content type says: `fetch` and proxies
 * name one for empty bodies too.
 */
export function readBodies(server: FastifyInstance): void {
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

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    // Read leniently, a text would be stored that nobody wrote.
    throw invalid('body', 'is not valid UTF-8', '不是有效的 UTF-8');
  }
}
