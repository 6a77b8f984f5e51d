/** A running server as its callers know it: an address and the secret that tokens are signed with. Nothing else. */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Peer } from './peer.ts';
import type { PeerOptions } from './peer.ts';
import { Rest } from './rest.ts';

export interface Target {
  readonly url: string;
  readonly jwtSecret: string;
}

export type Claims = Readonly<Record<string, unknown>>;

/** Account ids that nobody has used: what one test did to an account must not decide what the next one sees. */
let lastId = 1_000;
export function newId(): number {
  return ++lastId;
}

/** Cleans up between tests; no test uses it. */
const JANITOR = 2_000_000_000;

export class House {
  readonly #target: () => Target;
  readonly #peers = new Set<Peer>();

  constructor(target: () => Target) {
    this.#target = target;
  }

  get url(): string {
    return this.#target().url;
  }

  /** A token that is good for an hour unless the claims say otherwise. */
  token(claims: Claims): string {
    return signHs256(this.#target().jwtSecret, { exp: Math.floor(Date.now() / 1000) + 3600, ...claims });
  }

  userToken(id: number): string {
    return this.token({ userId: id, roles: ['user'], nickname: `客户${id}`, avatar: `https://example.com/${id}.png` });
  }

  adminToken(id: number): string {
    return this.token({ userId: id, roles: ['admin'], nickname: `客服${id}` });
  }

  /** A connection of a user. */
  user(id: number, options: PeerOptions = {}): Promise<Peer> {
    return this.connect(this.userToken(id), options);
  }

  /** A connection of an admin, by the URL that existing front ends use. */
  admin(id: number, options: PeerOptions = {}): Promise<Peer> {
    return this.connect(this.adminToken(id), { ...options, query: { type: 'admin', role: 'admin', ...options.query } });
  }

  async connect(token: string, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.open(this.url, token, options);
    this.#peers.add(peer);
    return peer;
  }

  adminRest(id: number, prefix = '/api/admin/chat'): Rest {
    return this.rest(prefix, this.adminToken(id));
  }

  userRest(id: number, prefix = '/api/chat'): Rest {
    return this.rest(prefix, this.userToken(id));
  }

  /** A caller with any token, or with none. */
  rest(prefix: string, token: string | null): Rest {
    return new Rest(this.url + prefix, token === null ? {} : { Authorization: `Bearer ${token}` });
  }

  /** Ends all connections that were made here. */
  async leave(): Promise<void> {
    const peers = [...this.#peers];
    this.#peers.clear();
    await Promise.all(peers.map((peer) => peer.vanish()));
  }

  /** Ends all connections and closes all sessions: the next test finds nobody at work and nobody waiting. */
  async calm(): Promise<void> {
    await this.leave();
    const janitor = this.adminRest(JANITOR);
    await eventually(async () => (await janitor.stats()).onlineAdmins === 0, 'all admins to be gone');
    for (const status of ['waiting', 'active']) {
      for (;;) {
        const { sessions } = await janitor.sessions(`?status=${status}&pageSize=100`);
        if (sessions.length === 0) break;
        await Promise.all(sessions.map(({ sessionId }) => janitor.request('POST', `/sessions/${sessionId}/close`)));
      }
    }
  }
}

/** A compact HS256 JWT. */
export function signHs256(secret: string, claims: Claims, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Asks until the answer is yes: for what the server does by itself and tells nobody. */
export async function eventually(
  ask: () => Promise<boolean> | boolean,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await sleep(10);
  }
}
