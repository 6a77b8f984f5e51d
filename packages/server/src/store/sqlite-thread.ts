import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Found, Step } from './sqlite-file.ts';

/** What the thread says: that its connection is open, what it found, or what went wrong. */
export type Said =
  | 'ready'
  | { readonly found: Found }
  | { readonly failed: { readonly message: string; readonly errcode?: number; readonly code?: string } };

/** The thread ended, whyever. What it was about to do is done, or it is not. */
export class ThreadEndedError extends Error {
  override readonly name = 'ThreadEndedError';
}

/** A second connection to the file, in a thread of its own: while it writes, this thread reads and answers frames. */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #state: 'starts' | 'ready' | 'ended' = 'starts';
  #waiting: { resolve(found: Found): void; reject(error: Error): void } | null = null;

  constructor(file: string) {
    // A process that only waits for this thread to have something to do is free to end.
    this.#worker = new Worker(new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url), {
      workerData: file,
    });
    this.#worker.unref();
    this.#worker.on('message', (said: Said) => this.#hear(said));
    this.#worker.on('error', (error: Error) => this.#end(error));
    this.#ended = new Promise((resolve) =>
      this.#worker.once('exit', () => {
        this.#end(null);
        resolve();
      }),
    );
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  /** One call at a time. */
  perform(steps: readonly Step[]): Promise<Found> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ended') {
        reject(new ThreadEndedError('the thread has ended'));
        return;
      }
      this.#waiting = { resolve, reject };
      this.#worker.ref();
      this.#worker.postMessage(steps);
    });
  }

  async close(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage(null);
    await this.#ended;
  }

  #hear(said: Said): void {
    if (said === 'ready') {
      this.#state = 'ready';
      return;
    }
    this.#worker.unref();
    const waiting = this.#waiting;
    this.#waiting = null;
    if ('found' in said) waiting?.resolve(said.found);
    else waiting?.reject(Object.assign(new Error(said.failed.message), said.failed));
  }

  #end(cause: Error | null): void {
    this.#state = 'ended';
    this.#waiting?.reject(new ThreadEndedError('the thread has ended', { cause }));
    this.#waiting = null;
  }
}
