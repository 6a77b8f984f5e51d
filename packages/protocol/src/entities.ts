import Type from 'typebox';
import { CLIENT_MESSAGE_ID_PATTERN, ID_PATTERN, limits } from './limits.ts';

/** Schemas of the things that both REST and WebSocket speak of. Their TypeScript types carry the same names. */

export const SessionId = Type.String({ pattern: ID_PATTERN, description: 'Public id of a session' });
export const MessageId = Type.String({ description: 'Public id of a message' });
export const ClientMessageId = Type.String({
  pattern: CLIENT_MESSAGE_ID_PATTERN,
  description: "The sender's own id of a message: a repeat with the same id is stored once, for ever",
});
export const AccountId = Type.Integer({ minimum: 1, maximum: limits.id });
export const Seq = Type.Integer({ minimum: 1, description: "Place in the session's log: 1, 2, 3 … without holes" });
export const Time = Type.String({ format: 'date-time', description: 'ISO 8601, UTC, ending in Z' });

export const SenderType = Type.Union([Type.Literal('user'), Type.Literal('admin')]);
export type SenderType = Type.Static<typeof SenderType>;

export const SessionStatus = Type.Union([Type.Literal('waiting'), Type.Literal('active'), Type.Literal('closed')]);
export type SessionStatus = Type.Static<typeof SessionStatus>;

export const MessageType = Type.Union([
  Type.Literal('text'),
  Type.Literal('image'),
  Type.Literal('file'),
  Type.Literal('system'),
]);
export type MessageType = Type.Static<typeof MessageType>;

/** What a client may send: `system` is the server's alone. */
export const SentMessageType = Type.Union([Type.Literal('text'), Type.Literal('image'), Type.Literal('file')]);
export type SentMessageType = Type.Static<typeof SentMessageType>;

export const MessageStatus = Type.Union([
  Type.Literal('sending'),
  Type.Literal('sent'),
  Type.Literal('delivered'),
  Type.Literal('read'),
  Type.Literal('failed'),
]);
export type MessageStatus = Type.Static<typeof MessageStatus>;

export const Attachment = Type.Object(
  {
    url: Type.Optional(Type.String({ minLength: 1, maxLength: 2_000 })),
    attachmentId: Type.Optional(Type.String({ pattern: ID_PATTERN })),
    name: Type.Optional(Type.String({ maxLength: 255 })),
    mimeType: Type.Optional(Type.String({ maxLength: 127 })),
    size: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    width: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    height: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
  },
  { additionalProperties: false },
);
export type Attachment = Type.Static<typeof Attachment>;

export const UserInfo = Type.Object({
  userId: AccountId,
  nickname: Type.String(),
  avatar: Type.String(),
});
export type UserInfo = Type.Static<typeof UserInfo>;

export const Message = Type.Object({
  messageId: MessageId,
  sessionId: Type.String(),
  senderId: Type.Integer(),
  senderType: SenderType,
  content: Type.String(),
  messageType: MessageType,
  status: MessageStatus,
  createdAt: Time,
  attachments: Type.Array(Type.Unknown()),
  seq: Seq,
  clientMessageId: Type.Optional(Type.String()),
});
export type Message = Type.Static<typeof Message>;

export const LastMessage = Type.Object({
  content: Type.String(),
  messageType: MessageType,
  senderId: Type.Integer(),
  senderType: SenderType,
  messageId: MessageId,
  seq: Seq,
});
export type LastMessage = Type.Static<typeof LastMessage>;

export const Session = Type.Object({
  sessionId: Type.String(),
  userId: Type.Integer(),
  userInfo: UserInfo,
  adminId: Type.Union([Type.Integer(), Type.Null()]),
  status: SessionStatus,
  createdAt: Time,
  lastMessageTime: Type.Union([Time, Type.Null()]),
  lastMessage: Type.Union([LastMessage, Type.Null()]),
  messageCount: Type.Integer({ minimum: 0 }),
  isOnline: Type.Boolean(),
  lastSeq: Type.Integer({ minimum: 0 }),
  waitingSince: Type.Union([Time, Type.Null()]),
  closedAt: Type.Union([Time, Type.Null()]),
  rating: Type.Union([
    Type.Object({ score: Type.Integer({ minimum: 1, maximum: 5 }), comment: Type.String(), ratedAt: Time }),
    Type.Null(),
  ]),
});
export type Session = Type.Static<typeof Session>;

export const Pagination = Type.Object({
  currentPage: Type.Integer({ minimum: 1 }),
  totalPages: Type.Integer({ minimum: 0 }),
  hasMore: Type.Boolean(),
});
export type Pagination = Type.Static<typeof Pagination>;

export const SessionPagination = Type.Object({
  ...Pagination.properties,
  nextCursor: Type.Union([Type.String(), Type.Null()], {
    description: 'For `cursor` of the next request; null at the end of the list',
  }),
});
export type SessionPagination = Type.Static<typeof SessionPagination>;
