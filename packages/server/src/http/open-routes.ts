import { ChatError, invalid } from '@switchboard/protocol';
import type { FastifyInstance } from 'fastify';
import type { Admission } from './admission.ts';

export interface OpenRoutesParts {
  readonly admission: Admission;
  /** What is at `/` in place of the few words that are there otherwise. */
  readonly home?: ((server: FastifyInstance) => Promise<void>) | undefined;
}

/** What anybody may ask for, and every address that nothing else answers. */
export async function openRoutes(server: FastifyInstance, { admission, home }: OpenRoutesParts): Promise<void> {
  server.addHook('onRequest', (request) => admission.admit(request, 'open'));
  server.setNotFoundHandler(() => {
    throw new ChatError('NOT_FOUND');
  });

  if (home) await home(server);
  else
    server.get('/', async () => ({ name: 'switchboard', chat: '/chat', api: '/api/admin/chat', health: '/healthz' }));

  server.get('/chat', () => {
    throw invalid(
      'Upgrade',
      'is missing: this address is for WebSocket connections',
      '缺少：此地址仅用于 WebSocket 连接',
    );
  });
}
