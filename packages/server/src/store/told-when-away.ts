import { ChatError } from '@switchboard/protocol';
import type { Dialect } from './dialect.ts';

/** Runs a piece of work; a store that is away becomes the error that callers know. */
export async function toldWhenAway<T>(work: () => Promise<T>, dialect: Dialect): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (dialect.classify(error) !== 'away') throw error;
    throw new ChatError('UNAVAILABLE', { retryAfterMs: 1_000, cause: error });
  }
}
