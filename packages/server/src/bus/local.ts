import type { Bus, Hint } from '../domain/ports.ts';

/** The bus of a node that is alone: hints go to the node itself, at once. */
export class LocalBus implements Bus {
  readonly shared = false;
  #deliver: (hint: Hint) => void = () => undefined;

  publish(hint: Hint): void {
    this.#deliver(hint);
  }

  subscribe(deliver: (hint: Hint) => void): void {
    this.#deliver = deliver;
  }

  announce(): void {}

  onlineElsewhere(): Promise<ReadonlySet<number>> {
    return Promise.resolve(new Set<number>());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
