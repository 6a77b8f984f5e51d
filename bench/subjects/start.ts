/** Every subject of the bench as a process of its own, started until it answers. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { freePort } from '../../testing/free-port.ts';
import { freshFolder } from '../../testing/run-folder.ts';
import { ServerProcess } from '../../testing/server-process.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
export const builtServer = join(root, 'packages/server/dist/main.js');
/** Node's arguments for TypeScript. */
export const typescript = ['--import', pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href];
const gcOnSignal = ['--expose-gc', '--import', pathToFileURL(join(here, 'gc-on-signal.mjs')).href];

export interface Subject {
  readonly port: number;
  readonly pid: number;
  readonly secret: string;
  readonly process: ServerProcess;
  /** Its working folder. */
  readonly folder: string;
}

export interface SubjectOptions {
  /** Collects garbage on SIGUSR2. */
  readonly weighed?: boolean;
  readonly nodeArgs?: readonly string[];
  readonly readyWithinMs?: number;
  /** Active sessions that one admin is given. */
  readonly capacity?: number;
}

interface Program extends SubjectOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder?: string;
}

async function start(program: Program): Promise<Subject> {
  const { name, args, env, weighed, nodeArgs = [], folder = freshFolder('subject'), readyWithinMs = 30_000 } = program;
  const port = await freePort();
  const secret = randomBytes(32).toString('hex');
  const child = new ServerProcess({
    name,
    command: process.execPath,
    args: [...(weighed ? gcOnSignal : []), ...nodeArgs, ...args],
    cwd: folder,
    env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], PORT: String(port), JWT_SECRET: secret, ...env },
    ready: () => listens(port),
    readyTimeoutMs: readyWithinMs,
  });
  await child.start();
  return { port, pid: child.pid as number, secret, process: child, folder };
}

/** @param entry the `main.js` to run, of this clone or of another */
export function startSwitchboard(
  databaseUrl: string | null,
  entry = builtServer,
  options: SubjectOptions = {},
): Promise<Subject> {
  const folder = freshFolder('subject');
  return start({
    name: 'switchboard',
    args: [entry],
    env: {
      HOST: '127.0.0.1',
      DATABASE_URL: databaseUrl ?? `sqlite:${join(folder, 'switchboard.db')}`,
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'warn',
      MAX_ACTIVE_SESSIONS_PER_ADMIN: String(options.capacity ?? 100_000),
    },
    folder,
    ...options,
  });
}

export function startSocketIo(databaseUrl: string): Promise<Subject> {
  return start({
    name: 'socket.io',
    args: [join(here, 'socket-io.mjs')],
    env: { DATABASE_URL: databaseUrl, NODE_ENV: 'production' },
  });
}

export function startRelay(kind: 'plain' | 'corked' | 'tcp', options: SubjectOptions = {}): Promise<Subject> {
  return start({
    name: `relay (${kind})`,
    args: [...typescript, join(here, 'relay.ts')],
    env: { RELAY: kind },
    ...options,
  });
}

export async function stop(subject: Subject): Promise<void> {
  await subject.process.terminate();
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
