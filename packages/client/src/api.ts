import type { Attachment, SenderType, SentMessageType, SessionStatus } from '@switchboard/protocol';
import type { Phase } from './connection.ts';
import type { Clock, KeyValueStorage, SocketConstructor } from './host.ts';
import type { Inbox, InboxEntry, InboxOptions } from './inbox.ts';
import type { Entry } from './outbox.ts';
import type { ChatMessage, Receipt, SessionView, ViewEvent } from './session-view.ts';

/** What a program that uses the SDK sees of it. */

/** Which server, who we are, and what stands in for what the platform has. */
export interface ClientOptions {
  /** Of the server: `https://chat.example.com`, or `wss://…/chat`; in a page it may be relative. */
  readonly url: string;
  readonly type: SenderType;
  /** Gives a valid token. Asked for every connection, and for a new token before the one in use runs out. */
  readonly auth: () => string | Promise<string>;
  /**
   * Whose messages these are, such as the user's id. With it unsent messages outlive the page from the first letter on;
   * without it they do from the moment when the server has said who we are.
   */
  readonly account?: string | number;
  /** Where unsent messages are kept. Default: localStorage in a page, memory elsewhere. Null: memory. */
  readonly storage?: KeyValueStorage | null;
  /** Default: the platform's. Node 20 has none; that of the package `ws` will do. */
  readonly WebSocket?: SocketConstructor;
  readonly clock?: Clock;
  /** For jitter alone: from 0 to 1, 1 excluded. */
  readonly random?: () => number;
  /** False: nothing is said to be delivered unless by `markDelivered`. Default true: whatever is applied has been. */
  readonly receipts?: boolean;
  /** How many events back the view of a session begins that came up by itself. Default: all for a user, 100 for an admin. */
  readonly history?: number;
  /** Milliseconds after which an unsent message is given up. Default: a day. */
  readonly expireAfterMs?: number;
}

/** A message that is to be sent. */
export interface NewMessage {
  readonly content: string;
  /** A user's may be left out: the open session, or a new one. */
  readonly sessionId?: string | null;
  readonly messageType?: SentMessageType;
  readonly attachments?: readonly Attachment[];
  /** 1–64 of `[A-Za-z0-9_-]`. Default: 128 random bits. */
  readonly clientMessageId?: string;
}

/** A message is stored: it will not be lost, and is where `seq` says in the session's log. */
export interface Ack {
  readonly sessionId: string;
  readonly messageId: string;
  readonly clientMessageId: string;
  readonly seq: number;
  /** When it was stored; ISO 8601. */
  readonly timestamp: string;
}

/** What promises reject with, and what `failed` and `error` tell. */
export class SwitchboardError extends Error {
  /**
   * An error code of the server, or one of ours: EXPIRED, DISCARDED, FRAME_TOO_LARGE (of a message), LEFT (of a session),
   * CLOSED, ACCOUNT_CHANGED, AUTH, SOCKET, STORAGE (of the connection and what it stands on).
   */
  readonly code: string;

  constructor(code: string, message: string = code, cause?: unknown) {
    super(message);
    this.name = 'SwitchboardError';
    this.code = code;
    if (cause !== undefined) this.cause = cause;
  }
}

/** What `on` can be asked for, and what is told then. */
export interface ClientEvents {
  /** Where the connection is in its life. `code`: what the latest socket was closed with, null while there is none. */
  state: { readonly state: Phase; readonly code: number | null };
  /**
   * A message of a followed session, in the order of its log. `live`: told for the first time; otherwise it was there
   * before we looked. `own`: this account's, from whichever page.
   */
  message: { readonly sessionId: string; readonly message: ChatMessage; readonly own: boolean; readonly live: boolean };
  /** Any event of a followed session's log, in its order. */
  event: { readonly sessionId: string; readonly event: ViewEvent; readonly live: boolean };
  /** A followed session's status or admin changed. */
  status: {
    readonly sessionId: string;
    readonly status: SessionStatus;
    readonly adminId: number | null;
    readonly live: boolean;
  };
  /** A reader has got further. */
  receipt: Receipt & { readonly sessionId: string };
  /** One of our messages is stored; also one that an earlier page wrote. */
  sent: Ack;
  /** One of our messages will not be stored. */
  failed: { readonly clientMessageId: string; readonly sessionId: string | null; readonly error: SwitchboardError };
  /** A view has something new to show. */
  change: SessionView;
  /** A view begins anew, and its log is read again. */
  reset: SessionView;
  /** An entry of the inbox changed; `closed` when it left. */
  inbox: InboxEntry;
  /** The server no longer takes the token. `auth` is asked again, and what it gave before is not shown twice. */
  unauthorized: undefined;
  /** Something went wrong that no promise tells. Nothing has to be done. */
  error: SwitchboardError;
}

/** One account's connection to the chat, and all that it knows. Made by `createClient`. */
export interface Client {
  /** Where the connection is in its life. */
  readonly state: Phase;
  /** Messages that are not acknowledged yet, oldest first. */
  readonly unsent: readonly Entry[];
  /** Listens. @returns what ends it */
  on<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void;
  /** Connects, and stays connected until `close`. Resolves when it first is; rejects if it is closed before. */
  connect(): Promise<void>;
  /** Ends the connection. What is unsent is kept for the next `connect`, or for the next page. */
  close(): void;
  /**
   * Sends a message, now or as soon as there is a connection, as often as it takes; it is stored once. Resolves when it
   * is; rejects with a SwitchboardError when it will not be. Nobody has to wait: `sent` and `failed` tell the same.
   */
  send(message: NewMessage): Promise<Ack>;
  /** Takes back a message that is not acknowledged (it may have been stored all the same), or hides one that failed. */
  discard(clientMessageId: string): void;
  /**
   * What is known of a session, followed or not. Without an id: a user's present conversation, which the server may not
   * have heard of yet. Views are live: `change` tells when to look again.
   */
  session(sessionId?: string | null): SessionView;
  /** Follows a session from a place in its log on. Resolves when everything up to now is there. */
  open(sessionId: string, options?: { readonly afterSeq?: number }): Promise<SessionView>;
  /** Follows a session no longer. Its view stays as it is. */
  leave(sessionId: string): void;
  /** Says that everything up to a place has reached us; at most once a second. Default: all that has been applied. */
  markDelivered(sessionId: string, upToSeq?: number): void;
  /** Says that everything up to a place has been read; at most once a second. Default: all that has been applied. */
  markRead(sessionId: string, upToSeq?: number): void;
  /** For admins: the open sessions, kept up from now on. */
  inbox(options?: InboxOptions): Inbox;
}
