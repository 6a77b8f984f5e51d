import type { SenderType, ServerFrame } from '@switchboard/protocol';
import { type Ack, type ClientEvents, type ClientOptions, type NewMessage, SwitchboardError } from './api.ts';
import type { Phase } from './connection.ts';
import { type Deferred, deferred } from './deferred.ts';
import { Events } from './events.ts';
import { Following } from './following.ts';
import { chatUrl, type Clock, newId, platformSocket, platformStorage, systemClock } from './host.ts';
import { Inbox, type InboxEntry, type InboxOptions } from './inbox.ts';
import { Line } from './line.ts';
import type { Entry } from './outbox.ts';
import { type ReceiptKind, Receipts } from './receipts.ts';
import { Sending } from './sending.ts';
import { SessionView, shown, type ViewEvent } from './session-view.ts';

type DataOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>['data'];

/** One account's connection to the chat, and all that it knows. Made by `createClient`. */
export class Client {
  readonly #type: SenderType;
  readonly #clock: Clock;
  readonly #history: number;
  readonly #sayDelivered: boolean;
  readonly #events = new Events<ClientEvents>();
  readonly #tell: Events<ClientEvents>['tell'] = (name, detail) => this.#events.tell(name, detail);
  readonly #line: Line;
  readonly #sending: Sending;
  readonly #following: Following;
  readonly #receipts = new Receipts();
  /** A user's messages that belong to no session yet. */
  readonly #draft: SessionView;
  #currentId: string | null = null;
  #inbox: Inbox | null = null;
  #attended: InboxOptions['follow'] = 'mine';
  #accountId: number | null = null;
  #connecting: Deferred<void> | null = null;
  #cancelPump: () => void = () => undefined;
  #pumping = false;

  /** @internal */
  constructor(options: ClientOptions) {
    const { type, account, frameNames = {}, clock = systemClock, random = Math.random } = options;
    const url = chatUrl(options.url);
    const tab = newId();
    this.#type = type;
    this.#clock = clock;
    this.#history = options.history ?? (type === 'user' ? Number.POSITIVE_INFINITY : 100);
    this.#sayDelivered = options.receipts ?? true;
    this.#draft = new SessionView(null, type);
    this.#following = new Following({
      side: type,
      random,
      onEvent: (view, event, live) => this.#applied(view, event, live),
      tell: this.#tell,
    });
    const { storage } = options;
    this.#sending = new Sending({
      clock,
      random,
      expireMs: options.expireAfterMs,
      tab,
      storage: storage === undefined ? platformStorage() : storage && { storage, locks: null },
      prefix: `switchboard/${url({})}/${type}/`,
      onWaiting: (entry) => this.#show(entry),
      onFailed: (entry, error) => this.#failed(entry, error),
      onStorageError: (cause) => this.#fault('STORAGE', cause),
    });
    this.#line = new Line({
      url,
      type,
      auth: options.auth,
      WebSocket: options.WebSocket ?? platformSocket(),
      clock,
      random,
      frameNames: Object.fromEntries(Object.entries(frameNames).map(([own, wire]) => [wire, own])),
      clientId: tab,
      onFrame: (frame) => this.#hear(frame),
      onPhase: (phase, code) => this.#moved(phase, code),
      onUnauthorized: () => this.#tell('unauthorized', undefined),
      onError: (code, cause) => this.#fault(code, cause),
      onLeave: () => this.#sending.leave(),
    });
    if (account !== undefined) this.#sending.setAccount(account);
  }

  /** Where the connection is in its life. */
  get state(): Phase {
    return this.#line.phase;
  }

  /** Messages that are not acknowledged yet, oldest first. */
  get unsent(): readonly Entry[] {
    return this.#sending.entries;
  }

  /** Listens. @returns what ends it */
  on<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Connects, and stays connected until `close`. Resolves when it first is; rejects if it is closed before. */
  connect(): Promise<void> {
    if (this.#line.phase === 'online') return Promise.resolve();
    const { promise } = (this.#connecting ??= deferred());
    this.#sending.open();
    this.#line.connect();
    return promise;
  }

  /** Ends the connection. What is unsent is kept for the next `connect`, or for the next page. */
  close(): void {
    this.#line.close();
    this.#sending.close();
    this.#cancelPump();
  }

  /**
   * Sends a message, now or as soon as there is a connection, as often as it takes; it is stored once. Resolves when it
   * is; rejects with a SwitchboardError when it will not be. Nobody has to wait: `sent` and `failed` tell the same.
   */
  send(message: NewMessage): Promise<Ack> {
    return this.#sending.add(message, message.sessionId ?? this.#openSession());
  }

  /** Takes back a message that is not acknowledged (it may have been stored all the same), or hides one that failed. */
  discard(clientMessageId: string): void {
    this.#sending.discard(clientMessageId);
    for (const view of [this.#draft, ...this.#following.views]) {
      if (view.dropOwn(clientMessageId)) this.#tell('change', view);
    }
  }

  /**
   * What is known of a session, followed or not. Without an id: a user's present conversation, which the server may not
   * have heard of yet. Views are live: `change` tells when to look again.
   */
  session(sessionId: string | null = this.#currentId): SessionView {
    return sessionId === null ? this.#draft : this.#following.look(sessionId);
  }

  /** Follows a session from a place in its log on. Resolves when everything up to now is there. */
  open(sessionId: string, { afterSeq = 0 }: { readonly afterSeq?: number } = {}): Promise<SessionView> {
    const opened = this.#following.open(sessionId, afterSeq);
    this.#pump();
    return opened;
  }

  /** Follows a session no longer. Its view stays as it is. */
  leave(sessionId: string): void {
    this.#leave(sessionId, true);
  }

  /** Says that everything up to a place has reached us; at most once a second. */
  markDelivered(sessionId: string, upToSeq: number = this.session(sessionId).lastSeq): void {
    this.#mark(sessionId, 'delivered', upToSeq);
  }

  /** Says that everything up to a place has been read; at most once a second. */
  markRead(sessionId: string, upToSeq: number = this.session(sessionId).lastSeq): void {
    this.#mark(sessionId, 'read', upToSeq);
  }

  /** For admins: the open sessions, kept up from now on. */
  inbox({ follow = 'mine' }: InboxOptions = {}): Inbox {
    this.#attended = follow;
    this.#inbox ??= new Inbox(
      (entry) => this.#inboxChanged(entry),
      () => this.#pump(),
    );
    for (const entry of this.#inbox.sessions) this.#attend(entry);
    this.#pump();
    return this.#inbox;
  }

  #moved(state: Phase, code: number | null): void {
    if (state !== 'online') {
      this.#sending.disconnected();
      this.#following.disconnected();
    }
    if (state === 'stopped') {
      this.#connecting?.reject(new SwitchboardError('CLOSED'));
      this.#connecting = null;
    }
    this.#tell('state', { state, code });
  }

  #hear(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.#welcome(frame.data);
        break;
      case 'message_ack':
        this.#acked(frame.data);
        break;
      case 'new_user_message':
      case 'new_admin_message': {
        const { sessionId, message } = frame.data;
        this.#heard(sessionId, { kind: 'message', seq: message.seq, at: message.createdAt, message });
        break;
      }
      case 'session_status_changed': {
        const { sessionId, status, adminId, timestamp, seq } = frame.data;
        this.#heard(sessionId, { kind: 'status', seq, at: timestamp, status, adminId });
        break;
      }
      case 'session_event':
        this.#heard(frame.data.sessionId, frame.data.event);
        break;
      case 'session_events':
        this.#following.add(frame.data.sessionId, frame.data.events, this.#clock.now());
        break;
      case 'resumed':
        this.#resumed(frame.data, frame.requestId);
        break;
      case 'receipt_update': {
        const { sessionId, readerType, readerId, kind, upToSeq } = frame.data;
        const readSeq = kind === 'read' ? upToSeq : 0;
        this.#following.addReceipt(sessionId, { readerType, readerId, deliveredSeq: upToSeq, readSeq });
        break;
      }
      case 'pong':
      case 'heartbeat':
        this.#following.noteHeads(frame.data.heads);
        break;
      case 'inbox_snapshot':
        this.#inbox?.snapshot(frame.data);
        break;
      case 'error':
        this.#refused(frame.data);
        break;
      default:
      // The connection's own business, or of a later server.
    }
    this.#pump();
  }

  #welcome({ actor }: DataOf<'welcome'>): void {
    if (this.#accountId !== null && this.#accountId !== actor.id) {
      // Or the messages of one person would go out in the name of another.
      this.#fault('ACCOUNT_CHANGED');
      this.close();
      return;
    }
    this.#accountId = actor.id;
    this.#sending.setAccount(actor.id);
    this.#sending.connected();
    this.#inbox?.connected();
    this.#connecting?.resolve();
    this.#connecting = null;
  }

  #acked({ clientMessageId, sessionId, messageId, seq, timestamp }: DataOf<'message_ack'>): void {
    const entry = clientMessageId === null ? undefined : this.#stored(clientMessageId, sessionId);
    if (!entry) return;
    const { content, messageType = 'text', attachments = [] } = entry;
    const message = {
      messageId,
      senderId: this.#accountId as number,
      senderType: this.#type,
      content,
      messageType,
      createdAt: timestamp,
      seq,
      status: 'sent' as const,
      attachments: [...attachments],
      clientMessageId: entry.clientMessageId,
    };
    this.#heard(sessionId, { kind: 'message', seq, at: timestamp, message });
    this.#acknowledge({ sessionId, messageId, clientMessageId: entry.clientMessageId, seq, timestamp });
  }

  /** The server has a message. @returns the entry, if it waited for that */
  #stored(clientMessageId: string, sessionId: string): Entry | undefined {
    const entry = this.#sending.stored(clientMessageId, sessionId);
    if (entry && entry.sessionId === null) {
      // The conversation has an id now, and with it all that was written in it.
      this.#following.look(sessionId).takeOwn(this.#draft);
      this.#currentId = sessionId;
      this.#tell('change', this.#draft);
    }
    return entry;
  }

  #acknowledge(ack: Ack): void {
    this.#tell('sent', ack);
    this.#sending.resolve(ack);
  }

  /** A frame told an event of a session as it happened. */
  #heard(sessionId: string, event: ViewEvent): void {
    this.#inbox?.note(sessionId, event.seq, event.kind === 'status' ? { status: event.status, adminId: event.adminId } : {});
    if (!this.#following.follows(sessionId) && this.#concerns(event)) {
      this.#following.follow(sessionId, 'heard', Math.max(0, event.seq - this.#history), event.seq);
    }
    this.#following.add(sessionId, [event], this.#clock.now());
  }

  /** Whether an event makes us follow its session: all of a user's; an admin's own, and what waits for one. */
  #concerns(event: ViewEvent): boolean {
    if (this.#type === 'user' || this.#attended === 'all') return true;
    if (event.kind === 'message') return this.#attended === 'mine' || this.#isOwn(event);
    // While the inbox is kept, it tells how far back to begin.
    return event.kind === 'status' && this.#attended === 'mine' && !this.#inbox && event.adminId === this.#accountId;
  }

  #isOwn({ message }: Extract<ViewEvent, { kind: 'message' }>): boolean {
    return message.senderType === this.#type && message.senderId === this.#accountId;
  }

  #applied(view: SessionView, event: ViewEvent, live: boolean): void {
    const sessionId = view.sessionId as string;
    if (event.kind === 'message') {
      const { message } = event;
      const own = this.#isOwn(event);
      const { clientMessageId, messageId, seq, createdAt: timestamp } = message;
      // The log tells it where the ack was lost.
      if (own && clientMessageId !== undefined && this.#stored(clientMessageId, sessionId)) {
        this.#acknowledge({ sessionId, messageId, clientMessageId, seq, timestamp });
      }
      if (message.senderType !== this.#type && this.#sayDelivered) this.#receipts.mark(sessionId, 'delivered', seq);
      if (this.#type === 'user') this.#currentId ??= this.#draft.messages.length > 0 ? null : sessionId;
      this.#tell('message', { sessionId, message: shown(message), own, live });
    } else if (event.kind === 'status') {
      this.#tell('status', { sessionId, status: event.status, adminId: event.adminId, live });
      if (live) this.#lookAway(view);
    }
    this.#tell('event', { sessionId, event, live });
    this.#tell('change', view);
  }

  #resumed(data: DataOf<'resumed'>, requestId: unknown): void {
    const view = this.#following.resumed(data, requestId);
    if (!view) return;
    const { sessionId, reset, receipts = [] } = data;
    if (reset) this.#receipts.forget(sessionId);
    const own = receipts.find((r) => r.readerType === this.#type && r.readerId === this.#accountId);
    this.#receipts.confirm(sessionId, { delivered: own?.deliveredSeq ?? 0, read: own?.readSeq ?? 0 });
    this.#lookAway(view);
    this.#tell('change', view);
  }

  /** A session that came up by itself and is another admin's now is none of our business any more. */
  #lookAway({ sessionId, status, adminId }: SessionView): void {
    if (this.#type === 'user' || this.#attended === 'all' || status !== 'active') return;
    if (adminId !== this.#accountId) this.#leave(sessionId as string, false);
  }

  #leave(sessionId: string, opened: boolean): void {
    if (this.#following.leave(sessionId, opened)) this.#line.send({ type: 'unfollow', data: { sessions: [sessionId] } });
  }

  #refused({ code, message, retryable, retryAfterMs, requestId, clientMessageId, sessionId }: DataOf<'error'>): void {
    const refusal = { code, retryable, retryAfterMs };
    const asked = String(requestId ?? '');
    if (asked.startsWith('follow')) this.#following.refused(asked, sessionId, refusal, this.#clock.now());
    else if (requestId !== undefined || !this.#sending.refused(clientMessageId, refusal, message)) {
      this.#tell('error', new SwitchboardError(code, message));
    }
  }

  #inboxChanged(entry: InboxEntry): void {
    this.#attend(entry);
    this.#following.noteHeads({ [entry.sessionId]: entry.lastSeq });
    this.#tell('inbox', entry);
  }

  #attend({ sessionId, status, adminId, lastSeq }: InboxEntry): void {
    const attended = this.#attended === 'all' || (this.#attended === 'mine' && adminId === this.#accountId);
    if (!attended || status === 'closed' || this.#following.follows(sessionId)) return;
    this.#following.follow(sessionId, 'heard', Math.max(0, lastSeq - this.#history), lastSeq + 1);
  }

  /** Where a user's message goes that names no session; null leaves it to the server. */
  #openSession(): string | null {
    if (this.#type === 'admin' || this.#currentId === null) return null;
    if (this.session().status !== 'closed') return this.#currentId;
    this.#currentId = null;
    return null;
  }

  #show(entry: Entry): void {
    if (entry.sessionId === null) this.#currentId = null;
    const view = this.session(entry.sessionId);
    view.addOwn(entry);
    this.#tell('change', view);
    this.#pump();
  }

  #failed({ clientMessageId, sessionId }: Entry, error: SwitchboardError): void {
    const view = this.session(sessionId);
    view.failOwn(clientMessageId, error.code);
    this.#tell('failed', { clientMessageId, sessionId, error });
    this.#tell('change', view);
  }

  #mark(sessionId: string, kind: ReceiptKind, upToSeq: number): void {
    this.#receipts.mark(sessionId, kind, upToSeq);
    this.#pump();
  }

  /** Sends whatever is due, and sees to it that the rest is sent when it is. */
  #pump(): void {
    // What is sent may lead to more; one run at a time.
    if (this.#pumping || this.#line.phase !== 'online') return;
    this.#pumping = true;
    this.#cancelPump();
    const now = this.#clock.now();
    let next = Infinity;
    for (const part of [this.#sending, this.#following, this.#receipts, this.#inbox]) {
      const { send, wakeAt } = part?.next(now) ?? { send: [], wakeAt: Infinity };
      for (const frame of send) this.#line.send(frame);
      next = Math.min(next, wakeAt);
    }
    this.#pumping = false;
    if (next < Infinity) this.#cancelPump = this.#clock.after(Math.max(0, Math.ceil(next - now)), () => this.#pump());
  }

  #fault(code: string, cause?: unknown): void {
    this.#tell('error', new SwitchboardError(code, undefined, cause));
  }
}
