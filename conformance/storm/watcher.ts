import { Client, eventIn, type Frame } from './client.ts';
import type { History } from './history.ts';

/** An admin with the plain contract: sees what comes while it is connected. */
export class Watcher extends Client {
  readonly #name: string;
  readonly #history: History;

  constructor(address: () => string, name: string, history: History) {
    super(address);
    this.#name = name;
    this.#history = history;
  }

  protected opened(): void {}

  protected received(frame: Frame): void {
    const event = eventIn(frame);
    if (event) this.#history.add({ what: 'seen', observer: this.#name, connection: this.connection, ...event });
  }
}
