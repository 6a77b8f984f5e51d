import type { Command, Operation, Outcome } from './command.ts';
import type { Receipt, ReceiptResult } from './receipts.ts';
import type { Actor, ChatMessage, Identity, SessionEvent, SessionState } from './session.ts';

/** What the rules need from the world. Each port has two real implementations, or one and a clock of the tests. */

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
}

/** How an appended command ended: in the log, or refused with an error that says why. */
export type Appended =
  | { readonly outcome: Outcome; readonly error?: never }
  | { readonly error: unknown; readonly outcome?: never };

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
}

/** A session as lists show it: its state, and its newest message. */
export interface SessionSummary {
  readonly session: SessionState;
  readonly lastMessage: ChatMessage | null;
}

/** A place in the list of sessions: behind this session, as it was when the list was read. */
export interface SessionPlace {
  readonly lastMessageTime: number | null;
  readonly sessionId: string;
}

/** Which sessions, newest message first: a page, or those behind a place in the list. */
export type SessionRange = { readonly status: SessionState['status'] | 'all'; readonly pageSize: number } & (
  | { readonly page: number }
  | { readonly after: SessionPlace }
);

/** Which messages of a session: a page counted from the newest, or those before or after a place in the log. */
export type MessageRange =
  | { readonly page: number; readonly pageSize: number }
  | { readonly beforeSeq: number; readonly pageSize: number }
  | { readonly afterSeq: number; readonly pageSize: number };

/** A place in a session's log: everything up to `afterSeq` is known already. */
export interface LogPlace {
  readonly sessionId: string;
  readonly afterSeq: number;
}

/** A session, and the next stretch of its log after a place. */
export interface CaughtUp {
  readonly session: SessionState;
  readonly events: readonly SessionEvent[];
  readonly receipts: readonly Receipt[];
}

/** What happened between two moments (milliseconds UTC, `from` included, `to` not). */
export interface DayFigures {
  readonly created: number;
  readonly closed: number;
  readonly answered: number;
  /** Sum over the answered sessions, milliseconds. */
  readonly responseMs: number;
  readonly rated: number;
  readonly ratingSum: number;
  readonly messages: number;
}

/** A user's newest session that is not closed, and whether there are others, open or not. */
export interface OpenSession {
  readonly sessionId: string | null;
  readonly others: boolean;
}

/** What tells a repeat of a user's message when its session is not named. */
export interface RepeatKey {
  readonly userId: number;
  readonly clientMessageId: string;
}

export interface Store {
  /**
   * Appends to a session's log. Joins the commit that is next to go; `settle` is called once, after COMMIT or
   * refusal, in commit order for one session, and never before this call returns.
   */
  append(command: Command, settle: (appended: Appended) => void): void;

  session(sessionId: string): Promise<SessionSummary | null>;
  sessions(range: SessionRange): Promise<Page<SessionSummary>>;
  /** Messages of a session, oldest first. Pages are those of the session as it is given: what came since is not in them. */
  messages(
    session: Pick<SessionState, 'sessionId' | 'messageCount' | 'lastSeq'>,
    range: MessageRange,
  ): Promise<readonly ChatMessage[]>;
  /** The session's events with `afterSeq < seq`, in order, at most `limit`. */
  log(sessionId: string, afterSeq: number, limit: number): Promise<readonly SessionEvent[]>;

  /** Many sessions with the next stretch of their logs, in few queries; null where no session has the id. */
  logs(places: readonly LogPlace[]): Promise<readonly (CaughtUp | null)[]>;
  /** The newest seq of each session that exists. */
  heads(sessionIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Sessions that are open, or in which something was said or that were closed or rated since a moment. */
  inbox(since: number | null): Promise<readonly SessionState[]>;
  /** Sessions changed within the last `ms`, by the store's clock. */
  changedWithin(ms: number): Promise<readonly SessionState[]>;
  /** Moves readers' positions on, and their messages' status with them. */
  storeReceipts(receipts: readonly Receipt[]): Promise<readonly ReceiptResult[]>;

  /** Where each user's messages go that name no session; answers in the order of the questions. */
  openSessions(userIds: readonly number[]): Promise<readonly OpenSession[]>;
  /** The message that is stored under each of these keys, in whatever session, or null. */
  repeatedMessages(keys: readonly RepeatKey[]): Promise<readonly (ChatMessage | null)[]>;
  /** The user's newest session that is not closed. */
  openSessionOf(userId: number): Promise<SessionSummary | null>;
  /**
   * The id under which this user's next session opens: `proposed`, or what a concurrent caller on any node proposed
   * first while that id still leads to no closed session. So first messages sent at once land in one session.
   */
  reserveSession(userId: number, proposed: string): Promise<string>;

  /** Ids of waiting sessions, the longest wait first. */
  waiting(limit: number): Promise<readonly string[]>;
  activeSessionsOf(adminId: number): Promise<readonly string[]>;
  statusCounts(): Promise<{ waiting: number; active: number; closed: number }>;
  /** @param from and `to` are whole quarters of an hour */
  dayFigures(from: number, to: number): Promise<DayFigures>;

  recordOperations(operations: readonly Operation[]): Promise<void>;
  operations(page: number, pageSize: number): Promise<Page<Operation & { readonly id: number }>>;

  readonly roster: Roster;

  /** Throws when the store cannot be reached or its schema is not this code's. */
  ready(): Promise<void>;
  /** Finishes what is in flight, then lets go of the database. */
  close(): Promise<void>;
}

/**
 * Which admins are connected, kept in the store as leases so that any node may assign to them and no node's death
 * leaves them online for ever. Lease and deadline times are the store's clock, not a node's.
 */
export interface Roster {
  /** The admin has a connection on this node: renews the lease and cancels a running grace. */
  online(admin: Identity, nodeId: string): Promise<void>;
  /** The admin's last connection on this node is gone: if none is left on any node, the grace starts. */
  offline(adminId: number, nodeId: string, graceMs: number): Promise<void>;
  /** Renews the leases of all admins who are connected to this node. */
  renew(adminIds: readonly number[], nodeId: string): Promise<void>;
  /** Ends leases that ran out, or, for a node that is alone, all but its own; their admins' grace starts. */
  expire(graceMs: number, aloneAs: string | null): Promise<void>;
  /** Admins whose grace is over and who are still away. */
  overdue(): Promise<readonly number[]>;
  /** The grace of this admin is dealt with, unless they came back meanwhile. */
  settled(adminId: number): Promise<void>;
  onlineAdmins(): Promise<readonly number[]>;
}

/** What one node tells the others of a session: everything needed to deliver, nothing that correctness rests on. */
export interface Hint {
  readonly sessionId: string;
  readonly userId: number;
  readonly adminId: number | null;
  readonly status: SessionState['status'];
  readonly user: Identity;
  /** In order of seq, without holes. */
  readonly events: readonly SessionEvent[];
  /** The connection that caused it, on whatever node: it has its ack and needs no copy. */
  readonly origin: string | null;
  /** A reader's new positions. Not part of the log: comes without events. */
  readonly receipt?: Receipt & { readonly kind: 'delivered' | 'read'; readonly at: number };
}

/** Carries hints between nodes. May lose, double or delay them; must not block and must not throw. */
export interface Bus {
  publish(hint: Hint): void;
  /** Called for every hint, this node's own included, synchronously for those. */
  subscribe(deliver: (hint: Hint) => void): void;
  /** Says that users came to or left this node. */
  announce(userIds: readonly number[], online: boolean): void;
  /** Which of these users have a connection on another live node. */
  onlineElsewhere(userIds: readonly number[]): Promise<ReadonlySet<number>>;
  /** True when other nodes may exist. */
  readonly shared: boolean;
  close(): Promise<void>;
}

/** Who is connected to this node. */
export interface Presence {
  isOnline(actor: Actor): boolean;
}
