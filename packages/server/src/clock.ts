import type { Clock } from './domain/ports.ts';

/** The machine's clock: the only place that asks it. */
export const systemClock: Clock = { now: () => Date.now() };
