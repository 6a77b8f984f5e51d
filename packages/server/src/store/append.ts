import { ChatError } from '@switchboard/protocol';
import type { Command, MessageCommand } from '../domain/command.ts';
import type { Appended } from '../domain/ports.ts';
import { attemptBatch, type BatchParts } from './batch.ts';
import { KnownSessions } from './known-sessions.ts';

interface Entry {
  readonly command: Command;
  /** When it came; `performance.now()`. */
  readonly since: number;
  readonly settle: (appended: Appended) => void;
}

export interface AppendParts extends BatchParts {
  /** Told after each commit: how many commands it carried, and how long it took in seconds. */
  readonly onCommit?: (size: number, seconds: number) => void;
}

/** Most commands of one transaction: larger ones gain nothing and keep the first waiting. */
const BATCH = 500;
/** Most characters of their contents and attachments: with three bytes each, or a backslash before each, still far below any packet's limit. */
const BATCH_CHARACTERS = 2_500_000;
/** Commands that may wait in one lane. Beyond it the store is not keeping up, and saying so beats a queue without end. */
const QUEUE = 10_000;
const ATTEMPTS = 12;
/** Who has waited so long when the store turns out to be away is told so at once. */
const PATIENCE_MS = 500;

/**
 * The only writer of the session log: group commit without a timer. While one commit is in flight, commands collect;
 * the next commit takes all that wait. A command's session decides its lane, so that two lanes never lock one row.
 */
export class Appender {
  readonly #lanes: Lane[];

  constructor(parts: AppendParts) {
    this.#lanes = Array.from(
      { length: parts.dialect.lanes },
      (_, lane) => new Lane({ ...parts, shard: (parts.shard ?? 0) + lane }),
    );
  }

  append(command: Command, settle: (appended: Appended) => void): void {
    const lane = this.#lanes[hash(command.sessionId) % this.#lanes.length] as Lane;
    lane.push({ command, settle, since: performance.now() });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }
}

function hash(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) >>> 0;
  return h;
}

class Lane {
  readonly #parts: AppendParts;
  readonly #known: KnownSessions;
  #queue: Entry[] = [];
  #running: Promise<void> | null = null;

  constructor(parts: AppendParts) {
    this.#parts = parts;
    this.#known = new KnownSessions(parts.dialect.guessed);
  }

  push(entry: Entry): void {
    if (this.#queue.length >= QUEUE) {
      // Not from within the call: `settle` promises to come later.
      queueMicrotask(() => entry.settle({ error: new ChatError('UNAVAILABLE', { retryAfterMs: 1_000 }) }));
      return;
    }
    this.#queue.push(entry);
    this.#running ??= this.#run();
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    // All frames that have arrived by now share the first commit.
    await turnOfTheLoop();
    let untold: Done | null = null;
    for (;;) {
      if (untold && (this.#queue.length === 0 || isAway(untold.results[0]) || !this.#parts.dialect.runsBeside())) {
        this.#tell(untold);
        untold = null;
      }
      if (this.#queue.length === 0) break;
      const batch = this.#take();
      const commit = this.#timed(batch);
      if (untold) {
        // The next commit is on its way by now, and what the last one stored is told while the database works.
        await turnOfTheLoop();
        this.#tell(untold);
      }
      untold = { batch, results: await commit };
    }
    // In one turn with the last look at the queue: a command that came between the two would wait for ever.
    this.#running = null;
  }

  async #timed(batch: readonly Entry[]): Promise<Appended[]> {
    const started = performance.now();
    const results = await this.#commit(batch);
    this.#parts.onCommit?.(batch.length, (performance.now() - started) / 1000);
    return results;
  }

  /** The commands of the next commit: all that wait, unless they are too many or too long together. */
  #take(): Entry[] {
    const queue = this.#queue;
    let characters = 0;
    let size = 0;
    for (; size < queue.length && size < BATCH; size++) {
      const { command } = queue[size] as Entry;
      if (command.kind === 'message') characters += length(command);
      if (size > 0 && characters > BATCH_CHARACTERS) break;
    }
    this.#queue = queue.slice(size);
    return size === queue.length ? queue : queue.slice(0, size);
  }

  #tell({ batch, results }: Done): void {
    for (const [i, entry] of batch.entries()) settleOne(entry, results[i] as Appended);
    if (isAway(results[0])) this.#refuseThoseWhoWaited(results[0]);
  }

  /** Nobody waits for a second batch behind a store that is away: the two together would be too long. */
  #refuseThoseWhoWaited(told: Appended): void {
    const before = performance.now() - PATIENCE_MS;
    const late = this.#queue.filter((entry) => entry.since <= before);
    this.#queue = this.#queue.filter((entry) => entry.since > before);
    for (const entry of late) settleOne(entry, told);
  }

  /** Commits a batch, again if it must be, and one by one if something in it cannot be stored. Never rejects. */
  async #commit(batch: readonly Entry[]): Promise<Appended[]> {
    const commands = batch.map((e) => e.command);
    let careful = false;
    for (let attempt = 1; ; attempt++) {
      try {
        const { results, found, stored } = await attemptBatch(this.#parts, commands, careful ? null : this.#known);
        this.#known.learn(stored, found);
        return results;
      } catch (error) {
        const failure = this.#parts.dialect.classify(error);
        if (failure === 'stale' && attempt < ATTEMPTS) {
          this.#known.suspect(commands.map(({ sessionId }) => sessionId));
          continue;
        }
        this.#known.clear();
        if ((failure === 'duplicate' || failure === 'contention') && attempt < ATTEMPTS) {
          // A unique key stopped us: a repeat, or a session that another node opened first. Look before writing.
          careful ||= failure === 'duplicate';
          if (failure === 'contention') await delay(attempt);
          continue;
        }
        if (failure !== 'away' && batch.length > 1) return this.#oneByOne(batch);
        const later = failure === 'away' || failure === 'contention';
        const told = later ? new ChatError('UNAVAILABLE', { retryAfterMs: 1_000, cause: error }) : error;
        return batch.map(() => ({ error: told }));
      }
    }
  }

  /** One bad command must not fail its neighbours. */
  async #oneByOne(batch: readonly Entry[]): Promise<Appended[]> {
    const results: Appended[] = [];
    for (const entry of batch) results.push(...(await this.#commit([entry])));
    return results;
  }
}

/** Characters of what a message holds. */
function length({ content, attachments }: MessageCommand): number {
  return content.length + (attachments.length === 0 ? 0 : JSON.stringify(attachments).length);
}

function isAway(appended: Appended | undefined): appended is Appended {
  const error = appended && 'error' in appended ? appended.error : null;
  return error instanceof ChatError && error.code === 'UNAVAILABLE';
}

interface Done {
  readonly batch: readonly Entry[];
  readonly results: readonly Appended[];
}

/** A caller's own failure must not stop the lane; it surfaces as a rejection that nobody handled. */
function settleOne({ settle }: Entry, appended: Appended): void {
  try {
    settle(appended);
  } catch (error) {
    void Promise.reject(error as Error);
  }
}

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
