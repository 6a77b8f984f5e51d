import type { IncomingMessage } from 'node:http';

const MOST_BYTES = 1_048_576;
const MOST_MS = 1_000;

/**
 * Reads and forgets what the client still sends of a body that is refused. A socket that is closed with unread bytes is
 * reset, and the answer may be lost with it. Who sends more, or slower, than is decent takes that risk.
 */
export async function drain(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  await new Promise<void>((resolve) => {
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) stop();
    };
    const stop = (): void => {
      clearTimeout(timer);
      request.off('data', count).off('end', stop).off('close', stop);
      resolve();
    };
    const timer = setTimeout(stop, MOST_MS);
    request.on('data', count).on('end', stop).on('close', stop).resume();
  });
}
