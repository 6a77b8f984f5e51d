import type { Dialect } from './dialect.ts';

const ATTEMPTS = 10;

/** Runs a transaction again that met another one: a deadlock, or a key that somebody else was first to insert. */
export async function patiently<T>(dialect: Dialect, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const failure = dialect.classify(error);
      if (attempt >= ATTEMPTS || (failure !== 'contention' && failure !== 'duplicate')) throw error;
    }
  }
}
