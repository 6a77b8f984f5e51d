import Type from 'typebox';
import {
  AccountId,
  Attachment,
  ClientMessageId,
  MessageId,
  MessageStatus,
  MessageType,
  SenderType,
  SentMessageType,
  Seq,
  SessionId,
  SessionStatus,
  Time,
} from './entities.ts';
import { limits } from './limits.ts';

/** Schemas of the WebSocket frames. Client frames are checked against theirs; server frames are typed by them. */

/** Larger integers would come back rounded. */
const SAFE = Number.MAX_SAFE_INTEGER;

export const RequestId = Type.Optional(
  Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Integer({ minimum: -SAFE, maximum: SAFE })], {
    description: "The client's own mark, echoed in the reply",
  }),
);

export const SendMessageFrame = Type.Object({
  type: Type.Literal('send_message'),
  requestId: RequestId,
  data: Type.Object({
    sessionId: Type.Optional(Type.Union([SessionId, Type.Null()])),
    content: Type.String(),
    messageType: Type.Optional(SentMessageType),
    senderInfo: Type.Optional(
      Type.Object({
        userId: Type.Optional(Type.Union([AccountId, Type.String({ pattern: '^[1-9][0-9]{0,9}$' })])),
        userType: Type.Optional(SenderType),
      }),
    ),
    clientMessageId: Type.Optional(ClientMessageId),
    attachments: Type.Optional(Type.Array(Attachment, { maxItems: limits.attachments })),
  }),
});
export type SendMessageFrame = Type.Static<typeof SendMessageFrame>;

/** A chat message as the document's frames carry it, plus `seq`. */
export const FrameMessage = Type.Object({
  messageId: MessageId,
  senderId: Type.Integer(),
  senderType: SenderType,
  content: Type.String(),
  messageType: MessageType,
  createdAt: Time,
  seq: Seq,
  status: MessageStatus,
  attachments: Type.Array(Type.Unknown()),
  clientMessageId: Type.Optional(Type.String()),
});
export type FrameMessage = Type.Static<typeof FrameMessage>;

const messageData = Type.Object({
  sessionId: Type.String(),
  message: FrameMessage,
  userInfo: Type.Object({ userId: Type.Integer(), nickname: Type.String(), avatar: Type.String() }),
});

export const NewUserMessageFrame = Type.Object({ type: Type.Literal('new_user_message'), data: messageData });
export const NewAdminMessageFrame = Type.Object({ type: Type.Literal('new_admin_message'), data: messageData });

export const SessionStatusChangedFrame = Type.Object({
  type: Type.Literal('session_status_changed'),
  data: Type.Object({
    sessionId: Type.String(),
    status: SessionStatus,
    adminId: Type.Union([Type.Integer(), Type.Null()]),
    timestamp: Time,
    seq: Seq,
  }),
});

export const MessageAckFrame = Type.Object({
  type: Type.Literal('message_ack'),
  requestId: RequestId,
  data: Type.Object({
    sessionId: Type.String(),
    messageId: MessageId,
    clientMessageId: Type.Union([Type.String(), Type.Null()]),
    seq: Seq,
    status: Type.Literal('sent'),
    timestamp: Time,
    duplicate: Type.Optional(Type.Boolean()),
    requestId: RequestId,
  }),
});

export const ErrorFrame = Type.Object({
  type: Type.Literal('error'),
  data: Type.Object({
    code: Type.String(),
    message: Type.String(),
    retryable: Type.Boolean(),
    details: Type.Optional(Type.Object({ field: Type.String(), fault: Type.String() })),
    retryAfterMs: Type.Optional(Type.Integer()),
    requestId: RequestId,
    clientMessageId: Type.Optional(Type.String()),
    sessionId: Type.Optional(Type.String()),
  }),
});

/**
 * Close codes with advice (RFC 6455 section 7.4; 4000–4999 are private): whether to come back, and with what.
 */
export const closeCodes = {
  tooLarge: { code: 1009, reason: 'frame too large; come back and send smaller frames' },
  internal: { code: 1011, reason: 'internal error; come back' },
  restart: { code: 1012, reason: 'server restarts; come back, to any node' },
  unauthorized: { code: 4001, reason: 'token no longer valid; come back with a new one' },
  forbidden: { code: 4003, reason: 'not allowed; do not come back with this token' },
  slow: { code: 4008, reason: 'reading too slowly; come back and catch up' },
  flood: { code: 4029, reason: 'too many frames; wait a minute before coming back' },
} as const;
