/** Something that has frames to write. */
interface Writer {
  /** Called once for each `at`, when the turn of the event loop ends. */
  flush(): void;
}

/**
 * The end of the present turn of the event loop: when everything is written that a socket got in it, in one piece. A
 * write costs far more than a frame, and a commit answers many senders at once.
 */
export class TurnEnd {
  #writers: Writer[] = [];

  at(writer: Writer): void {
    if (this.#writers.push(writer) === 1) setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    const writers = this.#writers;
    this.#writers = [];
    for (const writer of writers) writer.flush();
  };
}
