import type { SentMessageType } from '@switchboard/protocol';
import type { Actor, Cause, ChatMessage, Identity, SessionEvent, SessionState } from './session.ts';

/** What can be asked of a session. The store carries it to the row lock; `decide` rules on it there. */
export type Command = Common &
  (
    | {
        readonly kind: 'message';
        readonly by: Actor;
        readonly messageId: string;
        readonly content: string;
        readonly messageType: SentMessageType;
        readonly attachments: readonly unknown[];
        /** Null: a repeat cannot be told from a new message. */
        readonly clientMessageId: string | null;
      }
    | { readonly kind: 'claim'; readonly by: Actor }
    | { readonly kind: 'assign' | 'transfer'; readonly by: Actor; readonly adminId: number }
    | { readonly kind: 'close' | 'reopen'; readonly by: Actor }
    | { readonly kind: 'rate'; readonly by: Actor; readonly score: number; readonly comment: string }
    /** The admin's grace is over: back to waiting, if the session is still theirs. */
    | { readonly kind: 'release'; readonly by: Cause; readonly adminId: number }
    /** Give a waiting session to whoever is free, if anyone is. */
    | { readonly kind: 'auto_assign'; readonly by: Cause }
  );

interface Common {
  readonly sessionId: string;
  /** Milliseconds UTC. */
  readonly at: number;
  /** The sender's names, kept with the session when the actor is its user. */
  readonly identity: Identity | null;
  /** Written to the operation log in the same transaction as the change. */
  readonly operation: Operation | null;
}

export type MessageCommand = Extract<Command, { kind: 'message' }>;

/** What became of a command. */
export interface Outcome {
  /** The session after it. */
  readonly session: SessionState;
  /** What it added to the log, in order; empty for a repeat and for a command that found nothing to do. */
  readonly events: readonly SessionEvent[];
  /** For a message command: the stored message, the first one if this was a repeat. */
  readonly message: ChatMessage | null;
  readonly duplicate: boolean;
}

/** One row of the operation log. */
export interface Operation {
  /** Null when the caller is not known (no valid token). */
  readonly adminId: number | null;
  /** What was asked for, such as `session.claim`. */
  readonly action: string;
  readonly sessionId: string | null;
  /** `ok`, or the error code. */
  readonly outcome: string;
  /** The caller's network address. */
  readonly address: string;
  /** Milliseconds UTC. */
  readonly at: number;
}
