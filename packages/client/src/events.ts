import { rethrow } from './host.ts';

type Listener = (detail: never) => void;

/** Typed events. A listener that throws harms neither the others nor the SDK. */
export class Events<Map extends object> {
  readonly #listeners: { [Name in keyof Map]?: Set<Listener> } = {};

  /** @returns what ends it */
  on<Name extends keyof Map>(name: Name, listener: (detail: Map[Name]) => void): () => void {
    const listeners = (this.#listeners[name] ??= new Set());
    // A wrapper, so that the same function may listen twice.
    const own: Listener = (detail: Map[Name]) => listener(detail);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  tell<Name extends keyof Map>(name: Name, detail: Map[Name]): void {
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(detail as never);
      } catch (error) {
        rethrow(error);
      }
    }
  }
}
