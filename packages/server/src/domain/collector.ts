/**
 * Makes many small questions one large one, without a timer: while one question is under way, the next ones collect.
 * @param ask answers all, in their order; when it rejects, so do all that it was asked
 */
export class Collector<Q, A> {
  readonly #ask: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly #most: number;
  #waiting: { question: Q; resolve: (answer: A) => void; reject: (error: unknown) => void }[] = [];
  #running = false;

  constructor(most: number, ask: (questions: readonly Q[]) => Promise<readonly A[]>) {
    this.#most = most;
    this.#ask = ask;
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
    }
    this.#running = false;
  }
}
