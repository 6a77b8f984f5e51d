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
  const get = async <T>(sessionId: string, rest: string): Promise<T> => {
    const answer = await fetch(`${server.url}/admin/chat/sessions/${sessionId}${rest}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!answer.ok) throw new Error(`${answer.status} for ${sessionId}${rest}: ${await answer.text()}`);
    return ((await answer.json()) as { data: T }).data;
  };
  const sessions = users.map((user) => user.mouth.name);
  for (const sessionId of sessions) {
    const { session } = await get<{ session: { lastSeq: number } }>(sessionId, '');
    history.add({ what: 'head', sessionId, seq: session.lastSeq });
    for (const { name, sessions: followed, heads } of followers) {
      if (!followed.includes(sessionId)) continue;
      const arrived = (): boolean => (heads.get(sessionId) ?? 0) >= session.lastSeq;
      await until(arrived, LONG_MS, `${name} has #${session.lastSeq} of ${sessionId}`);
    }
  }
  // From here on no receipt moves: what is read below is compared with what was told above.
  for (const client of everybody(cast)) client.stop();
  for (const sessionId of sessions) await readMessages(sessionId, get, history);
}

interface MessagePage {
  readonly messages: readonly {
    readonly seq: number;
    readonly messageId: string;
    readonly clientMessageId?: string;
    readonly senderType: string;
    readonly status: string;
    readonly content: string;
  }[];
  readonly pagination: { readonly hasMore: boolean };
}

async function readMessages(
  sessionId: string,
  get: <T>(sessionId: string, rest: string) => Promise<T>,
  history: History,
): Promise<void> {
  for (let after = 0, more = true; more;) {
    const page = await get<MessagePage>(sessionId, `/messages?afterSeq=${after}&pageSize=${PAGE}`);
    for (const { seq, messageId, clientMessageId = null, senderType, status, content } of page.messages) {
      history.add({ what: 'stored', sessionId, seq, messageId, clientMessageId, senderType, status, content });
    }
    after = page.messages.at(-1)?.seq ?? after;
    more = page.pagination.hasMore;
  }
}
