/** Turns of the event loop that a question may wait for others. They are short, unless there is much to do. */
const TURNS = 8;

/**
 * Makes many small questions one large one, without a timer: while one question is under way, the next ones collect.
 */
export class Collector<Q, A> {
  readonly #ask: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly #most: number;
  readonly #turn: (() => Promise<void>) | null;
  #waiting: { question: Q; resolve: (answer: A) => void; reject: (error: unknown) => void }[] = [];
  #running = false;

  /**
   * @param ask answers all, in their order; when it rejects, so do all that it was asked
   * @param turn resolves when a turn of the event loop has ended; without it only what is asked at once is put together
   */
  constructor(
    most: number,
    ask: (questions: readonly Q[]) => Promise<readonly A[]>,
    turn: (() => Promise<void>) | null = null,
  ) {
    this.#most = most;
    this.#ask = ask;
    this.#turn = turn;
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
      await this.#gather();
      const asked = this.#waiting.splice(0, this.#most);
      try {
        const answers = await this.#ask(asked.map((entry) => entry.question));
        for (const [i, entry] of asked.entries()) entry.resolve(answers[i] as A);
      } catch (error) {
        for (const entry of asked) entry.reject(error);
      }
    }
    this.#running = false;
  }

  /** As long as every turn brings more, it is a storm: then the question may well become larger, and cost less for each. */
  async #gather(): Promise<void> {
    let before = 0;
    for (let turns = 0; this.#turn && turns < TURNS; turns++) {
      if (this.#waiting.length === before || this.#waiting.length >= this.#most) return;
      before = this.#waiting.length;
      await this.#turn();
    }
  }
}
