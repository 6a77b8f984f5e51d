import { connect } from 'node:net';
import { rmSync } from 'node:fs';
import { findProgram } from './find-program.ts';
import { freshFolder } from './run-folder.ts';
import { ServerProcess, startOnFreePort } from './server-process.ts';

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** Further flags, such as `['--maxmemory', '1mb']`. */
  readonly flags?: readonly string[];
}

export function findRedis(): string | undefined {
  return findProgram('redis-server', 'valkey-server');
}

/** The server of `TEST_REDIS_URL`, which others may be using too, else a private one. */
export async function openRedis(): Promise<RedisServer> {
  const url = process.env['TEST_REDIS_URL'];
  return url === undefined || url === '' ? startRedis() : { url, stop: async () => {} };
}

/** A private server that keeps nothing on disk. */
export async function startRedis(options: RedisOptions = {}): Promise<PrivateRedisServer> {
  const program = findRedis();
  if (program === undefined) throw new Error('no redis-server on this machine');
  return startOnFreePort((port) => new PrivateRedisServer(program, freshFolder('redis'), port, options.flags ?? []));
}

/** Its port stays when it is killed, for the next `start()`; its content does not. */
export class PrivateRedisServer extends ServerProcess implements RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #folder: string;

  constructor(program: string, folder: string, port: number, flags: readonly string[]) {
    const place = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
    super({
      name: 'redis',
      command: program,
      args: [...place, '--save', '', '--appendonly', 'no', ...flags],
      ready: () =>
        command(port, ['PING'])
          .then((reply) => reply.startsWith('+PONG'))
          .catch(() => false),
    });
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#folder = folder;
  }

  /** The raw reply to one command, such as `command('CLIENT', 'KILL', 'TYPE', 'pubsub')`. */
  command(...words: readonly string[]): Promise<string> {
    return command(this.port, words);
  }

  async stop(): Promise<void> {
    await this.terminate(200);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function command(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').on('data', (text: string) => (reply += text));
    socket.once('error', reject);
    // The QUIT behind it makes the server close, so that nobody has to know where a reply ends.
    socket.once('close', () => resolve(reply.replace(/\+OK\r\n$/, '')));
    socket.write(encode(words) + encode(['QUIT']));
  });
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}
