import { Chance } from '../../testing/chance.ts';
import { type FakeClock, startFakeClock } from '../../testing/fake-clock.ts';
import { startMariadb } from '../../testing/mariadb.ts';
import { startMysql } from '../../testing/real-mysql.ts';
import { mountSmallDisk, type SmallDisk } from '../../testing/small-disk.ts';
import type { Database, PrivateSqlServer } from '../../testing/sql-server.ts';
import { startSwitchboard, type Switchboard } from '../../testing/switchboard.ts';
import { startTcpProxy, type TcpProxy } from '../../testing/tcp-proxy.ts';
import { type Cast, everybody, gather } from './cast.ts';
import { History } from './history.ts';
import { judge, type Verdict } from './judge.ts';
import { settle } from './settle.ts';
import { until } from './until.ts';

export type StoreName = 'sqlite' | 'mariadb' | 'mysql';

export interface StormOptions {
  readonly store: StoreName;
  readonly cycles: number;
  readonly seed: number;
  readonly senders?: number;
  /** Messages that each sender keeps in flight. */
  readonly window?: number;
  /** The database is reached through a proxy that can misbehave. */
  readonly proxied?: boolean;
  /** The store lies on a disk of this size, which can be filled. */
  readonly diskMb?: number;
  /** How long a stroke of the fault lasts. */
  readonly lastsMs?: number;
  /** The server's clock can be set. */
  readonly ownClock?: boolean;
  /** The server's program, where it is not the build of this clone. */
  readonly entry?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Asked after each cycle, with how many have been; false ends the storm early. */
  readonly goesOn?: (cycles: number) => boolean;
}

/** What a fault does in one cycle. It leaves the server running and reachable. */
export type Fault = (scene: Scene, cycle: number) => Promise<void>;

/** Where a storm blows. */
interface Place {
  readonly server: Switchboard;
  readonly database: PrivateSqlServer | null;
  readonly schema: Database | null;
  readonly proxy: TcpProxy | null;
  readonly disk: SmallDisk | null;
  readonly clock: FakeClock | null;
}

export interface Scene extends Place {
  readonly cast: Cast;
  readonly lastsMs: number;
  readonly chance: Chance;
  /** Resolves when every sender has had a message acknowledged from now on. */
  readonly allAcked: (timeoutMs?: number) => Promise<void>;
  /** Resolves when so many messages have been acknowledged in all from now on. */
  readonly acked: (count: number, timeoutMs?: number) => Promise<void>;
  /** To be called when what was away is back: measures until the first ack, and until every sender has had one. */
  readonly recovered: () => Promise<void>;
}

/** After something that was away had come back; milliseconds. */
interface Recovery {
  readonly firstMs: number;
  readonly allMs: number;
}

export interface Report {
  readonly cycles: number;
  readonly verdict: Verdict;
  readonly acked: number;
  readonly retries: number;
  /** Acks that said `duplicate`. */
  readonly duplicates: number;
  /** How often each error code was the answer to a send. */
  readonly refused: ReadonlyMap<string, number>;
  /** Lines that were lost and made anew, of all who took part. */
  readonly reconnects: number;
  /** The longest that a send was without any answer while its line stood. */
  readonly slowestAnswerMs: number;
  readonly recoveries: readonly Recovery[];
  /** Messages in flight when each fault struck, smallest and mean. */
  readonly inFlight: { readonly least: number; readonly mean: number };
  readonly events: number;
  readonly seconds: number;
}

/** Runs a fault again and again under load, then lets everything settle and judges what happened. */
export async function storm(options: StormOptions, fault: Fault): Promise<Report> {
  const started = performance.now();
  const history = new History();
  const recoveries: Recovery[] = [];
  const inFlight: number[] = [];
  const place = await prepare(options);
  let cast: Cast | null = null;
  try {
    cast = gather(place.server, history, options);
    const scene = sceneOf(place, cast, options, recoveries);
    for (const sender of cast.users) sender.start();
    await scene.allAcked(30_000);
    cast.replier.start();
    for (let cycle = 0; cycle < options.cycles; cycle++) {
      await scene.acked(20, 30_000);
      inFlight.push(cast.senders.reduce((sum, s) => sum + s.inFlight, 0));
      await fault(scene, cycle);
      if (place.server.pid === undefined) throw new Error(`the server ended by itself\n${place.server.tail()}`);
      if (options.goesOn?.(cycle + 1) === false) break;
    }
    await settle(place.server, cast, history);
  } finally {
    for (const client of cast ? everybody(cast) : []) client.stop();
    await clear(place);
  }
  const { senders, followers } = cast;
  const sum = (figure: (sender: (typeof senders)[number]) => number): number =>
    senders.reduce((total, sender) => total + figure(sender), 0);
  const refused = new Map<string, number>();
  for (const sender of senders)
    for (const [code, times] of sender.refused) refused.set(code, (refused.get(code) ?? 0) + times);
  return {
    cycles: inFlight.length,
    verdict: judge(history, { complete: Object.fromEntries(followers.map((f) => [f.name, f.sessions])) }),
    acked: sum((s) => s.acked),
    retries: sum((s) => s.retries),
    duplicates: sum((s) => s.duplicates),
    refused,
    reconnects: everybody(cast).reduce((total, client) => total + client.connection - 1, 0),
    slowestAnswerMs: Math.max(...senders.map((s) => s.slowestAnswer)),
    recoveries,
    inFlight: { least: Math.min(...inFlight), mean: inFlight.reduce((a, b) => a + b, 0) / inFlight.length },
    events: history.of('head').reduce((total, h) => total + h.seq, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

async function prepare(options: StormOptions): Promise<Place> {
  const disk = options.diskMb === undefined ? null : await mountSmallDisk(options.diskMb);
  const clock = options.ownClock ? startFakeClock() : null;
  const start = options.store === 'mysql' ? startMysql : startMariadb;
  const database =
    options.store === 'sqlite' ? null : await start(disk === null ? {} : { dataFolder: disk.path('data') });
  const schema = database ? await database.createDatabase() : null;
  const proxy = database && options.proxied ? await startTcpProxy({ port: database.port }) : null;
  const file = disk ? `sqlite:${disk.path('switchboard.db')}` : null;
  const databaseUrl = schema ? (proxy ? proxy.url(schema.tcpUrl) : schema.url) : file;
  const server = await startSwitchboard({
    ...(databaseUrl === null ? {} : { databaseUrl }),
    ...(options.entry === undefined ? {} : { entry: options.entry }),
    env: {
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'warn',
      MAX_ACTIVE_SESSIONS_PER_ADMIN: '1000',
      ...clock?.env,
      ...options.env,
    },
  });
  return { server, database, schema, proxy, disk, clock };
}

async function clear({ server, database, proxy, disk }: Place): Promise<void> {
  await server.remove();
  proxy?.close();
  await database?.stop();
  await disk?.remove();
}

function sceneOf(place: Place, cast: Cast, options: StormOptions, recoveries: Recovery[]): Scene {
  const { senders, users } = cast;
  const total = (): number => senders.reduce((sum, s) => sum + s.acked, 0);
  const allAcked = async (timeoutMs = 15_000): Promise<void> => {
    const asked = users.map((s) => ({ sender: s, before: s.acked }));
    await until(() => asked.every(({ sender, before }) => sender.acked > before), timeoutMs, 'every sender has an ack');
  };
  const acked = async (wanted: number, timeoutMs = 15_000): Promise<void> => {
    const before = total();
    await until(() => total() >= before + wanted, timeoutMs, `${wanted} acks`);
  };
  return {
    ...place,
    cast,
    lastsMs: options.lastsMs ?? 0,
    chance: new Chance(options.seed),
    allAcked,
    acked,
    recovered: async () => {
      const from = performance.now();
      const all = allAcked(30_000).then(() => performance.now() - from);
      const [firstMs, allMs] = await Promise.all([acked(1, 30_000).then(() => performance.now() - from), all]);
      recoveries.push({ firstMs, allMs });
    },
  };
}
