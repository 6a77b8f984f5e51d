import Type from 'typebox';
import { AccountId, SenderType, Seq, SessionId, SessionStatus, Time } from './entities.ts';
import { RequestId } from './frames.ts';
import { limits } from './limits.ts';
import { LogEvent } from './session-log.ts';

/**
 * Frames of connections that said `hello`. Everything here is additive: a connection that never does neither sends nor
 * gets any of it.
 */

const Place = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Heads = Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
  description: 'The newest seq of each session that the connection follows',
});

// ── client to server ──

export const HelloFrame = Type.Object({
  type: Type.Literal('hello'),
  requestId: RequestId,
  data: Type.Optional(Type.Object({ clientId: Type.Optional(Type.String({ maxLength: 64 })) })),
});

/** Follow these sessions from these places on: everything after `afterSeq`, then what happens live. */
export const ResumeFrame = Type.Object({
  type: Type.Literal('resume'),
  requestId: RequestId,
  data: Type.Object({
    sessions: Type.Array(Type.Object({ sessionId: SessionId, afterSeq: Place }), {
      minItems: 1,
      maxItems: limits.resumeSessions,
    }),
  }),
});

export const UnfollowFrame = Type.Object({
  type: Type.Literal('unfollow'),
  requestId: RequestId,
  data: Type.Object({ sessions: Type.Array(SessionId, { minItems: 1, maxItems: limits.resumeSessions }) }),
});

/** For admins: which sessions are open, or have changed since a moment, and how far each has got. */
export const InboxFrame = Type.Object({
  type: Type.Literal('inbox'),
  requestId: RequestId,
  data: Type.Optional(Type.Object({ since: Type.Optional(Type.String({ maxLength: 30 })) })),
});

export const PingFrame = Type.Object({
  type: Type.Literal('ping'),
  requestId: RequestId,
  data: Type.Optional(Type.Object({ t: Type.Optional(Type.Number()) })),
});

/** The receiver says how far messages have reached it. Cumulative: it never goes back. */
export const ReceiptFrame = Type.Object({
  type: Type.Literal('receipt'),
  requestId: RequestId,
  data: Type.Object({
    sessionId: SessionId,
    kind: Type.Union([Type.Literal('delivered'), Type.Literal('read')]),
    upToSeq: Seq,
  }),
});

export const AuthRefreshFrame = Type.Object({
  type: Type.Literal('auth_refresh'),
  requestId: RequestId,
  data: Type.Object({ token: Type.String({ minLength: 1, maxLength: 8_192 }) }),
});

// ── server to client ──

export const WelcomeFrame = Type.Object({
  type: Type.Literal('welcome'),
  requestId: RequestId,
  data: Type.Object({
    protocol: Type.Literal(2),
    connectionId: Type.String(),
    actor: Type.Object({ type: SenderType, id: AccountId }),
    serverTime: Time,
    heartbeatMs: Type.Integer(),
    /** When the token ends; null for never. */
    expiresAt: Type.Union([Time, Type.Null()]),
    limits: Type.Object({
      frameBytes: Type.Integer(),
      contentCharacters: Type.Integer(),
      attachments: Type.Integer(),
      resumeSessions: Type.Integer(),
    }),
    /** Frames that this server sends under another name (`FRAME_NAMES`): that name, by their own. */
    frameNames: Type.Record(Type.String(), Type.String()),
  }),
});

/** One event of a followed session that no other frame has told this connection. */
export const SessionEventFrame = Type.Object({
  type: Type.Literal('session_event'),
  data: Type.Object({ sessionId: Type.String(), event: LogEvent }),
});

/** A stretch of a session's log, in answer to `resume`. */
export const SessionEventsFrame = Type.Object({
  type: Type.Literal('session_events'),
  data: Type.Object({ sessionId: Type.String(), events: Type.Array(LogEvent) }),
});

/** A session's catching up is over: complete up to a place, or to be reloaded from scratch. */
export const ResumedFrame = Type.Object({
  type: Type.Literal('resumed'),
  requestId: RequestId,
  data: Type.Object({
    sessionId: Type.String(),
    complete: Type.Boolean(),
    upToSeq: Type.Integer({ minimum: 0 }),
    /** True: what the client holds is not of this log; drop it and read again from 0. */
    reset: Type.Boolean(),
    status: Type.Optional(SessionStatus),
    adminId: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
    /** Receipts of both sides so far. */
    receipts: Type.Optional(
      Type.Array(
        Type.Object({
          readerType: SenderType,
          readerId: Type.Integer(),
          deliveredSeq: Type.Integer(),
          readSeq: Type.Integer(),
        }),
      ),
    ),
  }),
});

export const InboxSnapshotFrame = Type.Object({
  type: Type.Literal('inbox_snapshot'),
  requestId: RequestId,
  data: Type.Object({
    sessions: Type.Array(
      Type.Object({
        sessionId: Type.String(),
        userId: Type.Integer(),
        status: SessionStatus,
        adminId: Type.Union([Type.Integer(), Type.Null()]),
        lastSeq: Type.Integer(),
      }),
    ),
    /** False: more frames of this snapshot follow. */
    last: Type.Boolean(),
    /** Pass it as `since` next time. */
    serverTime: Time,
  }),
});

export const PongFrame = Type.Object({
  type: Type.Literal('pong'),
  requestId: RequestId,
  data: Type.Object({ t: Type.Optional(Type.Number()), serverTime: Time, heads: Heads }),
});

export const HeartbeatFrame = Type.Object({
  type: Type.Literal('heartbeat'),
  data: Type.Object({ serverTime: Time, heads: Heads }),
});

export const ReceiptUpdateFrame = Type.Object({
  type: Type.Literal('receipt_update'),
  data: Type.Object({
    sessionId: Type.String(),
    readerType: SenderType,
    readerId: Type.Integer(),
    kind: Type.Union([Type.Literal('delivered'), Type.Literal('read')]),
    upToSeq: Type.Integer({ minimum: 0 }),
    at: Time,
  }),
});

export const AuthExpiringFrame = Type.Object({
  type: Type.Literal('auth_expiring'),
  data: Type.Object({ expiresAt: Time }),
});

export const AuthRefreshedFrame = Type.Object({
  type: Type.Literal('auth_refreshed'),
  requestId: RequestId,
  data: Type.Object({ expiresAt: Type.Union([Time, Type.Null()]) }),
});

/** The server is about to end: come back after so long, to any node. Close 1012 follows. */
export const DrainingFrame = Type.Object({
  type: Type.Literal('draining'),
  data: Type.Object({ reconnectInMs: Type.Integer({ minimum: 0 }) }),
});
