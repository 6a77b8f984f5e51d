import type { SenderType } from '@switchboard/protocol';
import type { Entry } from './outbox.ts';
import type { ChatMessage } from './session-view.ts';

interface Place {
  /** Null: it names none, and is in the present conversation until the server has said where it is. */
  readonly sessionId: string | null;
  readonly message: ChatMessage;
}

/** Our own messages that no log shows yet, of all sessions: each is in one place, and shown nowhere else. */
export interface Own {
  /** The present conversation; null: it has no id yet. Messages that name no session are in it. */
  here: string | null;
  /** What stands behind the log of a session; null: in a conversation that has no id. */
  readonly of: (sessionId: string | null) => readonly ChatMessage[];
  /** Shows a message that waits to be sent, or, with an error, is not sent any more. */
  show(entry: Entry, error?: string): void;
  /** Shows a message in this place and no other, or, without one, nowhere. */
  put(clientMessageId: string, place?: Place): void;
}

/**
 * @param side whose messages are our own
 * @param changed told of each place that shows something else now
 */
export function createOwn(side: SenderType, changed: (sessionId: string | null) => void): Own {
  /** By their marks, in the order of their writing. */
  const places = new Map<string, Place>();
  let here: string | null = null;

  function put(clientMessageId: string, place?: Place): void {
    const was = places.get(clientMessageId);
    if (place) places.set(clientMessageId, place);
    else places.delete(clientMessageId);
    for (const one of [was, place]) if (one) changed(one.sessionId ?? here);
  }

  return {
    get here() {
      return here;
    },
    set here(sessionId) {
      const was = here;
      here = sessionId;
      if (was !== here) for (const place of [was, here]) changed(place);
    },

    of: (sessionId) =>
      [...places.values()].flatMap((one) => ((one.sessionId ?? here) === sessionId ? [one.message] : [])),

    show({ clientMessageId, sessionId, content, messageType = 'text', attachments = [], at }, error) {
      const message = {
        messageId: null,
        seq: null,
        clientMessageId,
        senderType: side,
        senderId: null,
        content,
        messageType,
        attachments,
        createdAt: new Date(at).toISOString(),
        status: 'sending' as const,
      };
      put(clientMessageId, {
        sessionId,
        message: error === undefined ? message : { ...message, status: 'failed', error },
      });
    },

    put,
  };
}
