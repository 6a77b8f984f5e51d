export interface Events<Details> {
  /** @returns what ends it */
  readonly on: <Name extends keyof Details>(name: Name, listener: (detail: Details[Name]) => void) => () => void;
  readonly tell: <Name extends keyof Details>(name: Name, detail: Details[Name]) => void;
}

/** Typed events. A listener that throws harms neither the others nor the SDK. */
export function createEvents<Details>(): Events<Details> {
  const listeners = new Set<{ name: keyof Details; listener: (detail: never) => void }>();
  return {
    on(name, listener) {
      const entry = { name, listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    tell(name, detail) {
      for (const entry of listeners) {
        if (entry.name !== name) continue;
        try {
          entry.listener(detail as never);
        } catch (error) {
          // Becomes an unhandled rejection, for whoever looks after those.
          void Promise.reject(error as Error);
        }
      }
    },
  };
}
