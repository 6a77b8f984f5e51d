/** A question of so many parts at once tells a storm: thousands of clients that come back. */
const STORM = 8;

/**
 * Makes many small questions one large one, without a timer: while one question is under way, the next ones collect. In a
 * storm they may be given a little longer: the larger the question, the less each part of it costs.
 */
export class Collector<Q, A> {
  readonly #ask: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly #most: number;
  readonly #pause: (() => Promise<void>) | null;
  #waiting: { question: Q; resolve: (answer: A) => void; reject: (error: unknown) => void }[] = [];
  #running = false;

  /**
   * @param ask answers all, in their order; when it rejects, so do all that it was asked
   * @param pause how long to collect between two questions of a storm
   */
  constructor(
    most: number,
    ask: (questions: readonly Q[]) => Promise<readonly A[]>,
    pause: (() => Promise<void>) | null = null,
  ) {
    this.#most = most;
    this.#ask = ask;
    this.#pause = pause;
  }

  ask(question: Q): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What else is asked in this turn of the event loop belongs to the first question.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const asked = this.#waiting.splice(0, this.#most);
      try {
        const answers = await this.#ask(asked.map((entry) => entry.question));
        for (const [i, entry] of asked.entries()) entry.resolve(answers[i] as A);
      } catch (error) {
        for (const entry of asked) entry.reject(error);
      }
      if (this.#pause && asked.length >= STORM && this.#waiting.length < this.#most) await this.#pause();
    }
    this.#running = false;
  }
}
