import type { ErrorBody, ServerFrame, ServerFrameType } from '@switchboard/protocol';
import type { Outcome } from '../domain/command.ts';
import type { Hint } from '../domain/ports.ts';
import type { MessageEvent, SessionEvent, StatusEvent } from '../domain/session.ts';
import { iso, logEvent, userInfo } from '../domain/views.ts';

/** What of a request is repeated in its answer. */
export interface Marks {
  readonly requestId?: string | number;
  readonly clientMessageId?: string;
  readonly sessionId?: string;
}

type PlainType =
  | 'welcome'
  | 'resumed'
  | 'inbox_snapshot'
  | 'pong'
  | 'heartbeat'
  | 'auth_expiring'
  | 'auth_refreshed'
  | 'draining';

/** Writes the server's frames as text, under the names that the front ends in place expect. */
export class FrameWriter {
  /** The names on the wire of those frames that have another one there. */
  readonly names: Readonly<Record<string, string>>;
  readonly #names: ReadonlyMap<ServerFrameType, string>;

  constructor(names: Readonly<Record<string, string>>) {
    this.names = names;
    this.#names = new Map(Object.entries(names) as [ServerFrameType, string][]);
  }

  // The two frames of every message are written out by hand: that costs a fifth of making an object and serialising it.
  // `frames.test.ts` compares them with the shapes of the schemas.

  message(hint: Hint, event: MessageEvent): string {
    const { message } = event;
    const type = this.#name(message.senderType === 'user' ? 'new_user_message' : 'new_admin_message');
    const { userId, nickname, avatar } = userInfo(hint.user);
    return (
      `{"type":${type},"data":{"sessionId":${quoted(hint.sessionId)},"message":{"messageId":${quoted(message.messageId)}` +
      `,"senderId":${message.senderId},"senderType":"${message.senderType}","content":${quoted(message.content)}` +
      `,"messageType":"${message.messageType}","createdAt":"${iso(message.createdAt)}","seq":${message.seq}` +
      `,"status":"${message.status}","attachments":${message.attachments.length === 0 ? '[]' : JSON.stringify(message.attachments)}` +
      `${message.clientMessageId === null ? '' : `,"clientMessageId":${quoted(message.clientMessageId)}`}}` +
      `,"userInfo":{"userId":${userId},"nickname":${quoted(nickname)},"avatar":${quoted(avatar)}}}}`
    );
  }

  status(sessionId: string, event: StatusEvent): string {
    const { status, adminId, at, seq } = event;
    return this.#text({
      type: 'session_status_changed',
      data: { sessionId, status, adminId, timestamp: iso(at), seq },
    });
  }

  ack({ session, message, duplicate }: Outcome, requestId: string | number | undefined): string {
    if (!message) throw new Error('only a message can be acknowledged');
    const mark = requestId === undefined ? '' : `,"requestId":${JSON.stringify(requestId)}`;
    const clientMessageId = message.clientMessageId === null ? 'null' : quoted(message.clientMessageId);
    return (
      `{"type":${this.#name('message_ack')},"data":{"sessionId":${quoted(session.sessionId)}` +
      `,"messageId":${quoted(message.messageId)},"clientMessageId":${clientMessageId},"seq":${message.seq}` +
      `,"status":"sent","timestamp":"${iso(message.createdAt)}"${duplicate ? ',"duplicate":true' : ''}${mark}}${mark}}`
    );
  }

  error(body: ErrorBody, marks: Marks): string {
    return this.#text({ type: 'error', data: { ...body, ...marks } });
  }

  /** Frames that need no shaping of their own. */
  other(frame: Extract<ServerFrame, { type: PlainType }>): string {
    return this.#text(frame);
  }

  sessionEvent(sessionId: string, event: SessionEvent): string {
    return this.#text({ type: 'session_event', data: { sessionId, event: logEvent(event) } });
  }

  sessionEvents(sessionId: string, events: readonly SessionEvent[]): string {
    return this.#text({ type: 'session_events', data: { sessionId, events: events.map(logEvent) } });
  }

  receipt(sessionId: string, receipt: NonNullable<Hint['receipt']>): string {
    const { readerType, readerId, kind, at } = receipt;
    const upToSeq = kind === 'read' ? receipt.readSeq : receipt.deliveredSeq;
    return this.#text({
      type: 'receipt_update',
      data: { sessionId, readerType, readerId, kind, upToSeq, at: iso(at) },
    });
  }

  #name(type: ServerFrameType): string {
    return `"${this.#names.get(type) ?? type}"`;
  }

  #text(frame: ServerFrame): string {
    const name = this.#names.get(frame.type);
    return JSON.stringify(name === undefined ? frame : { ...frame, type: name });
  }
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
