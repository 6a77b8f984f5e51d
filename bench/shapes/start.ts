import { rmSync } from 'node:fs';
import { startSwitchboard, stop } from '../subjects/start.ts';

/** Milliseconds from the start of the process until it listens, on an empty SQLite file: tables are made on the way. */
export async function runStart(): Promise<number> {
  const began = performance.now();
  const subject = await startSwitchboard(null);
  const ms = performance.now() - began;
  await stop(subject);
  rmSync(subject.folder, { recursive: true, force: true });
  return ms;
}
