import type { FrameMessage, LogEvent, Message, Pagination, Session, UserInfo } from '@switchboard/protocol';
import type { SessionPlace, SessionSummary } from './ports.ts';
import type { ChatMessage, Identity, SessionEvent } from './session.ts';

/** How the rules' nouns look from outside: the shapes of the requirements document, times as ISO 8601 UTC. */

export function iso(ms: number): string {
  // Many messages share a millisecond, and writing a time out costs more than remembering the last.
  if (ms !== writtenMs) {
    written = new Date(ms).toISOString();
    writtenMs = ms;
  }
  return written;
}
let writtenMs = Number.NaN;
let written = '';

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

/** A user's names for display; a user whose token never told a nickname is called by their number. */
export function userInfo(user: Identity): UserInfo {
  return { userId: user.id, nickname: user.nickname || `用户${user.id}`, avatar: user.avatar };
}

export function sessionView({ session, lastMessage }: SessionSummary, isOnline: boolean): Session {
  const { ratingScore, ratingComment, ratedAt } = session;
  return {
    sessionId: session.sessionId,
    userId: session.userId,
    userInfo: userInfo({ id: session.userId, nickname: session.nickname, avatar: session.avatar }),
    adminId: session.adminId,
    status: session.status,
    createdAt: iso(session.createdAt),
    lastMessageTime: isoOrNull(session.lastMessageTime),
    lastMessage: lastMessage && {
      content: lastMessage.content,
      messageType: lastMessage.messageType,
      senderId: lastMessage.senderId,
      senderType: lastMessage.senderType,
      messageId: lastMessage.messageId,
      seq: lastMessage.seq,
    },
    messageCount: session.messageCount,
    isOnline,
    lastSeq: session.lastSeq,
    waitingSince: isoOrNull(session.waitingSince),
    closedAt: isoOrNull(session.closedAt),
    rating:
      ratingScore === null || ratedAt === null
        ? null
        : { score: ratingScore, comment: ratingComment, ratedAt: iso(ratedAt) },
  };
}

export function messageView(message: ChatMessage): Message {
  return {
    messageId: message.messageId,
    sessionId: message.sessionId,
    senderId: message.senderId,
    senderType: message.senderType,
    content: message.content,
    messageType: message.messageType,
    status: message.status,
    createdAt: iso(message.createdAt),
    attachments: [...message.attachments],
    seq: message.seq,
    ...(message.clientMessageId === null ? {} : { clientMessageId: message.clientMessageId }),
  };
}

/** A message as the document's frames carry it: without the session's id, which stands beside it. */
export function frameMessage(message: ChatMessage): FrameMessage {
  return {
    messageId: message.messageId,
    senderId: message.senderId,
    senderType: message.senderType,
    content: message.content,
    messageType: message.messageType,
    createdAt: iso(message.createdAt),
    seq: message.seq,
    status: message.status,
    attachments: [...message.attachments],
    ...(message.clientMessageId === null ? {} : { clientMessageId: message.clientMessageId }),
  };
}

export function pagination(page: number, pageSize: number, total: number): Pagination {
  const totalPages = Math.ceil(total / pageSize);
  return { currentPage: page, totalPages, hasMore: page < totalPages };
}

/** A place in the list of sessions as clients carry it: the time by which the list is ordered, and the id. */
export function cursorAt({ lastMessageTime, sessionId }: SessionPlace): string {
  return `${lastMessageTime ?? ''}.${sessionId}`;
}

/** @param cursor matches `SESSION_CURSOR_PATTERN` */
export function placeAt(cursor: string): SessionPlace {
  const dot = cursor.indexOf('.');
  return { lastMessageTime: dot === 0 ? null : Number(cursor.slice(0, dot)), sessionId: cursor.slice(dot + 1) };
}

/** An event of a session's log as clients read it. */
export function logEvent(event: SessionEvent): LogEvent {
  const { seq } = event;
  const at = iso(event.at);
  switch (event.kind) {
    case 'message':
      return { kind: 'message', seq, at, message: frameMessage(event.message) };
    case 'status':
      return {
        kind: 'status',
        seq,
        at,
        by: event.by,
        reason: event.reason,
        status: event.status,
        adminId: event.adminId,
      };
    case 'rating':
      return { kind: 'rating', seq, at, by: event.by, score: event.score, comment: event.comment };
  }
}
