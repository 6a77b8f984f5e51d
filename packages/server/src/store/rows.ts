import type { Operation } from '../domain/command.ts';
import type { ChatMessage, SessionEvent, SessionState } from '../domain/session.ts';
import { type Dialect, fromTime, type Row, toTime, type Value } from './dialect.ts';

/** Between rows and the rules' nouns, both ways. Every column of a hot table is named here and nowhere else. */

/** Without `updated_at`, which the database keeps by its own clock. */
export const sessionColumns = [
  'session_id',
  'user_id',
  'admin_id',
  'status',
  'created_at',
  'last_message_time',
  'message_count',
  'user_nickname',
  'user_avatar',
  'last_admin_id',
  'last_message_id',
  'last_seq',
  'waiting_since',
  'closed_at',
  'first_user_message_at',
  'first_reply_at',
  'rating_score',
  'rating_comment',
  'rated_at',
] as const;

/** What never changes after a session was opened. */
const FIXED = new Set<string>(['session_id', 'user_id', 'created_at']);
export const changingSessionColumns: readonly string[] = sessionColumns.filter((c) => !FIXED.has(c));

/** What most messages change of their session. A few columns are much cheaper than all, for us and for the database. */
export const grownSessionColumns = [
  'session_id',
  'user_id',
  'last_message_time',
  'message_count',
  'last_message_id',
  'last_seq',
] as const;
export const growingSessionColumns: readonly string[] = grownSessionColumns.filter((c) => !FIXED.has(c));

/** Whether nothing changed of a session but what `grownSessionColumns` hold. */
export function onlyGrew(before: SessionState, after: SessionState): boolean {
  return (
    before.status === after.status &&
    before.adminId === after.adminId &&
    before.lastAdminId === after.lastAdminId &&
    before.nickname === after.nickname &&
    before.avatar === after.avatar &&
    before.waitingSince === after.waitingSince &&
    before.closedAt === after.closedAt &&
    before.firstUserMessageAt === after.firstUserMessageAt &&
    before.firstReplyAt === after.firstReplyAt &&
    before.ratedAt === after.ratedAt &&
    before.ratingScore === after.ratingScore &&
    before.ratingComment === after.ratingComment
  );
}

export function grownSessionRow(session: SessionState): Value[] {
  return [
    session.sessionId,
    session.userId,
    timeOrNull(session.lastMessageTime),
    session.messageCount,
    session.lastMessageId,
    session.lastSeq,
  ];
}

/** What a message's fate depends on, and who hears of it, besides what never changes. */
const deciding = [
  'status',
  'admin_id',
  'user_nickname',
  'user_avatar',
  'first_user_message_at',
  'first_reply_at',
  'last_message_time',
  'message_count',
  'last_seq',
] as const;

/** Writes what a session has grown by, if what was decided by is still so, to the byte. Values: `growthFrom`. */
export function growIfSame({ same, now }: Dialect): string {
  const set = growingSessionColumns.map((c) => `${c}=?`).join(',');
  const unchanged = same(deciding, ['user_nickname', 'user_avatar']);
  return `UPDATE chat_sessions SET ${set},updated_at=${now()} WHERE session_id=? AND ${unchanged}`;
}

export function growthFrom(before: SessionState, after: SessionState): Value[] {
  const [, , ...grown] = grownSessionRow(after);
  return [
    ...grown,
    before.sessionId,
    before.status,
    before.adminId,
    before.nickname,
    before.avatar,
    timeOrNull(before.firstUserMessageAt),
    timeOrNull(before.firstReplyAt),
    timeOrNull(before.lastMessageTime),
    before.messageCount,
    before.lastSeq,
  ];
}

export function sessionRow(session: SessionState): Value[] {
  return [
    session.sessionId,
    session.userId,
    session.adminId,
    session.status,
    toTime(session.createdAt),
    timeOrNull(session.lastMessageTime),
    session.messageCount,
    session.nickname,
    session.avatar,
    session.lastAdminId,
    session.lastMessageId,
    session.lastSeq,
    timeOrNull(session.waitingSince),
    timeOrNull(session.closedAt),
    timeOrNull(session.firstUserMessageAt),
    timeOrNull(session.firstReplyAt),
    session.ratingScore,
    session.ratingComment,
    timeOrNull(session.ratedAt),
  ];
}

export function sessionState(row: Row): SessionState {
  return {
    sessionId: row['session_id'] as string,
    userId: row['user_id'] as number,
    nickname: row['user_nickname'] as string,
    avatar: row['user_avatar'] as string,
    adminId: row['admin_id'] as number | null,
    lastAdminId: row['last_admin_id'] as number | null,
    status: row['status'] as SessionState['status'],
    createdAt: fromTime(row['created_at']) ?? 0,
    waitingSince: fromTime(row['waiting_since']),
    closedAt: fromTime(row['closed_at']),
    lastMessageTime: fromTime(row['last_message_time']),
    lastMessageId: row['last_message_id'] as string | null,
    messageCount: row['message_count'] as number,
    lastSeq: row['last_seq'] as number,
    firstUserMessageAt: fromTime(row['first_user_message_at']),
    firstReplyAt: fromTime(row['first_reply_at']),
    ratingScore: row['rating_score'] as number | null,
    ratingComment: (row['rating_comment'] as string | null) ?? '',
    ratedAt: fromTime(row['rated_at']),
  };
}

export const messageColumns = [
  'message_id',
  'session_id',
  'sender_id',
  'sender_type',
  'content',
  'message_type',
  'status',
  'created_at',
  'attachments',
  'seq',
  'client_message_id',
] as const;

/** What most messages are: a text with nothing attached, just sent. What the table fills in by itself need not be parsed. */
export function isPlain({ messageType, status, attachments }: ChatMessage): boolean {
  return messageType === 'text' && status === 'sent' && attachments.length === 0;
}

const FILLED_IN = new Set<string>(['message_type', 'status', 'attachments']);
export const plainMessageColumns: readonly string[] = messageColumns.filter((c) => !FILLED_IN.has(c));

export function plainMessageRow(message: ChatMessage): Value[] {
  return [
    message.messageId,
    message.sessionId,
    message.senderId,
    message.senderType,
    message.content,
    toTime(message.createdAt),
    message.seq,
    message.clientMessageId,
  ];
}

export function messageRow(message: ChatMessage): Value[] {
  return [
    message.messageId,
    message.sessionId,
    message.senderId,
    message.senderType,
    message.content,
    message.messageType,
    message.status,
    toTime(message.createdAt),
    message.attachments.length === 0 ? null : JSON.stringify(message.attachments),
    message.seq,
    message.clientMessageId,
  ];
}

export function chatMessage(row: Row): ChatMessage {
  return {
    messageId: row['message_id'] as string,
    sessionId: row['session_id'] as string,
    seq: row['seq'] as number,
    senderId: row['sender_id'] as number,
    senderType: row['sender_type'] as ChatMessage['senderType'],
    content: row['content'] as string,
    messageType: row['message_type'] as ChatMessage['messageType'],
    status: row['status'] as ChatMessage['status'],
    createdAt: fromTime(row['created_at']) ?? 0,
    attachments: attachments(row['attachments'] as string | null),
    clientMessageId: row['client_message_id'] as string | null,
  };
}

/** Rows from before us may hold any JSON here: one thing is a list of one, what cannot be read is none. */
function attachments(json: string | null): unknown[] {
  if (json === null) return [];
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : value === null ? [] : [value];
  } catch {
    return [];
  }
}

export const eventColumns = ['session_id', 'seq', 'kind', 'actor_type', 'actor_id', 'data', 'created_at'] as const;

export function eventRow(sessionId: string, event: Exclude<SessionEvent, { kind: 'message' }>): Value[] {
  const { kind, seq, at, by, ...data } = event;
  return [sessionId, seq, kind, by.type, by.id, JSON.stringify(data), toTime(at)];
}

export function sessionEvent(row: Row): SessionEvent {
  return {
    ...(JSON.parse(row['data'] as string) as object),
    kind: row['kind'],
    seq: row['seq'],
    at: fromTime(row['created_at']) ?? 0,
    by: { type: row['actor_type'], id: row['actor_id'] },
  } as SessionEvent;
}

export const operationColumns = ['admin_id', 'action', 'session_id', 'outcome', 'address', 'created_at'] as const;

export function operationRow(operation: Operation): Value[] {
  const { adminId, action, sessionId, outcome, address, at } = operation;
  return [adminId, action, sessionId, outcome, address, toTime(at)];
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : toTime(ms);
}
