import type { Socket } from 'node:net';

/**
 * Gathers all frames that a socket gets in one turn of the event loop into one write: a write costs far more than a
 * frame, and a commit answers many senders at once.
 */
export class CorkedWrites {
  #corked = new Set<Socket>();

  cork(socket: Socket): void {
    if (this.#corked.has(socket)) return;
    if (this.#corked.size === 0) setImmediate(this.#flush);
    this.#corked.add(socket);
    socket.cork();
  }

  readonly #flush = (): void => {
    const corked = this.#corked;
    this.#corked = new Set();
    for (const socket of corked) socket.uncork();
  };
}
