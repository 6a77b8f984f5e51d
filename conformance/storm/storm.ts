import { setTimeout as sleep } from 'node:timers/promises';
import { startMariadb } from '../../testing/mariadb.ts';
import { startMysql } from '../../testing/real-mysql.ts';
import type { PrivateSqlServer } from '../../testing/sql-server.ts';
import { startSwitchboard, type Switchboard } from '../../testing/switchboard.ts';
import { startTcpProxy, type TcpProxy } from '../../testing/tcp-proxy.ts';
import { Follower, Sender, Watcher } from './clients.ts';
import { History } from './history.ts';
import { judge, type Verdict } from './judge.ts';

export type StoreName = 'sqlite' | 'mariadb' | 'mysql';

export interface StormOptions {
  readonly store: StoreName;
  readonly cycles: number;
  readonly senders?: number;
  /** Messages that each sender keeps in flight. */
  readonly window?: number;
  /** The database is reached through a proxy that can misbehave. */
  readonly proxied?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly seed: number;
}

/** What a fault does in one cycle. It leaves the server running and reachable. */
export type Fault = (scene: Scene, cycle: number) => Promise<void>;

export interface Scene {
  readonly server: Switchboard;
  readonly database: PrivateSqlServer | null;
  readonly proxy: TcpProxy | null;
  readonly senders: readonly Sender[];
  readonly follower: Follower;
  readonly watcher: Watcher;
  /** The same numbers for the same seed: 0 ≤ n < 1. */
  readonly random: () => number;
  /** Resolves when every sender has had a message acknowledged from now on. @returns milliseconds */
  allAcked(timeoutMs?: number): Promise<number>;
  /** Resolves when so many messages have been acknowledged in all from now on. */
  acked(count: number, timeoutMs?: number): Promise<void>;
}

export interface Report {
  readonly verdict: Verdict;
  readonly acked: number;
  readonly retries: number;
  /** Messages in flight when each fault struck, smallest and mean. */
  readonly inFlight: { readonly least: number; readonly mean: number };
  readonly events: number;
  readonly seconds: number;
}

/** Runs a fault again and again under load, then lets everything settle and judges what happened. */
export async function storm(options: StormOptions, fault: Fault): Promise<Report> {
  const started = performance.now();
  const history = new History();
  const scene = await build(options, history);
  const inFlight: number[] = [];
  try {
    await scene.allAcked(30_000);
    for (let cycle = 0; cycle < options.cycles; cycle++) {
      await scene.acked(20, 30_000);
      inFlight.push(scene.senders.reduce((sum, s) => sum + s.inFlight, 0));
      await fault(scene, cycle);
    }
    await settle(scene, history);
  } finally {
    for (const client of [...scene.senders, scene.follower, scene.watcher]) client.stop();
    await scene.server.remove();
    scene.proxy?.close();
    await scene.database?.stop();
  }
  return {
    verdict: judge(history, { complete: ['follower'] }),
    acked: scene.senders.reduce((sum, s) => sum + s.acked, 0),
    retries: scene.senders.reduce((sum, s) => sum + s.retries, 0),
    inFlight: { least: Math.min(...inFlight), mean: inFlight.reduce((a, b) => a + b, 0) / inFlight.length },
    events: history.of('head').reduce((sum, h) => sum + h.seq, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

async function build(options: StormOptions, history: History): Promise<Scene> {
  const { senders: count = 8, window = 8 } = options;
  const database =
    options.store === 'sqlite' ? null : await (options.store === 'mysql' ? startMysql() : startMariadb());
  const schema = await database?.createDatabase();
  const proxy = schema && options.proxied ? await startTcpProxy({ port: (database as PrivateSqlServer).port }) : null;
  const databaseUrl = schema && (proxy ? proxy.url(schema.tcpUrl) : schema.url);
  const env = { RATE_LIMIT: 'off', LOG_LEVEL: 'warn', MAX_ACTIVE_SESSIONS_PER_ADMIN: '1000', ...options.env };
  const server = await startSwitchboard({ ...(databaseUrl ? { databaseUrl } : {}), env });
  const base = server.wsUrl;
  const address = (claims: object, query = ''): (() => string) => {
    const token = server.token({ exp: Math.floor(Date.now() / 1000) + 86_400, ...claims });
    return () => `${base}/chat?token=${token}${query}`;
  };
  const admin = address({ userId: 7, roles: ['admin'] }, '&type=admin');
  const watcher = new Watcher(admin, 'watcher', history).start();
  const sessions = Array.from({ length: count }, (_, i) => `storm-${i}`);
  const follower = new Follower(
    address({ userId: 8, roles: ['admin'] }, '&type=admin'),
    'follower',
    sessions,
    history,
  ).start();
  const senders = sessions.map((id, i) => new Sender(address({ userId: 100 + i }), id, window, history).start());
  return {
    server,
    database,
    proxy,
    senders,
    follower,
    watcher,
    random: mulberry32(options.seed),
    async allAcked(timeoutMs = 15_000) {
      const from = Date.now();
      const before = senders.map((s) => s.acked);
      await until(() => senders.every((s, i) => s.acked > (before[i] as number)), timeoutMs, 'every sender has an ack');
      return Date.now() - from;
    },
    async acked(wanted, timeoutMs = 15_000) {
      const total = (): number => senders.reduce((sum, s) => sum + s.acked, 0);
      const before = total();
      await until(() => total() >= before + wanted, timeoutMs, `${wanted} acks`);
    },
  };
}

/** Sees everything in flight through, lets the follower arrive, and reads what is stored. */
async function settle({ server, senders, follower }: Scene, history: History): Promise<void> {
  for (const sender of senders) sender.finish();
  await until(() => senders.every((s) => s.inFlight === 0), 60_000, 'nothing is in flight');
  const token = server.token({ userId: 9, roles: ['admin'] });
  for (const { sessionId } of senders) {
    const head = await readSession(`${server.url}/admin/chat/sessions/${sessionId}`, token, history);
    await until(
      () => (follower.heads.get(sessionId) ?? 0) >= head,
      60_000,
      `the follower has #${head} of ${sessionId}`,
    );
  }
}

async function readSession(url: string, token: string, history: History): Promise<number> {
  const get = async (path: string): Promise<Record<string, never>> => {
    const answer = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    return ((await answer.json()) as { data: Record<string, never> }).data;
  };
  for (let after = 0, more = true; more;) {
    const { messages, pagination } = (await get(`/messages?afterSeq=${after}&pageSize=100`)) as unknown as {
      messages: { sessionId: string; seq: number; messageId: string; clientMessageId?: string; content: string }[];
      pagination: { hasMore: boolean };
    };
    for (const { sessionId, seq, messageId, clientMessageId = null, content } of messages) {
      history.add({ what: 'stored', sessionId, seq, messageId, clientMessageId, content });
    }
    after = messages.at(-1)?.seq ?? after;
    more = pagination.hasMore;
  }
  const { session } = (await get('')) as unknown as { session: { sessionId: string; lastSeq: number } };
  history.add({ what: 'head', sessionId: session.sessionId, seq: session.lastSeq });
  return session.lastSeq;
}

async function until(done: () => boolean, timeoutMs: number, what: string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(5);
  }
}

/** A small generator of repeatable pseudo-random numbers (Mulberry32, public domain algorithm). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
