/** The thread's side of `SqliteThread`. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { SqliteFile, type Step } from './sqlite-file.ts';
import type { Said } from './sqlite-thread.ts';

const port = parentPort as MessagePort;
const file = await SqliteFile.open(workerData as string);
const say = (said: Said): void => port.postMessage(said);

port.on('message', (steps: readonly Step[] | null) => {
  if (steps === null) {
    file.close();
    port.close();
    return;
  }
  try {
    say({ found: file.perform(steps) });
  } catch (error) {
    // By hand: what a copy of an error keeps differs by version.
    const { message, errcode, code } = error as Error & { errcode?: number; code?: string };
    say({
      failed: { message, ...(errcode === undefined ? {} : { errcode }), ...(code === undefined ? {} : { code }) },
    });
  }
});
say('ready');
