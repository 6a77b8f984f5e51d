import { cpuSeconds, machineSeconds } from '../measure/processes.ts';
import { sessionId, tokenFor, userId } from './dialects.ts';
import type { ResumeJob, ResumeResult } from './jobs.ts';
import { perMessage } from './load.ts';
import { openMany, Peer, sourceAddress } from './peer.ts';

/** A storm: more would only wait in the listener's backlog. */
const AT_ONCE = 256;

/** All clients come back: connect with a token, `hello`, `resume` one session, hear that it is complete. */
export async function runResume(job: ResumeJob): Promise<ResumeResult> {
  const tokens = Array.from({ length: job.clients }, (_, i) => tokenFor(job.secret, userId(i), 'user'));
  const read = (): Record<string, number> => ({
    machine: machineSeconds(),
    generator: cpuSeconds(process.pid),
    ...Object.fromEntries(Object.entries(job.pids).map(([name, pid]) => [name, cpuSeconds(pid)])),
  });
  const before = read();
  const from = Date.now();
  const began = performance.now();
  const peers = await openMany(job.clients, AT_ONCE, async (index) => {
    const peer = await Peer.open({ port: job.port, path: `/chat?token=${tokens[index]}` }, sourceAddress(index));
    await resumed(peer, sessionId(index), job.afterSeq);
    return peer;
  });
  const seconds = (performance.now() - began) / 1000;
  const result = { seconds, cpu: perMessage(before, read(), job.clients, seconds), from, to: Date.now() };
  for (const peer of peers) peer.drop();
  return result;
}

function resumed(peer: Peer, session: string, afterSeq: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let events = 0;
    peer.onGone = (why) => reject(new Error(why));
    peer.onText = (bytes, start, end) => {
      const frame = JSON.parse(bytes.toString('utf8', start, end)) as { type: string; data: Record<string, unknown> };
      if (frame.type === 'session_events') events += (frame.data['events'] as unknown[]).length;
      if (frame.type === 'error') reject(new Error(JSON.stringify(frame)));
      if (frame.type !== 'resumed') return;
      if (frame.data['complete'] === true && frame.data['upToSeq'] === afterSeq + events && events > 0) resolve();
      else reject(new Error(`not resumed: ${JSON.stringify(frame)} after ${events} events`));
    };
    peer.send('{"type":"hello"}');
    peer.send(JSON.stringify({ type: 'resume', data: { sessions: [{ sessionId: session, afterSeq }] } }));
  });
}
