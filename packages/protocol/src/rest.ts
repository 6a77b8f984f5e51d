import Type from 'typebox';
import {
  AccountId,
  Attachment,
  ClientMessageId,
  Message,
  MessageId,
  Pagination,
  SentMessageType,
  Session,
  SessionId,
  SessionPagination,
  Time,
} from './entities.ts';
import { limits, SESSION_CURSOR_PATTERN } from './limits.ts';

/** Schemas of the REST routes: what comes in and what goes out, one block a route. */

const page = Type.Optional(Type.Integer({ minimum: 1, maximum: limits.page, default: 1 }));
const pageSize = (usual: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: limits.pageSize, default: usual }));
const seqCursor = Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }));

/** A successful answer around its data. */
export const success = <T extends Type.TSchema>(data: T) => Type.Object({ success: Type.Literal(true), data });

export const Failure = Type.Object({
  success: Type.Literal(false),
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    retryable: Type.Boolean(),
    details: Type.Optional(Type.Object({ field: Type.String(), fault: Type.String() })),
    retryAfterMs: Type.Optional(Type.Integer()),
  }),
});

export const SessionParams = Type.Object({ sessionId: SessionId });

/** `pending` is what existing clients send for `waiting`. */
export const ListSessionsQuery = Type.Object({
  status: Type.Optional(
    Type.Union([
      Type.Literal('all'),
      Type.Literal('active'),
      Type.Literal('waiting'),
      Type.Literal('pending'),
      Type.Literal('closed'),
    ]),
  ),
  page,
  pageSize: pageSize(10),
  cursor: Type.Optional(
    Type.String({
      pattern: SESSION_CURSOR_PATTERN,
      description: '`nextCursor` of the answer before; instead of `page`',
    }),
  ),
});
export type ListSessionsQuery = Type.Static<typeof ListSessionsQuery>;
export const SessionList = Type.Object({
  sessions: Type.Array(Session),
  totalCount: Type.Integer(),
  pagination: SessionPagination,
});

export const SessionResult = Type.Object({ session: Session });
export const CurrentSession = Type.Object({ session: Type.Union([Session, Type.Null()]) });

export const MessagesQuery = Type.Object({ page, pageSize: pageSize(20), beforeSeq: seqCursor, afterSeq: seqCursor });
export type MessagesQuery = Type.Static<typeof MessagesQuery>;
export const MessageList = Type.Object({
  messages: Type.Array(Message),
  totalCount: Type.Integer(),
  pagination: Pagination,
});

export const SendMessageBody = Type.Object({
  content: Type.String(),
  messageType: Type.Optional(SentMessageType),
  adminId: Type.Optional(AccountId),
  clientMessageId: Type.Optional(ClientMessageId),
  attachments: Type.Optional(Type.Array(Attachment, { maxItems: limits.attachments })),
});
export type SendMessageBody = Type.Static<typeof SendMessageBody>;
export const SentMessage = Type.Object({
  messageId: MessageId,
  status: Type.Literal('sent'),
  timestamp: Time,
  seq: Type.Integer(),
  duplicate: Type.Optional(Type.Boolean()),
});

/** For `assign` and `transfer`: the admin who gets the session. */
export const AssigneeBody = Type.Object({ adminId: AccountId });

export const RatingBody = Type.Object({
  score: Type.Integer({ minimum: 1, maximum: 5 }),
  comment: Type.Optional(Type.String({ maxLength: limits.ratingCommentCharacters })),
});

export const StatsResult = Type.Object({
  stats: Type.Object({
    totalSessions: Type.Integer(),
    completedSessions: Type.Integer(),
    avgResponseTime: Type.String(),
    customerSatisfaction: Type.Number(),
    avgResponseSeconds: Type.Number(),
    ratedSessions: Type.Integer(),
    waitingSessions: Type.Integer(),
    activeSessions: Type.Integer(),
    onlineAdmins: Type.Integer(),
    messagesToday: Type.Integer(),
  }),
});

export const OperationLogsQuery = Type.Object({ page, pageSize: pageSize(20) });
export const OperationLog = Type.Object({
  id: Type.Integer(),
  adminId: Type.Union([Type.Integer(), Type.Null()]),
  action: Type.String(),
  sessionId: Type.Union([Type.String(), Type.Null()]),
  outcome: Type.String({ description: '`ok` or the error code' }),
  address: Type.String(),
  createdAt: Time,
});
export type OperationLog = Type.Static<typeof OperationLog>;
export const OperationLogList = Type.Object({
  logs: Type.Array(OperationLog),
  totalCount: Type.Integer(),
  pagination: Pagination,
});
