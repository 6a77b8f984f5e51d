import type { Clock } from '../domain/ports.ts';
import { TokenBucket } from '../token-bucket.ts';

/** A bucket is about 100 bytes; the callers beyond this many who were idle longest start afresh. */
const MOST_CALLERS = 50_000;

/** How many requests each caller may send: one token bucket a caller, in bounded memory. */
export class CallerLimits {
  readonly #rate: { readonly perSecond: number; readonly burst: number };
  readonly #clock: Clock;
  readonly #most: number;
  /** The caller seen longest ago comes first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: { perSecond: number; burst: number }, clock: Clock, most: number = MOST_CALLERS) {
    this.#rate = rate;
    this.#clock = clock;
    this.#most = most;
  }

  /** @returns 0 when the caller may go on, else the milliseconds to wait */
  take(caller: string): number {
    const known = this.#buckets.get(caller);
    const bucket = known ?? new TokenBucket(this.#rate.perSecond, this.#rate.burst, this.#clock);
    if (known) this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > this.#most) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket.take();
  }
}
