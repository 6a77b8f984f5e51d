/** Counts of times in buckets one percent wide: small, mergeable, exact enough for any percentile. */
export class Histogram {
  readonly #counts: Uint32Array;

  constructor(counts?: readonly number[]) {
    this.#counts = new Uint32Array(BUCKETS);
    if (counts) this.#counts.set(counts);
  }

  add(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / SMALLEST_MS) * PER_LOG));
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
  }

  merge(other: Histogram): void {
    for (const [i, count] of other.#counts.entries()) this.#counts[i] = (this.#counts[i] as number) + count;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** The time that this share of all (0 to 1) did not exceed; NaN when there are none. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.count * share));
    let seen = 0;
    for (const [i, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted && count > 0) return SMALLEST_MS * Math.exp(i / PER_LOG);
    }
    return Number.NaN;
  }

  /** For a message between processes. */
  toArray(): number[] {
    return [...this.#counts];
  }
}

const SMALLEST_MS = 0.01;
const PER_LOG = 100;
/** Up to about two minutes. */
const BUCKETS = 1_700;
