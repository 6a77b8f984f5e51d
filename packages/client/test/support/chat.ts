/** A real server, and clients of the SDK beside it. */
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { startSwitchboard } from '../../../../testing/switchboard.ts';
import type { Switchboard, SwitchboardOptions } from '../../../../testing/switchboard.ts';
import { type Client, type ClientEvents, type ClientOptions, type Clock, createClient } from '../../src/index.ts';

/** `SWITCHBOARD_ENTRY` names the `main.js` of another build to try. */
const entry = process.env['SWITCHBOARD_ENTRY'];
const tried = entry === undefined ? {} : { entry };

/** Of tests that share a server: what one leaves behind is no other's business. */
const shared = {
  RATE_LIMIT: 'off',
  MAX_ACTIVE_SESSIONS_PER_ADMIN: '1000',
  ADMIN_OFFLINE_GRACE_SECONDS: '600',
};

/** A server, until somebody removes it. */
export async function boot(options: SwitchboardOptions = {}): Promise<Chat> {
  const server = await startSwitchboard({ ...tried, ...options, env: { ...shared, ...options.env } });
  return new Chat(() => server);
}

/** A server for the one test that runs. */
export async function bootHere(options: SwitchboardOptions = {}): Promise<Chat> {
  const chat = await boot(options);
  onTestFinished(() => chat.server.remove());
  return chat;
}

/** One server for all tests of a file. */
export function useChat(options: SwitchboardOptions = {}): Chat {
  let chat: Chat | undefined;
  beforeAll(async () => {
    chat = await boot(options);
  });
  afterAll(() => chat?.server.remove());
  return new Chat(() => (chat as Chat).server);
}

/** Account ids that nobody has used. */
let lastId = 1_000;
export function newId(): number {
  return ++lastId;
}

export interface History {
  readonly content: string;
  readonly seq: number;
  readonly messageId: string;
  readonly senderType: string;
  readonly status: string;
}

export class Chat {
  readonly #server: () => Switchboard;

  constructor(server: () => Switchboard) {
    this.#server = server;
  }

  get server(): Switchboard {
    return this.#server();
  }

  userToken(id: number, more: object = {}): string {
    return this.server.token({ userId: id, roles: ['user'], ...more });
  }

  adminToken(id: number, more: object = {}): string {
    return this.server.token({ userId: id, roles: ['admin'], ...more });
  }

  user(options: Partial<ClientOptions> = {}, id: number = newId()): Tested {
    return this.#client({ type: 'user', auth: () => this.userToken(id), ...options }, id);
  }

  admin(options: Partial<ClientOptions> = {}, id: number = newId()): Tested {
    return this.#client({ type: 'admin', auth: () => this.adminToken(id), ...options }, id);
  }

  /** All messages of a session, by REST. */
  async history(sessionId: string): Promise<History[]> {
    const all: History[] = [];
    for (;;) {
      const path = `/api/admin/chat/sessions/${sessionId}/messages?pageSize=100&afterSeq=${all.at(-1)?.seq ?? 0}`;
      const page = await this.rest('GET', path);
      all.push(...(page['messages'] as History[]));
      if (!(page['pagination'] as { hasMore: boolean }).hasMore) return all;
    }
  }

  /** A call as an admin who has no connection. */
  async rest(
    method: string,
    path: string,
    body?: object,
    token = this.adminToken(9_000),
  ): Promise<Record<string, unknown>> {
    const response = await fetch(this.server.url + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as { success: boolean; data: Record<string, unknown> };
    if (!answer.success) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.data;
  }

  #client(options: Omit<ClientOptions, 'url'> & { url?: string }, id: number): Tested {
    const client = createClient({ url: this.server.url, WebSocket, ...options });
    onTestFinished(() => client.close());
    return new Tested(client, id);
  }
}

type Told = { [Name in keyof ClientEvents]: { name: Name; detail: ClientEvents[Name] } }[keyof ClientEvents];

const names = [
  'state',
  'message',
  'event',
  'status',
  'receipt',
  'sent',
  'failed',
  'change',
  'reset',
  'inbox',
  'unauthorized',
  'error',
] as const;

/** A client with all that it told. */
export class Tested {
  readonly client: Client;
  /** The account's. */
  readonly id: number;
  readonly told: Told[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(client: Client, id: number) {
    this.client = client;
    this.id = id;
    for (const name of names) {
      client.on(name, (detail) => {
        this.told.push({ name, detail } as Told);
        for (const look of this.#waiting) look();
      });
    }
  }

  async online(): Promise<this> {
    await this.client.connect();
    return this;
  }

  of<Name extends keyof ClientEvents>(name: Name): ClientEvents[Name][] {
    return this.told.filter((one) => one.name === name).map((one) => one.detail as ClientEvents[Name]);
  }

  /** Texts of the messages that were told for the first time, in that order. */
  get heard(): string[] {
    return this.of('message')
      .filter(({ live }) => live)
      .map(({ message }) => message.content);
  }

  /** Resolves as soon as something holds; looked at whenever the client tells anything. */
  until<T>(what: string, look: () => T | undefined | null | false, withinMs = 30_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = look();
        if (found === undefined || found === null || found === false) return;
        end();
        resolve(found);
      };
      const late = setTimeout(() => {
        end();
        reject(
          new Error(
            `waited in vain for ${what}; told: ${this.told.map((one) => `${one.name} ${brief(one.detail)}`).join('\n')}`,
          ),
        );
      }, withinMs);
      const end = (): void => {
        clearTimeout(late);
        this.#waiting.delete(check);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** The next event of this name from now on, or the first one that fits. */
  next<Name extends keyof ClientEvents>(
    name: Name,
    fits: (detail: ClientEvents[Name]) => boolean = () => true,
  ): Promise<ClientEvents[Name]> {
    const from = this.told.length;
    return this.until(name, () => {
      const found = this.told.slice(from).find((one) => one.name === name && fits(one.detail as ClientEvents[Name]));
      return found && ([found.detail] as [ClientEvents[Name]]);
    }).then(([detail]) => detail);
  }

  /** Texts of a session's view. */
  texts(sessionId?: string): string[] {
    return this.client.session(sessionId).messages.map(({ content }) => content);
  }
}

function brief(detail: unknown): string {
  return (JSON.stringify(detail) ?? '').slice(0, 200);
}

/** A clock that runs so many times as fast: what takes the SDK half a minute is over in a few seconds. */
export function fastClock(times: number): Clock {
  const start = Date.now();
  const began = performance.now();
  return {
    now: () => start + (performance.now() - began) * times,
    after(ms, run) {
      const timer = setTimeout(run, ms / times);
      return () => clearTimeout(timer);
    },
  };
}
