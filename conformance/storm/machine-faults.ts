import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from './storm.ts';
import { until } from './until.ts';

/**
 * While the disk is full sends are refused and reads go on. InnoDB may end by itself when a rollback finds no room; then it
 * is started again once there is some.
 */
export async function fillDisk({ server, database, cast, disk, lastsMs, recovered }: Scene): Promise<void> {
  const refused = (): number => cast.senders.reduce((sum, s) => sum + (s.refused.get('UNAVAILABLE') ?? 0), 0);
  const before = refused();
  disk?.fill();
  // What the store has room for yet is still taken.
  await until(() => refused() > before, 60_000, 'a send is refused');
  await sleep(lastsMs);
  const headers = { authorization: `Bearer ${server.token({ userId: 9, roles: ['admin'] })}` };
  for (const path of ['', '/storm-0', '/storm-0/messages']) {
    const { status } = await fetch(`${server.url}/admin/chat/sessions${path}`, { headers });
    if (status === 200) continue;
    // It writes its last words before it is gone.
    const gone = database && (await Promise.race([database.exit, sleep(10_000, null)]));
    if (!gone) throw new Error(`GET …/sessions${path} while the disk was full: ${status}\n${server.tail()}`);
  }
  disk?.free();
  if (database && database.pid === undefined) await database.start();
  await recovered();
}

const HOUR_S = 3_600;
/** A token that outlives every setting of the clock. */
const FAR_S = Math.floor(Date.now() / 1000) + 86_400;

interface Listed {
  readonly status: string;
  readonly lastSeq: number;
  readonly messageCount: number;
}

/**
 * However the clock is set: nobody is taken for gone, and nobody's sessions are given to another. Each
 * setting lasts longer than the server takes to look at leases and lines.
 */
export async function setClock({ server, cast, clock, lastsMs, allAcked }: Scene): Promise<void> {
  const headers = { authorization: `Bearer ${server.token({ userId: 9, roles: ['admin'], exp: FAR_S })}` };
  /** Asked of the server itself: those who follow may not have heard yet of the first assignments. */
  const standing = async (): Promise<{ active: number; changes: number }> => {
    const answer = await fetch(`${server.url}/admin/chat/sessions?pageSize=100`, { headers });
    const { data } = (await answer.json()) as { data: { sessions: Listed[] } };
    const changes = data.sessions.reduce((sum, { lastSeq, messageCount }) => sum + lastSeq - messageCount, 0);
    return { active: data.sessions.filter(({ status }) => status === 'active').length, changes };
  };
  const wanted = new Set(cast.followers.flatMap(({ sessions }) => sessions)).size;
  while ((await standing()).active < wanted) await sleep(20);
  for (const offset of [-HOUR_S, HOUR_S, 0]) {
    await allAcked();
    const before = (await standing()).changes;
    clock?.set(offset);
    await sleep(lastsMs);
    await allAcked();
    const { headers: told } = await fetch(`${server.url}/healthz`);
    const off = (Date.parse(told.get('date') ?? '') - Date.now()) / 1000;
    if (Math.abs(off - offset) > 60) throw new Error(`the clock was set by ${offset} s, and is off by ${off} s`);
    const after = (await standing()).changes;
    if (after > before) throw new Error(`${after - before} changes of assignment after the clock was set`);
  }
}
