/** The built server as a child process, as an operator runs it: settings by environment, address by the ready line. */
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { freshFolder } from './run-folder.ts';
import { ServerProcess } from './server-process.ts';
import type { Exit, ServerCommand } from './server-process.ts';

const builtServer = fileURLToPath(new URL('../packages/server/dist/main.js', import.meta.url));

export interface SwitchboardOptions {
  /** Default: a SQLite file in the server's own folder. */
  readonly databaseUrl?: string;
  readonly redisUrl?: string;
  /**
   * Default: a free one outside the range of outgoing ports. `PORT=0` would pick one inside it, where a client that
   * reconnects while the server is away may come to hold the port, or even connect to itself.
   */
  readonly port?: number;
  /** Further settings; undefined takes one of the usual ones away (`JWT_SECRET: undefined` is demo mode). */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Arguments of the server. */
  readonly args?: readonly string[];
  /** Arguments of Node.js, such as `--max-old-space-size=256`. */
  readonly nodeArgs?: readonly string[];
  /** The `main.js` to run, such as an earlier version's. Default: the one built here. */
  readonly entry?: string;
  readonly readyTimeoutMs?: number;
}

export type LogRecord = Readonly<Record<string, unknown>>;

/** Runs the server until it is ready. If it refuses to start, the error carries its output. */
export async function startSwitchboard(options: SwitchboardOptions = {}): Promise<Switchboard> {
  const server = await create(options);
  try {
    await server.start();
  } catch (error) {
    await server.remove();
    throw error;
  }
  return server;
}

/** Runs the server to its end, for settings that it must refuse and for arguments such as `--help`. */
export async function runSwitchboard(options: SwitchboardOptions = {}): Promise<Exit & { readonly output: string }> {
  const server = await create(options);
  server.spawn();
  const late = setTimeout(() => void server.kill(), options.readyTimeoutMs ?? 30_000);
  const exit = await server.exit;
  clearTimeout(late);
  await server.remove();
  return { ...exit, output: server.output };
}

/** A compact HS256 JWT. */
export function signToken(secret: string, claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Its port, settings and data stay when it is stopped or killed, for the next `start()`. */
export class Switchboard extends ServerProcess {
  /** Its working folder, where `./data` is. */
  readonly folder: string;
  readonly jwtSecret: string;

  constructor(folder: string, jwtSecret: string, command: ServerCommand) {
    super(command);
    this.folder = folder;
    this.jwtSecret = jwtSecret;
  }

  /** `http://127.0.0.1:port`, from the latest ready line. */
  get url(): string {
    const url = addressIn(this.stdout);
    if (url === undefined) throw new Error('switchboard has not been ready yet');
    return url;
  }

  /** The same for WebSockets: `ws://127.0.0.1:port`. */
  get wsUrl(): string {
    return this.url.replace(/^http/, 'ws');
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** The JSON lines of stdout, of every start. */
  get records(): readonly LogRecord[] {
    return recordsOf(this.stdout);
  }

  /** A token of this server's secret, good for an hour unless the claims say otherwise. */
  token(claims: Readonly<Record<string, unknown>>): string {
    return signToken(this.jwtSecret, { exp: Math.floor(Date.now() / 1000) + 3600, ...claims });
  }

  /** Waits for a log record; those already written count. */
  async logged(match: (record: LogRecord) => boolean, timeoutMs = 10_000): Promise<LogRecord> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const record = this.records.find(match);
      if (record !== undefined) return record;
      if (performance.now() > deadline) throw new Error(`not logged in ${timeoutMs} ms\n${this.tail()}`);
      await sleep(10);
    }
  }

  /** SIGTERM; gives the exit code, or null if it had to be killed. */
  async stop(): Promise<number | null> {
    return (await this.terminate()).code;
  }

  /** Ends it if it runs, and removes its folder. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function create(options: SwitchboardOptions): Promise<Switchboard> {
  const { entry = builtServer } = options;
  if (!existsSync(entry)) throw new Error(`no ${entry}: run \`npm run build\` first`);
  const folder = freshFolder('switchboard');
  const jwtSecret = options.env?.['JWT_SECRET'] ?? randomBytes(32).toString('hex');
  const env: Record<string, string | undefined> = {
    PATH: process.env['PATH'],
    TMPDIR: process.env['TMPDIR'],
    HOST: '127.0.0.1',
    PORT: String(options.port ?? (await freePort())),
    DATABASE_URL: options.databaseUrl ?? `sqlite:${join(folder, 'data', 'switchboard.db')}`,
    REDIS_URL: options.redisUrl,
    JWT_SECRET: jwtSecret,
    ...options.env,
  };
  return new Switchboard(folder, jwtSecret, {
    name: 'switchboard',
    command: process.execPath,
    args: [...(options.nodeArgs ?? []), entry, ...(options.args ?? [])],
    cwd: folder,
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    ready: (stdout) => addressIn(stdout) !== undefined,
    readyTimeoutMs: options.readyTimeoutMs ?? 30_000,
  });
}

function addressIn(stdout: string): string | undefined {
  const url = recordsOf(stdout).findLast(({ msg }) => msg === 'listening')?.['url'];
  return typeof url === 'string' ? url : undefined;
}

function recordsOf(stdout: string): LogRecord[] {
  // The last piece is either empty or a line that is not finished yet.
  return stdout
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => {
      try {
        const record: unknown = JSON.parse(line);
        return typeof record === 'object' && record !== null ? [record as LogRecord] : [];
      } catch {
        return [];
      }
    });
}
