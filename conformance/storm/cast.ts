import type { Switchboard } from '../../testing/switchboard.ts';
import type { Client } from './client.ts';
import { Follower } from './follower.ts';
import type { History } from './history.ts';
import { Sender } from './sender.ts';
import { Watcher } from './watcher.ts';

/** Who takes part in a storm. */
export interface Cast {
  /** Users, each with a session of their own. They speak the plain contract. */
  readonly users: readonly Sender[];
  /** An admin who replies in all sessions. */
  readonly replier: Sender;
  /** Users and replier. */
  readonly senders: readonly Sender[];
  /** An admin with the plain contract. */
  readonly watcher: Watcher;
  /** Complete observers: two admins who follow everything, and a second tab of each of some users. */
  readonly followers: readonly Follower[];
}

export interface CastSize {
  readonly senders?: number;
  readonly window?: number;
}

const TABS = 2;
const REPLIES_IN_FLIGHT = 4;
const DAY_S = 86_400;

/** All but the senders have been started. */
export function gather(server: Switchboard, history: History, { senders: count = 8, window = 8 }: CastSize): Cast {
  const base = server.wsUrl;
  // A day: a storm is longer than the usual hour of a token, and may set the server's clock forward.
  const exp = Math.floor(Date.now() / 1000) + DAY_S;
  const user = (userId: number) => (): string => `${base}/chat?token=${server.token({ exp, userId })}`;
  const admin = (userId: number) => (): string =>
    `${base}/chat?token=${server.token({ exp, userId, roles: ['admin'] })}&type=admin`;
  const sessions = Array.from({ length: count }, (_, i) => `storm-${i}`);
  const users = sessions.map((id, i) => new Sender(user(100 + i), { name: id, sessionIds: [id], window }, history));
  const replier = new Sender(admin(9), { name: 'replier', sessionIds: sessions, window: REPLIES_IN_FLIGHT }, history);
  const tabs = sessions.slice(0, TABS).map((id, i) => new Follower(user(100 + i), `${id} tab`, [id], history));
  const admins = [6, 8].map((id) => new Follower(admin(id), `admin ${id}`, sessions, history));
  const watcher = new Watcher(admin(7), 'admin 7', history).start();
  const followers = [...admins, ...tabs].map((follower) => follower.start());
  return { users, replier, senders: [...users, replier], watcher, followers };
}

export function everybody({ senders, watcher, followers }: Cast): Client[] {
  return [...senders, watcher, ...followers];
}
