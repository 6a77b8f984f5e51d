import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../measure/processes.ts';
import { tokenFor, userId } from './dialects.ts';
import type { IdleJob, IdleResult } from './jobs.ts';
import { openMany, Peer, sourceAddress } from './peer.ts';

const AT_ONCE = 64;
const SETTLE_MS = 2_000;

/** Opens connections that say nothing, and weighs the server before and after. */
export async function runIdle(job: IdleJob): Promise<IdleResult> {
  const open = (index: number): Promise<Peer> => {
    const token = job.protocol === 'tcp' ? '' : tokenFor(job.secret, userId(index), 'user');
    return Peer.open({ port: job.port, path: token && `/chat?token=${token}` }, sourceAddress(index));
  };
  // Code that is compiled and pools that are filled at the first connections are no connection's own.
  const first = await openMany(job.warm, AT_ONCE, open);
  for (const peer of first) peer.drop();
  await sleep(SETTLE_MS);
  const cleanBefore = await collected(job.pid);
  await sleep(SETTLE_MS);
  const before = residentBytes(job.pid);
  const peers = await openMany(job.connections, AT_ONCE, open);
  let gone = 0;
  for (const peer of peers) peer.onGone = () => gone++;
  await sleep(SETTLE_MS);
  const after = residentBytes(job.pid);
  const cleanAfter = await collected(job.pid);
  if (gone > 0) throw new Error(`${gone} connections did not last`);
  for (const peer of peers) peer.drop();
  return { bytes: (after - before) / job.connections, collected: (cleanAfter - cleanBefore) / job.connections };
}

/** Memory after a full collection, which every subject of this shape runs when it is sent SIGUSR2. */
async function collected(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR2');
  await sleep(SETTLE_MS / 2);
  process.kill(pid, 'SIGUSR2');
  await sleep(SETTLE_MS);
  return residentBytes(pid);
}
