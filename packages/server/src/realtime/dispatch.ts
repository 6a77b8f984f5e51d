import { ChatError, type ClientFrame, errorBody, invalid, limits, type SendMessageFrame } from '@switchboard/protocol';
import type { Authenticate } from '../auth.ts';
import type { Caller, Chat } from '../domain/chat.ts';
import type { Following } from '../domain/following.ts';
import type { Clock } from '../domain/ports.ts';
import type { SessionState } from '../domain/session.ts';
import { iso } from '../domain/views.ts';
import type { Connection } from './connection.ts';
import { Follower } from './follower.ts';
import type { FrameWriter, Marks } from './frames.ts';
import { HEARTBEAT_MS } from './heartbeat.ts';
import type { Hub } from './hub.ts';

export interface DispatchParts {
  readonly chat: Chat;
  readonly following: Following;
  readonly hub: Hub;
  readonly frames: FrameWriter;
  readonly clock: Clock;
  readonly authenticate: Authenticate;
  readonly onError: (error: unknown, connection: Connection) => void;
}

/**
 * Hands a frame to the method that it asks for, and answers the connection.
 * @returns a promise when the connection's next frame must wait for it; it never rejects
 */
export function dispatch(parts: DispatchParts, connection: Connection, frame: ClientFrame): Promise<void> | undefined {
  if (frame.type === 'send_message') return sendMessage(parts, connection, frame);
  if (frame.type === 'hello') {
    hello(parts, connection, frame.requestId);
    return undefined;
  }
  if (!connection.follower) throw invalid('type', 'needs a hello frame first', '需要先发送 hello 帧');
  return answer(parts, connection, frame, connection.follower);
}

type OtherFrame = Exclude<ClientFrame, { type: 'send_message' | 'hello' }>;

/** The frames of a connection that said `hello`. Those that ask the store do not hold up the next frame. */
function answer(
  parts: DispatchParts,
  connection: Connection,
  frame: OtherFrame,
  follower: Follower,
): Promise<void> | undefined {
  const { following } = parts;
  switch (frame.type) {
    case 'resume':
      for (const place of frame.data.sessions) follower.resume(place, frame.requestId);
      return undefined;
    case 'unfollow':
      for (const sessionId of frame.data.sessions) follower.unfollow(sessionId);
      return undefined;
    case 'ping':
      void told(parts, connection, frame, pong(parts, connection, frame, follower));
      return undefined;
    case 'inbox':
      void told(parts, connection, frame, inbox(parts, connection, frame));
      return undefined;
    case 'receipt': {
      const { sessionId, kind, upToSeq } = frame.data;
      void told(parts, connection, frame, following.acknowledge(connection.caller, kind, { sessionId, upToSeq }));
      return undefined;
    }
    case 'auth_refresh':
      return told(parts, connection, frame, refreshToken(parts, connection, frame));
  }
}

function sendMessage(parts: DispatchParts, connection: Connection, frame: SendMessageFrame): Promise<void> | undefined {
  const { data, requestId } = frame;
  checkSender(connection.caller, data.senderInfo);
  connection.sent();
  return parts.chat.send(
    connection.caller,
    {
      sessionId: data.sessionId ?? null,
      content: data.content,
      messageType: data.messageType ?? 'text',
      attachments: data.attachments ?? [],
      clientMessageId: data.clientMessageId ?? null,
    },
    (appended) => {
      if (appended.outcome) connection.send(parts.frames.ack(appended.outcome, requestId));
      else refuse(parts, connection, appended.error, marksOf(frame));
      connection.settled();
    },
  );
}

function hello(parts: DispatchParts, connection: Connection, requestId: string | number | undefined): void {
  const { following, hub, frames, clock, onError } = parts;
  connection.follower ??= new Follower({
    connection,
    follow: (sessionId) => hub.follow(connection, sessionId),
    unfollow: (sessionId) => hub.unfollow(connection, sessionId),
    following,
    frames,
    onError: (error) => onError(error, connection),
  });
  connection.beatAt = clock.now();
  connection.send(
    frames.other({
      type: 'welcome',
      ...echo(requestId),
      data: {
        protocol: 2,
        connectionId: connection.id,
        actor: connection.caller.actor,
        serverTime: iso(clock.now()),
        heartbeatMs: HEARTBEAT_MS,
        expiresAt: connection.expiresAt === null ? null : iso(connection.expiresAt),
        limits: {
          frameBytes: limits.frameBytes,
          contentCharacters: limits.contentCharacters,
          attachments: limits.attachments,
          resumeSessions: limits.resumeSessions,
        },
        frameNames: frames.names,
      },
    }),
  );
}

type FrameOf<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>;

async function pong(
  parts: DispatchParts,
  connection: Connection,
  frame: FrameOf<'ping'>,
  follower: Follower,
): Promise<void> {
  const heads = await parts.following.heads(follower.sessions);
  const t = frame.data?.t;
  connection.send(
    parts.frames.other({
      type: 'pong',
      ...echo(frame.requestId),
      data: { ...(t === undefined ? {} : { t }), serverTime: iso(parts.clock.now()), heads: Object.fromEntries(heads) },
    }),
  );
}

/** Sessions of one frame of an inbox: well below what a frame may weigh. */
const INBOX_CHUNK = 200;

async function inbox(parts: DispatchParts, connection: Connection, frame: FrameOf<'inbox'>): Promise<void> {
  const since = frame.data?.since === undefined ? null : Date.parse(frame.data.since);
  if (Number.isNaN(since)) throw invalid('data.since', 'must be an ISO 8601 time', '必须是 ISO 8601 时间');
  // Asked before the store is: what happens while it answers belongs to the next inbox as well.
  const serverTime = iso(parts.clock.now());
  const sessions = await parts.following.inbox(connection.caller, since);
  for (let i = 0; i === 0 || i < sessions.length; i += INBOX_CHUNK) {
    const chunk = sessions.slice(i, i + INBOX_CHUNK).map(inboxEntry);
    const last = i + INBOX_CHUNK >= sessions.length;
    const data = { sessions: chunk, last, serverTime };
    connection.send(parts.frames.other({ type: 'inbox_snapshot', ...echo(frame.requestId), data }));
    await connection.drained();
  }
}

function inboxEntry({
  sessionId,
  userId,
  status,
  adminId,
  lastSeq,
}: SessionState): Pick<SessionState, 'sessionId' | 'userId' | 'status' | 'adminId' | 'lastSeq'> {
  return { sessionId, userId, status, adminId, lastSeq };
}

/** A new token for the same account and side keeps the connection; any other is refused and changes nothing. */
async function refreshToken(
  parts: DispatchParts,
  connection: Connection,
  frame: FrameOf<'auth_refresh'>,
): Promise<void> {
  const account = await parts.authenticate(frame.data.token);
  const { type, id } = connection.caller.actor;
  if (account.identity.id !== id || (type === 'admin' && !account.roles.has('admin'))) throw new ChatError('FORBIDDEN');
  // The same token again is not worth another warning.
  if (account.expiresAt !== connection.expiresAt) {
    connection.expiresAt = account.expiresAt;
    connection.tokenSince = parts.clock.now();
    connection.warned = false;
  }
  const expiresAt = account.expiresAt === null ? null : iso(account.expiresAt);
  connection.send(parts.frames.other({ type: 'auth_refreshed', ...echo(frame.requestId), data: { expiresAt } }));
}

/** Turns the failure of an answer into an `error` frame. */
async function told(
  parts: DispatchParts,
  connection: Connection,
  frame: OtherFrame,
  work: Promise<void>,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    const sessionId = frame.type === 'receipt' ? { sessionId: frame.data.sessionId } : {};
    refuse(parts, connection, error, { ...echo(frame.requestId), ...sessionId });
  }
}

/** Answers with an `error` frame. A bad frame costs an error, not the connection. */
export function refuse(parts: DispatchParts, connection: Connection, error: unknown, marks: Marks): void {
  parts.onError(error, connection);
  connection.send(parts.frames.error(errorBody(error, connection.language), marks));
}

/** Who sends is said by the token; a frame that says otherwise is refused rather than believed or corrected. */
function checkSender({ actor }: Caller, info: SendMessageFrame['data']['senderInfo']): void {
  if (info?.userId !== undefined && String(info.userId) !== String(actor.id)) {
    throw new ChatError('FORBIDDEN', {
      fault: {
        field: 'data.senderInfo.userId',
        fault: { en: "is not the connection's account", zh: '与当前连接的账号不一致' },
      },
    });
  }
  if (info?.userType !== undefined && info.userType !== actor.type) {
    throw new ChatError('FORBIDDEN', {
      fault: {
        field: 'data.senderInfo.userType',
        fault: { en: "is not the connection's side", zh: '与当前连接的身份不一致' },
      },
    });
  }
}

function echo(requestId: string | number | undefined): { requestId?: string | number } {
  return requestId === undefined ? {} : { requestId };
}

function marksOf({ data, requestId }: SendMessageFrame): Marks {
  return {
    ...echo(requestId),
    ...(data.clientMessageId === undefined ? {} : { clientMessageId: data.clientMessageId }),
    ...(typeof data.sessionId === 'string' ? { sessionId: data.sessionId } : {}),
  };
}
