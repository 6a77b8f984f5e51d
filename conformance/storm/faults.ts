import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateSqlServer } from '../../testing/sql-server.ts';
import { everybody } from './cast.ts';
import { exhaustConnections, holdTable, killAtCommit, slowDown } from './database-faults.ts';
import { fillDisk, setClock } from './machine-faults.ts';
import type { Fault, Scene, StoreName, StormOptions } from './storm.ts';

export interface FaultRun {
  readonly what: string;
  readonly fault: Fault;
  /** Where it can strike; the first is the usual one. */
  readonly stores: readonly StoreName[];
  /** How long one stroke lasts, where that is a matter of choice. */
  readonly lastsMs?: number;
  /** Nobody's line is lost by it: the server stays, and keeps its sockets. */
  readonly keepsLines?: true;
  /** The store is away for a while: how soon sends are answered meanwhile, and stored afterwards, is promised. */
  readonly takesStore?: true;
  readonly options?: Partial<StormOptions>;
}

const EVERYWHERE = ['sqlite', 'mariadb', 'mysql'] as const;
const SERVERS = ['mariadb', 'mysql'] as const;

/** Every fault by the name of its command. */
export const faultRuns: Readonly<Record<string, FaultRun>> = {
  'kill-server': {
    what: 'kill -9 of the server at a random moment, then started again',
    stores: EVERYWHERE,
    fault: async ({ server, chance }) => {
      await sleep(chance.next() * 30);
      await server.kill();
      await server.start();
    },
  },
  'kill-at-commit': {
    what: 'kill -9 of the server when the database has committed and the server does not know it yet',
    stores: SERVERS,
    options: { proxied: true },
    fault: killAtCommit,
  },
  'restart-server': {
    what: 'SIGTERM under load: sockets drained with 1012, then started again',
    stores: EVERYWHERE,
    fault: async ({ server }) => {
      const { code } = await server.terminate();
      if (code !== 0) throw new Error(`SIGTERM ended with ${code}`);
      await server.start();
    },
  },
  'kill-database': {
    what: 'kill -9 of the database at a random moment, then started again',
    stores: SERVERS,
    keepsLines: true,
    takesStore: true,
    fault: async (scene) => {
      await sleep(scene.chance.next() * 30);
      await serverOf(scene).kill();
      await serverOf(scene).start();
      await scene.recovered();
    },
  },
  'freeze-database': {
    what: 'SIGSTOP of the database: statements time out, sends are answered, then SIGCONT',
    lastsMs: 12_000,
    stores: SERVERS,
    keepsLines: true,
    takesStore: true,
    fault: async (scene) => {
      await serverOf(scene).pause();
      await sleep(scene.lastsMs);
      serverOf(scene).resume();
      await scene.recovered();
    },
  },
  'absent-database': {
    what: 'the database is away for a while',
    lastsMs: 30_000,
    stores: SERVERS,
    keepsLines: true,
    takesStore: true,
    fault: async (scene) => {
      await serverOf(scene).kill();
      await sleep(scene.lastsMs);
      await serverOf(scene).start();
      await scene.recovered();
    },
  },
  'cut-database': {
    what: 'all connections to the database reset at a random byte, COMMITs with unknown outcome among them',
    stores: SERVERS,
    keepsLines: true,
    options: { proxied: true },
    fault: async (scene) => {
      const { proxy, chance } = scene;
      await proxy?.cutAfter(chance.below(20_000), chance.happens(500) ? 'up' : 'down');
      proxy?.resetAll();
      await scene.recovered();
    },
  },
  'exhaust-database': {
    what: 'somebody else holds every connection that the database allows',
    lastsMs: 6_000,
    stores: SERVERS,
    keepsLines: true,
    takesStore: true,
    fault: exhaustConnections,
  },
  'lock-table': {
    what: 'somebody else holds a lock on chat_sessions',
    lastsMs: 20_000,
    stores: SERVERS,
    keepsLines: true,
    takesStore: true,
    fault: holdTable,
  },
  'slow-database': {
    what: 'every answer of the database takes 300 ms longer',
    lastsMs: 10_000,
    stores: SERVERS,
    keepsLines: true,
    options: { proxied: true },
    fault: slowDown,
  },
  'fill-disk': {
    what: "the store's disk is full for a while: reads go on, sends are refused; then there is room again",
    lastsMs: 5_000,
    stores: ['sqlite', 'mariadb'],
    keepsLines: true,
    takesStore: true,
    options: { diskMb: 128 },
    fault: fillDisk,
  },
  'set-clock': {
    what: "the server's clock is set an hour back, an hour forward, and right again",
    lastsMs: 3_000,
    stores: EVERYWHERE,
    keepsLines: true,
    options: { ownClock: true },
    fault: setClock,
  },
  'cut-clients': {
    what: 'every client loses its line at once',
    stores: EVERYWHERE,
    fault: async (scene) => {
      for (const client of everybody(scene.cast)) if (scene.chance.happens(700)) client.cut();
      await scene.allAcked();
    },
  },
};

function serverOf({ database }: Scene): PrivateSqlServer {
  if (!database) throw new Error('this fault needs a database server');
  return database;
}
