import type { Switchboard } from '../../testing/switchboard.ts';
import { type Cast, everybody } from './cast.ts';
import type { History } from './history.ts';
import { until } from './until.ts';

const LONG_MS = 60_000;
const PAGE = 100;

/** Sees everything in flight through, lets the followers arrive, and reads what is stored. */
export async function settle(server: Switchboard, cast: Cast, history: History): Promise<void> {
  const { senders, users, followers } = cast;
  for (const sender of senders) sender.finish();
  await until(() => senders.every((s) => s.inFlight === 0), LONG_MS, 'nothing is in flight');
  const token = server.token({ userId: 9, roles: ['admin'] });
  const get: Get = async (path) => {
    const answer = await fetch(`${server.url}/admin/chat${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${answer.status} for ${path}: ${await answer.text()}`);
    return ((await answer.json()) as { data: never }).data;
  };
  const sessions = users.map((user) => user.mouth.name);
  for (const sessionId of sessions) {
    const { session } = await get<{ session: { lastSeq: number } }>(`/sessions/${sessionId}`);
    history.add({ what: 'head', sessionId, seq: session.lastSeq });
    for (const { name, sessions: followed, heads } of followers) {
      if (!followed.includes(sessionId)) continue;
      const arrived = (): boolean => (heads.get(sessionId) ?? 0) >= session.lastSeq;
      await until(arrived, LONG_MS, `${name} has #${session.lastSeq} of ${sessionId}`);
    }
  }
  // From here on no receipt moves: what is read below is compared with what was told above.
  for (const client of everybody(cast)) client.stop();
  const times: string[] = [];
  for (const sessionId of sessions) times.push(...(await readMessages(sessionId, get, history)));
  await readFigures(get, times, history);
}

type Get = <T>(path: string) => Promise<T>;

interface MessagePage {
  readonly messages: readonly {
    readonly seq: number;
    readonly messageId: string;
    readonly clientMessageId?: string;
    readonly senderType: string;
    readonly status: string;
    readonly content: string;
    readonly createdAt: string;
  }[];
  readonly pagination: { readonly hasMore: boolean };
}

/** @returns when each of them was sent */
async function readMessages(sessionId: string, get: Get, history: History): Promise<string[]> {
  const times: string[] = [];
  for (let after = 0, more = true; more;) {
    const page = await get<MessagePage>(`/sessions/${sessionId}/messages?afterSeq=${after}&pageSize=${PAGE}`);
    for (const { seq, messageId, clientMessageId = null, senderType, status, content, createdAt } of page.messages) {
      history.add({ what: 'stored', sessionId, seq, messageId, clientMessageId, senderType, status, content });
      times.push(createdAt);
    }
    after = page.messages.at(-1)?.seq ?? after;
    more = page.pagination.hasMore;
  }
  return times;
}

/** Totals that the server keeps, beside what is counted here. */
async function readFigures(get: Get, times: readonly string[], history: History): Promise<void> {
  for (const status of ['all', 'active', 'waiting', 'closed']) {
    const list = await get<{ sessions: unknown[]; totalCount: number }>(`/sessions?status=${status}&pageSize=${PAGE}`);
    history.add({ what: 'figure', name: `sessions ${status}`, told: list.totalCount, found: list.sessions.length });
  }
  const { stats } = await get<{ stats: { messagesToday: number } }>('/stats/today');
  const today = dayOf(Date.now());
  const found = times.filter((time) => dayOf(Date.parse(time)) === today).length;
  history.add({ what: 'figure', name: 'messages today', told: stats.messagesToday, found });
}

/** The day in Shanghai, which is where "today" is unless a setting says otherwise. */
function dayOf(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10);
}
