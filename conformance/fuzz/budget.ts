/** How much a fuzzer may do: so many of its things, or so long, whichever is over first. */
export class Budget {
  readonly #count: number;
  readonly #milliseconds: number;
  readonly #began = performance.now();
  readonly #progress: (part: number) => void;
  #used = 0;

  /** @param progress is told how much is used up, from 0 to 1 */
  constructor(count: number, milliseconds: number, progress: (part: number) => void) {
    this.#count = count;
    this.#milliseconds = milliseconds;
    this.#progress = progress;
  }

  /** @returns false when nothing is left */
  take(things = 1): boolean {
    const part = Math.max(this.#used / this.#count, (performance.now() - this.#began) / this.#milliseconds);
    this.#progress(part);
    if (part >= 1) return false;
    this.#used += things;
    return true;
  }

  get used(): number {
    return this.#used;
  }
}
