import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateSqlServer } from '../../testing/sql-server.ts';
import type { TcpProxy } from '../../testing/tcp-proxy.ts';
import type { Fault, Scene, StormOptions } from './storm.ts';

export interface FaultRun {
  readonly what: string;
  readonly fault: Fault;
  /** Needs a database server: not for SQLite. */
  readonly needsServer?: true;
  readonly options?: Partial<StormOptions>;
}

/** Every fault by the name of its command. */
export const faultRuns: Readonly<Record<string, FaultRun>> = {
  'kill-server': {
    what: 'kill -9 of the server at a random moment, then started again',
    fault: async ({ server, random }) => {
      await sleep(random() * 30);
      await server.kill();
      await server.start();
    },
  },
  'restart-server': {
    what: 'SIGTERM under load: sockets drained with 1012, then started again',
    fault: async ({ server }) => {
      const { code } = await server.terminate();
      if (code !== 0) throw new Error(`SIGTERM ended with ${code}`);
      await server.start();
    },
  },
  'kill-database': {
    what: 'kill -9 of the database at a random moment, then started again',
    needsServer: true,
    fault: async (scene) => {
      await sleep(scene.random() * 30);
      await serverOf(scene).kill();
      await serverOf(scene).start();
      await scene.allAcked(15_000);
    },
  },
  'freeze-database': {
    what: 'SIGSTOP of the database for 6 s: statements time out, sends are answered, then SIGCONT',
    needsServer: true,
    fault: async (scene) => {
      await serverOf(scene).pause();
      await sleep(6_000);
      serverOf(scene).resume();
      await scene.allAcked(15_000);
    },
  },
  'absent-database': {
    what: 'the database is away for 30 s',
    needsServer: true,
    fault: async (scene) => {
      await serverOf(scene).kill();
      await sleep(30_000);
      await serverOf(scene).start();
      await scene.allAcked(15_000);
    },
  },
  'cut-database': {
    what: 'all connections to the database reset at a random byte, COMMITs with unknown outcome among them',
    needsServer: true,
    options: { proxied: true },
    fault: async (scene) => {
      const proxy = proxyOf(scene);
      await proxy.cutAfter(Math.floor(scene.random() * 20_000), scene.random() < 0.5 ? 'up' : 'down');
      proxy.resetAll();
      await scene.allAcked(15_000);
    },
  },
  'cut-clients': {
    what: 'every client loses its line at once',
    fault: async (scene) => {
      for (const client of [...scene.senders, scene.follower, scene.watcher]) if (scene.random() < 0.7) client.cut();
      await scene.allAcked(15_000);
    },
  },
};

function serverOf({ database }: Scene): PrivateSqlServer {
  if (!database) throw new Error('this fault needs a database server');
  return database;
}

function proxyOf({ proxy }: Scene): TcpProxy {
  if (!proxy) throw new Error('this fault needs a proxy');
  return proxy;
}
