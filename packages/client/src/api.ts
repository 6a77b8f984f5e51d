import type { Attachment, SenderType, SentMessageType, SessionStatus } from '@switchboard/protocol';
import type { Phase } from './connection.ts';
import type { Clock, KeyValueStorage, SocketConstructor } from './host.ts';
import type { InboxEntry } from './inbox.ts';
import type { ChatMessage, Receipt, SessionView, ViewEvent } from './session-view.ts';

/** What a program that uses the SDK sees of it, besides the client itself. */

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
  /** The server's `FRAME_NAMES`, if it has any: its name on the wire by the frame's own name. */
  readonly frameNames?: Readonly<Record<string, string>>;
}

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
