/** A host for the tests of mounting: an HTTP server with routes and WebSockets of its own. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { createSwitchboard, type HostAccount, type Switchboard, type SwitchboardOptions } from '../src/index.ts';

/** Tokens of a host that are nothing but names. */
export const people: Readonly<Record<string, HostAccount>> = {
  lilei: { userId: 31, roles: ['user'], nickname: '李雷' },
  anna: { userId: 7, roles: ['admin'], nickname: 'Anna' },
};

/** A switchboard for the one test that runs, in memory and quiet unless the test says otherwise. */
export async function mounted(options: SwitchboardOptions = {}): Promise<Switchboard> {
  const switchboard = await createSwitchboard({
    database: 'sqlite::memory:',
    logger: false,
    RATE_LIMIT: 'off',
    ...('JWT_SECRET' in options ? {} : { authenticate: (token: string) => people[token] ?? null }),
    ...options,
  });
  onTestFinished(() => switchboard.close());
  return switchboard;
}

export interface Host {
  readonly server: Server;
  readonly url: string;
  get(path: string, token?: string): Promise<Answer>;
  post(path: string, token: string, body: unknown): Promise<Answer>;
  /** @throws with the status when the handshake is refused */
  connect(path: string): Promise<Line>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers of every shape are looked into
  readonly json: any;
}

/** Starts to listen; ends with the test. */
export async function hostWith(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Host> {
  return listening(createServer(answer));
}

export async function listening(server: Server): Promise<Host> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const ask = async (
    path: string,
    token: string | undefined,
    more: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Answer> => {
    const headers = { connection: 'close', ...(token && { authorization: `Bearer ${token}` }), ...more.headers };
    const response = await fetch(url + path, { ...more, headers });
    const text = await response.text();
    return { status: response.status, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
  return {
    server,
    url,
    get: (path, token) => ask(path, token),
    post: (path, token, body) =>
      ask(path, token, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    connect: (path) => Line.open(`ws://127.0.0.1:${port}${path}`),
  };
}

interface Frame {
  readonly type: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- frames of every shape are looked into
  readonly data: any;
}

/** A WebSocket that remembers what it heard. */
class Line {
  readonly socket: WebSocket;
  readonly heard: string[] = [];
  readonly closed: Promise<number>;

  static async open(url: string): Promise<Line> {
    const socket = new WebSocket(url);
    const line = new Line(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', reject);
      socket.once('unexpected-response', (_request, response) => {
        reject(new Error(`refused with ${response.statusCode}`));
        socket.terminate();
      });
    });
    return line;
  }

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.heard.push((data as Buffer).toString()));
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    onTestFinished(() => socket.terminate());
  }

  say(content: string, more: object = {}): void {
    this.socket.send(JSON.stringify({ type: 'send_message', data: { content, ...more } }));
  }

  /** The first text that fits, once it is there. */
  async text(fits: (text: string) => boolean): Promise<string> {
    const until = performance.now() + 5_000;
    for (;;) {
      const found = this.heard.find(fits);
      if (found !== undefined) return found;
      if (performance.now() > until) throw new Error(`not heard; only ${this.heard.join('\n') || 'nothing'}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async frame(type: string): Promise<Frame> {
    return JSON.parse(await this.text((text) => text.includes(`"type":"${type}"`))) as Frame;
  }
}
