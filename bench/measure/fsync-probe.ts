import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from './statistics.ts';

const EVERY_MS = 25;
const BLOCK = Buffer.alloc(4096, 0x2e);

export interface FsyncFigures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * A lone writer beside the measurements, on the same disk: how long it waits for its `fdatasync` says whether a slow
 * run was the disk's doing.
 */
export class FsyncProbe {
  readonly #seen: { at: number; ms: number }[] = [];
  #stopped = false;
  #running: Promise<void> | undefined;

  async start(file: string): Promise<void> {
    const handle = await open(file, 'w');
    this.#running = this.#run(handle);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** What was seen between two moments (milliseconds since 1970). */
  between(from: number, to: number): FsyncFigures {
    const times = this.#seen.filter(({ at }) => at >= from && at <= to).map(({ ms }) => ms);
    return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: Math.max(...times) };
  }

  async #run(handle: FileHandle): Promise<void> {
    while (!this.#stopped) {
      await handle.write(BLOCK, 0, BLOCK.length, 0);
      const began = performance.now();
      await handle.datasync();
      this.#seen.push({ at: Date.now(), ms: performance.now() - began });
      await sleep(EVERY_MS);
    }
    await handle.close();
  }
}
