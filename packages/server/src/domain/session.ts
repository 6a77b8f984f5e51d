import type { MessageType, SenderType, SessionStatus } from '@switchboard/protocol';

/** A session's state and the events of its log: the nouns that every rule speaks of. Times are milliseconds UTC. */

/** Who does something. `system` is the server itself: assignment, grace. */
export type Actor = { readonly type: SenderType; readonly id: number };
export const SYSTEM: { readonly type: 'system'; readonly id: 0 } = { type: 'system', id: 0 };
export type Cause = Actor | typeof SYSTEM;

/** An account as its token describes it. Empty strings where the token says nothing. */
export interface Identity {
  readonly id: number;
  readonly nickname: string;
  readonly avatar: string;
}

export interface SessionState {
  readonly sessionId: string;
  readonly userId: number;
  readonly nickname: string;
  readonly avatar: string;
  readonly adminId: number | null;
  /** Who had it before the current assignee, or before it was closed: preferred when it is assigned again. */
  readonly lastAdminId: number | null;
  readonly status: SessionStatus;
  readonly createdAt: number;
  readonly waitingSince: number | null;
  readonly closedAt: number | null;
  readonly lastMessageTime: number | null;
  readonly lastMessageId: string | null;
  readonly messageCount: number;
  /** The newest event's place in the log; 0 when nothing has happened. */
  readonly lastSeq: number;
  readonly firstUserMessageAt: number | null;
  readonly firstReplyAt: number | null;
  readonly ratingScore: number | null;
  readonly ratingComment: string;
  readonly ratedAt: number | null;
}

export interface ChatMessage {
  readonly messageId: string;
  readonly sessionId: string;
  readonly seq: number;
  readonly senderId: number;
  readonly senderType: SenderType;
  readonly content: string;
  readonly messageType: MessageType;
  readonly status: 'sending' | 'sent' | 'delivered' | 'read' | 'failed';
  readonly createdAt: number;
  readonly attachments: readonly unknown[];
  readonly clientMessageId: string | null;
}

/** Why a status event happened. */
export type StatusReason = 'assigned' | 'claimed' | 'transferred' | 'admin_offline' | 'closed' | 'reopened';

export interface MessageEvent {
  readonly kind: 'message';
  readonly seq: number;
  readonly at: number;
  readonly message: ChatMessage;
}
export interface StatusEvent {
  readonly kind: 'status';
  readonly seq: number;
  readonly at: number;
  readonly by: Cause;
  readonly reason: StatusReason;
  readonly status: SessionStatus;
  readonly adminId: number | null;
}
interface RatingEvent {
  readonly kind: 'rating';
  readonly seq: number;
  readonly at: number;
  readonly by: Cause;
  readonly score: number;
  readonly comment: string;
}
export type SessionEvent = MessageEvent | StatusEvent | RatingEvent;
