/** Boots servers for suites. Everything else here knows a server by its address alone. */
import { afterAll, afterEach, beforeAll, describe, onTestFinished } from 'vitest';
import { openMariadb } from '../testing/mariadb.ts';
import { openMysql } from '../testing/real-mysql.ts';
import { describeWith } from '../testing/requires.ts';
import type { SqlServer } from '../testing/sql-server.ts';
import { runSwitchboard, startSwitchboard } from '../testing/switchboard.ts';
import type { Switchboard, SwitchboardOptions } from '../testing/switchboard.ts';
import { House } from './house.ts';

/** `SWITCHBOARD_ENTRY` names the `main.js` of another build to judge, such as an earlier version's. */
const entry = process.env['SWITCHBOARD_ENTRY'];
const judged = entry === undefined ? {} : { entry };

/** A server without rate limits: tests are in a hurry. */
export function boot(options: SwitchboardOptions = {}): Promise<Switchboard> {
  return startSwitchboard({ ...judged, ...options, env: { RATE_LIMIT: 'off', ...options.env } });
}

/** A server that is to end by itself. */
export function runToEnd(options: SwitchboardOptions = {}): ReturnType<typeof runSwitchboard> {
  return runSwitchboard({ ...judged, ...options });
}

/** A server for the one test that runs. */
export async function bootHere(options: SwitchboardOptions = {}): Promise<{ server: Switchboard; house: House }> {
  const server = await boot(options);
  onTestFinished(() => server.remove());
  return { server, house: new House(() => server) };
}

export interface Booted {
  readonly house: House;
  readonly server: () => Switchboard;
}

/** One server for all tests of a suite, calmed between them. */
export function useServer(options: () => SwitchboardOptions | Promise<SwitchboardOptions> = () => ({})): Booted {
  let server: Switchboard | undefined;
  const booted = (): Switchboard => {
    if (server === undefined) throw new Error('the server is not booted yet');
    return server;
  };
  const house = new House(booted);
  beforeAll(async () => {
    server = await boot(await options());
  });
  afterEach(() => house.calm());
  afterAll(() => server?.remove());
  return { house, server: booted };
}

export interface Store {
  readonly name: string;
  /** A fresh database, as the server is told of it; SQLite's is the server's own file. */
  readonly database: () => Promise<Pick<SwitchboardOptions, 'databaseUrl'>>;
}

/** The same suite on SQLite, MariaDB and MySQL, as far as they are here. */
export function describeStores(name: string, body: (store: Store) => void): void {
  describe(`${name} on SQLite`, () => body({ name: 'SQLite', database: async () => ({}) }));
  describeWith('mariadb', `${name} on MariaDB`, () => body(onServer('MariaDB', openMariadb)));
  describeWith('mysql', `${name} on MySQL`, () => body(onServer('MySQL', openMysql)));
}

function onServer(name: string, open: () => Promise<SqlServer>): Store {
  let server: SqlServer | undefined;
  afterAll(() => server?.stop());
  return {
    name,
    async database() {
      server ??= await open();
      return { databaseUrl: (await server.createDatabase('conformance')).url };
    },
  };
}
