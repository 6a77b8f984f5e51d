/** A disk of a few megabytes that a test can fill: a tmpfs, mounted in the test's own folder. */
import { execFile, execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freshFolder, freshPath } from './run-folder.ts';

const execute = promisify(execFile);

let mountable: boolean | undefined;

/** Whether this process may mount one: on Linux, as root, outside containers that forbid it. */
export function canMountSmallDisk(): boolean {
  if (mountable !== undefined) return mountable;
  const folder = freshPath('mount');
  try {
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    mountable = true;
  } catch {
    mountable = false;
  }
  rmSync(folder, { recursive: true, force: true });
  return mountable;
}

export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  // The watchdog unmounts what is called so when the test process is gone.
  const folder = freshFolder('disk');
  await execute('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', folder]);
  return new SmallDisk(folder);
}

const BLOCK = Buffer.alloc(64 * 1024);

export class SmallDisk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(this.path('ballast'), 'a');
    try {
      for (let size = BLOCK.length; size >= 1; size = Math.floor(size / 2)) {
        try {
          for (;;) writeSync(file, BLOCK, 0, size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** Gives it back. */
  free(): void {
    rmSync(this.path('ballast'), { force: true });
  }

  async remove(): Promise<void> {
    await execute('umount', ['-l', this.#folder]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
