import type { Clock } from './domain/ports.ts';

/** Lets `burst` things through at once, and `perSecond` of them in the long run. Starts full. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  /** When `#tokens` was right; milliseconds UTC. */
  #at: number;

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#at = clock.now();
  }

  /**
   * Takes `n` tokens (at most `burst`: more than that never come together), or none.
   * @returns 0 when they were taken, else the milliseconds until they can be
   */
  take(n = 1): number {
    const now = this.#clock.now();
    // A clock that was set back counts as no time gone by.
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed * this.#perSecond) / 1000);
    // The sum of many small refills may miss a whole token by a rounding error.
    if (this.#tokens < n - 1e-6) return Math.ceil(((n - this.#tokens) * 1000) / this.#perSecond);
    this.#tokens -= n;
    return 0;
  }
}
