/**
 * MariaDB and MySQL servers for tests: a private one with its own data folder, port and socket, started in well
 * under a second from a template, or one that is already there, named by a URL in the environment.
 * What differs between the two stands in `mariadb.ts` and `real-mysql.ts`.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { freshFolder, freshPath, testsFolder } from './run-folder.ts';
import { ServerProcess, startOnFreePort } from './server-process.ts';
import type { ServerCommand } from './server-process.ts';

const execute = promisify(execFile);

/** Raised when the way templates are made changes, so that nobody gets an old one. */
const templateRevision = 1;

export interface SqlProgram {
  readonly version: string;
  /** The command that runs the server, before its flags. */
  readonly run: readonly [string, ...string[]];
  /** Flags of every run. */
  readonly flags: readonly string[];
  /** Makes a folder into an empty data folder whose root has no password on localhost and 127.0.0.1. */
  initialise(folder: string): Promise<void>;
}

export interface Flavour {
  readonly name: 'mariadb' | 'mysql';
  /** The variable that may name a server to use instead of a private one. */
  readonly urlVariable: 'TEST_MARIADB_URL' | 'TEST_MYSQL_URL';
  find(): SqlProgram | undefined;
}

export type Row = Record<string, unknown>;
export type Parameter = string | number | null;

export interface Database {
  readonly name: string;
  /** By unix socket where the server is private. */
  readonly url: string;
  /** By TCP; a proxy goes in front of this one. */
  readonly tcpUrl: string;
  /** One statement; its rows, or none. */
  query(sql: string, parameters?: readonly Parameter[]): Promise<Row[]>;
  /** Any number of statements, separated by semicolons. */
  script(sql: string): Promise<void>;
  drop(): Promise<void>;
}

export interface SqlServer {
  readonly flavour: Flavour['name'];
  /** A fresh utf8mb4 database. Its real name is the given one and something random. */
  createDatabase(name?: string): Promise<Database>;
  query(sql: string, parameters?: readonly Parameter[]): Promise<Row[]>;
  /** A private server is ended and its data removed; on another one, the databases made here are dropped. */
  stop(): Promise<void>;
}

export interface SqlServerOptions {
  /** Further server flags, such as `--max-connections=5`; they win over the usual ones. */
  readonly flags?: readonly string[];
  /** Where its data lie; nothing may be there yet. Default: in this process's folder. */
  readonly dataFolder?: string;
}

/** The version number in what `--version` prints. */
export function versionIn(output: string): string {
  const version = /\bVer ([\w.+~-]+)/.exec(output)?.[1];
  if (version === undefined) throw new Error(`no version number in: ${output}`);
  return version;
}

/** The server that the environment names, else a private one. */
export async function openSqlServer(flavour: Flavour): Promise<SqlServer> {
  const url = process.env[flavour.urlVariable];
  return url === undefined || url === '' ? startSqlServer(flavour) : useSqlServer(flavour, url);
}

/** A private server, for tests that stop it or change its settings. */
export async function startSqlServer(flavour: Flavour, options: SqlServerOptions = {}): Promise<PrivateSqlServer> {
  const program = flavour.find();
  if (program === undefined) throw new Error(`no ${flavour.name} server program on this machine`);
  const template = await templateOf(flavour, program);
  return startOnFreePort(async (port) => {
    const folder = options.dataFolder ?? freshPath('data');
    await copyFolder(template, folder, options.dataFolder === undefined ? 'always' : 'never');
    return new PrivateSqlServer(flavour.name, program, folder, port, options.flags ?? []);
  });
}

/** Its data, port and socket stay when it is killed, for the next `start()`, which then does crash recovery. */
export class PrivateSqlServer extends ServerProcess implements SqlServer {
  readonly flavour: Flavour['name'];
  readonly port: number;
  readonly socketPath: string;
  readonly #folder: string;

  constructor(flavour: Flavour['name'], program: SqlProgram, folder: string, port: number, flags: readonly string[]) {
    super(commandOf(flavour, program, folder, [`--port=${port}`, '--bind-address=127.0.0.1', ...flags]));
    this.flavour = flavour;
    this.port = port;
    this.socketPath = socketOf(folder);
    this.#folder = folder;
  }

  createDatabase(name?: string): Promise<Database> {
    return createDatabaseAt(
      (path) => this.#url(path),
      (path) => `mysql://root@127.0.0.1:${this.port}/${path}`,
      name,
    );
  }

  query(sql: string, parameters?: readonly Parameter[]): Promise<Row[]> {
    return queryAt(this.#url(''), sql, parameters);
  }

  async stop(): Promise<void> {
    // The data is thrown away, so a slow shutdown (MySQL takes 1.5 s) is not worth the wait.
    await this.terminate(200);
    rmSync(this.#folder, { recursive: true, force: true });
    rmSync(this.socketPath, { force: true });
  }

  #url(path: string): string {
    return `mysql://root@localhost/${path}?socketPath=${encodeURIComponent(this.socketPath)}`;
  }
}

/** A server that is somebody else's: databases of unique names are made in it, and dropped at the end. */
async function useSqlServer(flavour: Flavour, url: string): Promise<SqlServer> {
  const at = (path: string): string => {
    const result = new URL(url);
    result.pathname = `/${path}`;
    return result.href;
  };
  const [row] = await queryAt(at(''), 'SELECT VERSION() AS version');
  const isMariadb = /mariadb/i.test(String(row?.['version']));
  if (isMariadb !== (flavour.name === 'mariadb')) {
    throw new Error(`${flavour.urlVariable} names a server of version ${String(row?.['version'])}`);
  }
  const made: Database[] = [];
  return {
    flavour: flavour.name,
    async createDatabase(name) {
      const database = await createDatabaseAt(at, at, name);
      made.push(database);
      return database;
    },
    query: (sql, parameters) => queryAt(at(''), sql, parameters),
    async stop() {
      for (const database of made.splice(0)) await database.drop();
    },
  };
}

async function createDatabaseAt(
  url: (path: string) => string,
  tcpUrl: (path: string) => string,
  prefix = 'switchboard',
): Promise<Database> {
  const name = `${prefix}_${randomBytes(5).toString('hex')}`;
  if (!/^\w{1,64}$/.test(name)) throw new Error(`not a database name: ${name}`);
  await queryAt(url(''), `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  return {
    name,
    url: url(name),
    tcpUrl: tcpUrl(name),
    query: (sql, parameters) => queryAt(url(name), sql, parameters),
    script: async (sql) => {
      await queryAt(url(name), sql);
    },
    drop: async () => {
      await queryAt(url(''), `DROP DATABASE IF EXISTS ${name}`);
    },
  };
}

async function queryAt(url: string, sql: string, parameters: readonly Parameter[] = []): Promise<Row[]> {
  const connection = await createConnection({ uri: url, multipleStatements: true, timezone: 'Z', charset: 'utf8mb4' });
  try {
    const [rows] = await connection.query(sql, [...parameters]);
    return Array.isArray(rows) ? (rows as Row[]) : [];
  } finally {
    connection.destroy();
  }
}

function commandOf(name: string, program: SqlProgram, folder: string, flags: readonly string[]): ServerCommand {
  const [command, ...leading] = program.run;
  const socketPath = socketOf(folder);
  // Its own: a server that starts clears away what looks like an earlier one's temporary tables.
  const temporary = `${folder}.tmp`;
  mkdirSync(temporary, { recursive: true });
  return {
    name,
    command,
    args: [
      ...leading,
      ...program.flags,
      `--datadir=${folder}`,
      `--tmpdir=${temporary}`,
      `--socket=${socketPath}`,
      `--pid-file=${join(folder, 'server.pid')}`,
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=1',
      '--sync-binlog=1',
      ...flags,
    ],
    ready: () => greets(socketPath),
  };
}

function socketOf(folder: string): string {
  return `${folder}.sock`;
}

/** Whether a server answers there with its handshake; it does so only when it takes queries. */
function greets(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    // Four bytes of packet header, then the protocol version: 10. A refusal has 255 there.
    socket.once('data', (bytes) => done(bytes[4] === 10));
  });
}

/** A data folder to copy, made once on each machine. */
async function templateOf(flavour: Flavour, program: SqlProgram): Promise<string> {
  const template = join(testsFolder(), `template-${templateRevision}-${flavour.name}-${program.version}`);
  if (existsSync(template)) return template;
  // Made aside and moved into place in one step: of several test processes that make it at once, one wins.
  const folder = freshFolder('template');
  await program.initialise(folder);
  // One run, without a network, does what only a first run has to do; copies then start faster.
  const firstRun = new ServerProcess(commandOf(flavour.name, program, folder, ['--skip-networking']));
  await firstRun.start();
  await firstRun.terminate(60_000);
  // Copies must not share a server's identity.
  rmSync(join(folder, 'auto.cnf'), { force: true });
  try {
    renameSync(folder, template);
  } catch (error) {
    if (!existsSync(template)) throw error;
    rmSync(folder, { recursive: true, force: true });
  }
  return template;
}

/**
 * Holes stay holes where the system's `cp` can do that: a template is mostly empty log space. On a disk that a test
 * fills they must not: a server whose log has no room ends.
 */
async function copyFolder(from: string, to: string, sparse: 'always' | 'never'): Promise<void> {
  try {
    await execute('cp', ['-a', `--sparse=${sparse}`, from, to]);
  } catch {
    rmSync(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
  }
}
