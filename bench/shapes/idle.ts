import { ask } from '../generator/ask.ts';
import type { IdleResult } from '../generator/jobs.ts';
import { openFileLimit } from '../measure/processes.ts';
import { startRelay, startSwitchboard, stop, type Subject } from '../subjects/start.ts';
import { type Scene, withDatabase } from './scene.ts';

export const PLAIN_SOCKET = 'plain socket';
export const BARE_WS = 'bare ws';
const WARM = 500;

/** What one of many silent connections costs the server, by subject. */
export async function runIdle(scene: Scene, entry?: string): Promise<Record<string, IdleResult>> {
  const { connections } = scene.options;
  requireFiles(connections);
  const weigh = async (subject: Subject, protocol: 'tcp' | 'websocket'): Promise<IdleResult> => {
    try {
      const { port, pid, secret } = subject;
      return await ask({ kind: 'idle', port, pid, secret, protocol, connections, warm: WARM });
    } finally {
      await stop(subject);
    }
  };
  const weighed = { weighed: true };
  return {
    [PLAIN_SOCKET]: await weigh(await startRelay('tcp', weighed), 'tcp'),
    [BARE_WS]: await weigh(await startRelay('plain', weighed), 'websocket'),
    switchboard: await withDatabase(scene, async ({ url }) =>
      weigh(await startSwitchboard(url, entry, weighed), 'websocket'),
    ),
  };
}

/** @throws when this process, whose limit the others inherit, may not open that many sockets */
export function requireFiles(connections: number): void {
  const limit = openFileLimit();
  if (limit < connections + 500) {
    throw new Error(`${connections} connections need more open files than ${limit}: raise it with "ulimit -n"`);
  }
}
