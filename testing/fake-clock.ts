/** A wall clock of a process's own, which a test can set while the process runs: Debian's `libfaketime`. */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { freshPath } from './run-folder.ts';

/** The library that is to be loaded before the C library; undefined where it is not installed. */
export function findFaketime(): string | undefined {
  for (const folder of ['/usr/lib', '/usr/local/lib']) {
    if (!existsSync(folder)) continue;
    for (const name of ['', ...readdirSync(folder).filter((each) => each.endsWith('-linux-gnu'))]) {
      const library = `${folder}/${name}/faketime/libfaketimeMT.so.1`;
      if (existsSync(library)) return library;
    }
  }
  return undefined;
}

export function startFakeClock(): FakeClock {
  const library = findFaketime();
  if (library === undefined) throw new Error('no libfaketime (apt-get install faketime)');
  return new FakeClock(library);
}

/** Only what tells the time of day is off: timers and durations go on as before, as when a machine's clock is set. */
export class FakeClock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file = freshPath('clock');

  constructor(library: string) {
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    };
    this.set(0);
  }

  /** Seconds away from the true time. */
  set(offsetSeconds: number): void {
    // In one step: the library reads it at any time.
    writeFileSync(`${this.#file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
