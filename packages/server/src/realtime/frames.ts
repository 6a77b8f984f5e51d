import type { ErrorBody, ServerFrame, ServerFrameType } from '@switchboard/protocol';
import type { Outcome } from '../domain/command.ts';
import type { Hint } from '../domain/ports.ts';
import type { MessageEvent, SessionEvent, StatusEvent } from '../domain/session.ts';
import { frameMessage, iso, logEvent, userInfo } from '../domain/views.ts';

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
  readonly #names: ReadonlyMap<ServerFrameType, string>;

  constructor(names: Readonly<Record<string, string>>) {
    this.#names = new Map(Object.entries(names) as [ServerFrameType, string][]);
  }

  message(hint: Hint, event: MessageEvent): string {
    const type = event.message.senderType === 'user' ? 'new_user_message' : 'new_admin_message';
    const data = {
      sessionId: hint.sessionId,
      message: frameMessage(event.message),
      userInfo: userInfo(hint.user),
    };
    return this.#text({ type, data });
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
    return this.#text({
      type: 'message_ack',
      data: {
        sessionId: session.sessionId,
        messageId: message.messageId,
        clientMessageId: message.clientMessageId,
        seq: message.seq,
        status: 'sent',
        timestamp: iso(message.createdAt),
        ...(duplicate ? { duplicate } : {}),
        ...(requestId === undefined ? {} : { requestId }),
      },
      ...(requestId === undefined ? {} : { requestId }),
    });
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

  #text(frame: ServerFrame): string {
    const name = this.#names.get(frame.type);
    return JSON.stringify(name === undefined ? frame : { ...frame, type: name });
  }
}
