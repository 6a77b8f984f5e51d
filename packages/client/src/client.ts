import type { Attachment, FrameMessage, ServerFrame } from '@switchboard/protocol';
import { type Client, type ClientEvents, type ClientOptions, SwitchboardError } from './api.ts';
import { type Phase, UNAUTHORIZED } from './connection.ts';
import { type Deferred, deferred } from './deferred.ts';
import { createEvents } from './events.ts';
import { createFollowing } from './following.ts';
import { chatUrl, newId, platformSocket, platformStorage, systemClock } from './host.ts';
import { createInbox, type InboxEntry, type WritableInbox } from './inbox.ts';
import { createLine } from './line.ts';
import type { Entry } from './outbox.ts';
import { createOwn } from './own.ts';
import { createReceipts, type ReceiptKind } from './receipts.ts';
import { createSending } from './sending.ts';
import {
  chatMessage,
  createView as createSessionView,
  type SessionView,
  type ViewEvent,
  type WritableView,
} from './session-view.ts';

type DataOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>['data'];

/**
 * Makes a client of the chat; `connect()` connects it.
 * @throws when the address is none, or when there is no WebSocket here and none was passed
 */
export function createClient(options: ClientOptions): Client {
  const { type, storage, clock = systemClock, random = Math.random } = options;
  const isUser = type === 'user';
  const history = options.history ?? (isUser ? Infinity : 100);
  const { on, tell } = createEvents<ClientEvents>();
  const own = createOwn(type, (sessionId) => tell('change', session(sessionId)));
  const createView = (sessionId: string | null): WritableView => createSessionView(sessionId, type, own.of);
  /** A conversation of the user that has no id yet. */
  const draft = createView(null);
  let inbox: WritableInbox | null = null;
  let attendsAll = false;
  let accountId: number | null = null;
  let connecting: Deferred<void> | null = null;
  let cancelPump = (): void => undefined;
  let pumping = false;

  const fault = (code: string, cause?: unknown): void => tell('error', new SwitchboardError(code, undefined, cause));
  const receipts = createReceipts();
  const following = createFollowing({ createView, random, onEvent: applied, tell });
  const sending = createSending({
    clock,
    random,
    expireMs: options.expireAfterMs,
    tab: newId(),
    storage: storage === undefined ? platformStorage() : storage && { storage, locks: null },
    prefix: `switchboard/${chatUrl(options.url)}/${type}/`,
    onWaiting: show,
    onFailed: failed,
    onError: fault,
  });
  const line = createLine({
    url: options.url,
    type,
    auth: options.auth,
    WebSocket: options.WebSocket ?? platformSocket(),
    clock,
    random,
    onFrame: hear,
    onPhase: moved,
    onError: fault,
    onLeave: () => sending.leave(),
  });
  if (options.account !== undefined) sending.setAccount(options.account);

  function moved(state: Phase, code: number | null): void {
    if (state !== 'online') {
      sending.disconnected();
      following.disconnected();
    }
    if (state === 'stopped') {
      connecting?.reject(new SwitchboardError('CLOSED'));
      connecting = null;
    }
    tell('state', { state, code });
    if (state === 'waiting' && code === UNAUTHORIZED) tell('unauthorized', undefined);
  }

  function hear(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        welcome(frame.data);
        break;
      case 'message_ack':
        acked(frame.data);
        break;
      case 'new_user_message':
      case 'new_admin_message': {
        const { sessionId, message } = frame.data;
        heard(sessionId, { kind: 'message', seq: message.seq, at: message.createdAt, message });
        break;
      }
      case 'session_status_changed': {
        const { sessionId, status, adminId, timestamp, seq } = frame.data;
        heard(sessionId, { kind: 'status', seq, at: timestamp, status, adminId });
        break;
      }
      case 'session_event':
        heard(frame.data.sessionId, frame.data.event);
        break;
      case 'session_events':
        following.add(frame.data.sessionId, frame.data.events, clock.now());
        break;
      case 'resumed':
        resumed(frame.data, frame.requestId);
        break;
      case 'receipt_update': {
        const { sessionId, readerType, readerId, kind, upToSeq } = frame.data;
        const readSeq = kind === 'read' ? upToSeq : 0;
        following.addReceipt(sessionId, { readerType, readerId, deliveredSeq: upToSeq, readSeq });
        break;
      }
      case 'pong':
      case 'heartbeat':
        following.noteHeads(frame.data.heads);
        break;
      case 'inbox_snapshot':
        inbox?.snapshot(frame.data, frame.requestId);
        break;
      case 'error':
        refused(frame.data);
        break;
      default:
      // The connection's own business, or of a later server.
    }
    pump();
  }

  function welcome({ actor }: DataOf<'welcome'>): void {
    if (accountId !== null && accountId !== actor.id) {
      // Or the messages of one person would go out in the name of another.
      fault('ACCOUNT_CHANGED');
      close();
      return;
    }
    accountId = actor.id;
    sending.setAccount(accountId);
    sending.connected();
    inbox?.connected();
    connecting?.resolve();
    connecting = null;
  }

  function acked({ clientMessageId, sessionId, messageId, seq, timestamp }: DataOf<'message_ack'>): void {
    const entry = sending.stored(clientMessageId ?? '', sessionId);
    if (!entry) return;
    const { content, messageType = 'text', attachments = [] } = entry;
    const message = {
      messageId,
      clientMessageId: entry.clientMessageId,
      senderType: type,
      senderId: accountId as number,
      content,
      messageType,
      attachments: attachments as Attachment[],
      createdAt: timestamp,
      seq,
      status: 'sent' as const,
    };
    // The ack is all that the sender is told: it stands for the event.
    heard(sessionId, { kind: 'message', seq, at: timestamp, message });
    stored(sessionId, message, entry);
  }

  /** The server has a message of ours. @param entry what waited for that, if anything did */
  function stored(
    sessionId: string,
    message: FrameMessage,
    entry = sending.stored(message.clientMessageId ?? '', sessionId, message.content),
  ): void {
    const { messageId, clientMessageId = '', seq, createdAt: timestamp } = message;
    // It is where the server says; beside the log until that has come so far.
    const place = { sessionId, message: chatMessage(message) };
    own.put(clientMessageId, session(sessionId).lastSeq < seq ? place : undefined);
    if (!entry) return;
    const ack = { sessionId, messageId, clientMessageId, seq, timestamp };
    const written = sending.resolve(ack);
    // The conversation has an id now, and with it all that was written in it; or it was over, and this is the next one.
    // What another page left, and was stored long ago, brings no old one back.
    if (entry.sessionId === null && (written || own.here === null || session().status === 'closed'))
      own.here = sessionId;
    tell('sent', ack);
  }

  /** A session came up: the present conversation, if there is none. */
  function comeUp(sessionId: string | null): void {
    if (isUser && draft.messages.length === 0) own.here ??= sessionId;
  }

  /** A frame told an event of a session as it happened. */
  function heard(sessionId: string, event: ViewEvent): void {
    const { seq } = event;
    inbox?.note(sessionId, seq, event.kind === 'status' ? { status: event.status, adminId: event.adminId } : {});
    if (!following.follows(sessionId) && concerns(event)) {
      following.follow(sessionId, 'heard', Math.max(0, seq - history), seq);
    }
    following.add(sessionId, [event], clock.now());
  }

  /** Whether an admin's client follows by itself the sessions of this admin. */
  function attends(adminId: number | null): boolean {
    return attendsAll || adminId === accountId;
  }

  /** Whether an event makes us follow its session: all of a user's; an admin's own, and what waits for one. */
  function concerns(event: ViewEvent): boolean {
    // Where there is an inbox, it tells how far back to begin.
    return isUser || event.kind === 'message' || (event.kind === 'status' && !inbox && attends(event.adminId));
  }

  function applied(view: WritableView, event: ViewEvent, live: boolean): void {
    const sessionId = view.sessionId as string;
    if (event.kind === 'message') {
      const { message } = event;
      const mine = message.senderType === type && message.senderId === accountId;
      // Where the ack was lost, the log tells it.
      if (mine) stored(sessionId, message);
      if (message.senderType !== type && options.receipts !== false) receipts.mark(sessionId, 'delivered', event.seq);
      comeUp(sessionId);
      tell('message', { sessionId, message: chatMessage(message), own: mine, live });
    } else if (event.kind === 'status') {
      tell('status', { sessionId, status: event.status, adminId: event.adminId, live });
      if (live) lookAway(view);
    }
    tell('event', { sessionId, event, live });
    tell('change', view);
  }

  function resumed(data: DataOf<'resumed'>, requestId: unknown): void {
    const view = following.resumed(data, requestId);
    if (!view) return;
    const { sessionId } = data;
    if (data.reset) receipts.forget(sessionId);
    const ours = data.receipts?.find((r) => r.readerType === type && r.readerId === accountId);
    receipts.confirm(sessionId, { delivered: ours?.deliveredSeq ?? 0, read: ours?.readSeq ?? 0 });
    lookAway(view);
    tell('change', view);
  }

  /** A session that came up by itself and is another admin's now is none of our business any more. */
  function lookAway({ sessionId, status, adminId }: SessionView): void {
    if (!isUser && status === 'active' && !attends(adminId)) leave(sessionId as string, false);
  }

  function leave(sessionId: string, opened: boolean): void {
    if (following.leave(sessionId, opened)) line.send({ type: 'unfollow', data: { sessions: [sessionId] } });
  }

  function refused({ code, message, requestId, clientMessageId, sessionId, ...advice }: DataOf<'error'>): void {
    const refusal = { code, ...advice };
    const asked = String(requestId ?? '');
    if (asked.startsWith('follow')) following.refused(asked, sessionId, refusal, clock.now());
    else if (asked || !sending.refused(clientMessageId, refusal, message))
      tell('error', new SwitchboardError(code, message));
  }

  function inboxChanged(entry: InboxEntry): void {
    attend(entry);
    following.noteHeads({ [entry.sessionId]: entry.lastSeq });
    tell('inbox', entry);
  }

  function attend({ sessionId, status, adminId, lastSeq }: InboxEntry): void {
    if (status === 'closed' || !attends(adminId) || following.follows(sessionId)) return;
    following.follow(sessionId, 'heard', Math.max(0, lastSeq - history), lastSeq + 1);
  }

  /** @param error why it will not be sent any more, if so */
  function show(entry: Entry, error?: string): void {
    comeUp(entry.sessionId);
    // What a tab left that is gone may be stored, and shown, already.
    if (!following.views.some((view) => view.has(entry))) own.show(entry, error);
    pump();
  }

  function failed(entry: Entry, error: SwitchboardError): void {
    show(entry, error.code);
    const { clientMessageId, sessionId } = entry;
    tell('failed', { clientMessageId, sessionId, error });
  }

  function mark(sessionId: string, kind: ReceiptKind, upToSeq = session(sessionId).lastSeq): void {
    receipts.mark(sessionId, kind, upToSeq);
    pump();
  }

  /** Sends whatever is due, and sees to it that the rest is sent when it is. */
  function pump(): void {
    // What is sent may lead to more; one run at a time.
    if (pumping || line.phase !== 'online') return;
    pumping = true;
    cancelPump();
    const now = clock.now();
    let wakeAt = Infinity;
    for (const part of [sending, following, receipts, inbox]) {
      const turn = part?.next(now);
      for (const frame of turn?.send ?? []) line.send(frame);
      wakeAt = Math.min(wakeAt, turn?.wakeAt ?? wakeAt);
    }
    pumping = false;
    if (wakeAt < Infinity) cancelPump = clock.after(wakeAt - now, pump);
  }

  function session(sessionId: string | null = own.here): WritableView {
    return sessionId === null ? draft : following.look(sessionId);
  }

  function close(): void {
    line.close();
    sending.close();
    cancelPump();
  }

  return {
    get state() {
      return line.phase;
    },
    get unsent() {
      return sending.entries;
    },
    on,
    close,
    session,

    connect() {
      if (line.phase === 'online') return Promise.resolve();
      const { promise } = (connecting ??= deferred());
      sending.open();
      line.connect();
      return promise;
    },

    send(message) {
      // A user's present conversation, unless it is over: then the server says which.
      const here = message.sessionId ?? (session().status === 'closed' ? null : own.here);
      // Where a user writes is where they look.
      if (isUser) own.here = here;
      // What was written before and names none yet may turn out to begin the next one: then so does this.
      const follows = sending.entries.some(({ sessionId }) => (message.sessionId ?? sessionId) === null);
      return sending.add(message, follows ? null : here);
    },

    discard(clientMessageId) {
      sending.refused(clientMessageId, { code: 'DISCARDED', retryable: false });
      own.put(clientMessageId);
    },

    open(sessionId, { afterSeq = 0 } = {}) {
      const opened = following.open(sessionId, afterSeq);
      pump();
      return opened;
    },
    leave: (sessionId) => leave(sessionId, true),
    markDelivered: (sessionId, upToSeq) => mark(sessionId, 'delivered', upToSeq),
    markRead: (sessionId, upToSeq) => mark(sessionId, 'read', upToSeq),

    inbox({ follow } = {}) {
      attendsAll = follow === 'all';
      inbox ??= createInbox(inboxChanged, pump);
      for (const entry of inbox.sessions) attend(entry);
      pump();
      return inbox;
    },
  };
}
