import { WebSocket } from 'ws';
import type { History } from './history.ts';

/** Waits so long before it comes back: short, so that a storm has many returns. */
const RETURN_MS = 25;

/** A connection that always comes back, until it is told to stop. */
abstract class Client {
  protected socket: WebSocket | null = null;
  protected connection = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #address: () => string;

  constructor(address: () => string) {
    this.#address = address;
  }

  start(): this {
    this.#connect();
    return this;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.socket?.terminate();
  }

  get open(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Cuts the line as a failing network does. */
  cut(): void {
    this.socket?.terminate();
  }

  protected frame(value: unknown): void {
    if (this.open) this.socket?.send(JSON.stringify(value));
  }

  protected abstract opened(): void;
  protected abstract received(frame: Frame): void;

  #connect(): void {
    const socket = new WebSocket(this.#address(), { handshakeTimeout: 5_000 });
    this.socket = socket;
    socket.on('open', () => {
      this.connection++;
      this.opened();
    });
    socket.on('message', (data) => this.received(JSON.parse((data as Buffer).toString('utf8')) as Frame));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (!this.#stopped) this.#timer = setTimeout(() => this.#connect(), RETURN_MS);
    });
  }
}

interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

interface LogEvent {
  readonly kind: string;
  readonly seq: number;
  readonly message?: { readonly messageId: string };
}

/** A user who keeps so many messages in flight, and hands in again what was not acknowledged. Speaks the plain contract. */
export class Sender extends Client {
  readonly sessionId: string;
  readonly #history: History;
  readonly #window: number;
  readonly #pending = new Map<string, { content: string }>();
  #next = 0;
  #flowing = true;
  retries = 0;
  acked = 0;
  /** When the last ack came; milliseconds. */
  ackedAt = 0;

  constructor(address: () => string, sessionId: string, window: number, history: History) {
    super(address);
    this.sessionId = sessionId;
    this.#window = window;
    this.#history = history;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** No new messages from now on; those in flight are seen through. */
  finish(): void {
    this.#flowing = false;
  }

  protected opened(): void {
    for (const [id, { content }] of this.#pending) {
      this.retries++;
      this.#send(id, content);
    }
    this.#fill();
  }

  protected received({ type, data }: Frame): void {
    const id = data['clientMessageId'] as string;
    if (type === 'error' && data['retryable'] === true) {
      const entry = this.#pending.get(id);
      if (entry) setTimeout(() => this.#pending.has(id) && this.#send(id, entry.content), 100);
    }
    if (type !== 'message_ack') return;
    const { sessionId } = this;
    this.#history.add({
      what: 'acked',
      sessionId,
      clientMessageId: id,
      messageId: data['messageId'] as string,
      seq: data['seq'] as number,
    });
    this.ackedAt = Date.now();
    if (this.#pending.delete(id)) this.acked++;
    this.#fill();
  }

  #fill(): void {
    while (this.#flowing && this.open && this.#pending.size < this.#window) {
      const clientMessageId = `c${this.#next++}`;
      const content = `${this.sessionId} says ${clientMessageId} 你好`;
      this.#pending.set(clientMessageId, { content });
      this.#history.add({ what: 'sent', sessionId: this.sessionId, clientMessageId, content });
      this.#send(clientMessageId, content);
    }
  }

  #send(clientMessageId: string, content: string): void {
    this.frame({ type: 'send_message', data: { sessionId: this.sessionId, content, clientMessageId } });
  }
}

/** An admin with the plain contract: sees what comes while it is connected. */
export class Watcher extends Client {
  readonly #name: string;
  readonly #history: History;

  constructor(address: () => string, name: string, history: History) {
    super(address);
    this.#name = name;
    this.#history = history;
  }

  protected opened(): void {}

  protected received({ type, data }: Frame): void {
    if (type !== 'new_user_message' && type !== 'new_admin_message' && type !== 'session_status_changed') return;
    const message = data['message'] as { messageId: string; seq: number } | undefined;
    const seq = message?.seq ?? (data['seq'] as number);
    this.#history.add({
      what: 'seen',
      observer: this.#name,
      connection: this.connection,
      sessionId: data['sessionId'] as string,
      seq,
      messageId: message?.messageId ?? null,
    });
  }
}

/** A connection that says hello, follows sessions and catches up whenever it comes back: it must be told everything, once. */
export class Follower extends Client {
  readonly heads = new Map<string, number>();
  readonly #name: string;
  readonly #history: History;
  readonly #sessions: readonly string[];
  readonly #known = new Set<string>();
  readonly #early = new Map<string, Map<number, string | null>>();
  gaps = 0;

  constructor(address: () => string, name: string, sessions: readonly string[], history: History) {
    super(address);
    this.#name = name;
    this.#sessions = sessions;
    this.#history = history;
  }

  protected opened(): void {
    this.frame({ type: 'hello', data: {} });
    this.#early.clear();
    this.resume(this.#sessions);
  }

  resume(sessions: readonly string[]): void {
    for (let i = 0; i < sessions.length; i += 200) {
      const part = sessions
        .slice(i, i + 200)
        .map((sessionId) => ({ sessionId, afterSeq: this.heads.get(sessionId) ?? 0 }));
      this.frame({ type: 'resume', data: { sessions: part } });
    }
  }

  protected received({ type, data }: Frame): void {
    const sessionId = data['sessionId'] as string;
    if (type === 'session_events')
      for (const event of data['events'] as LogEvent[])
        this.#apply(sessionId, event.seq, event.message?.messageId ?? null);
    if (type === 'session_event') {
      const event = data['event'] as LogEvent;
      this.#apply(sessionId, event.seq, event.message?.messageId ?? null);
    }
    if (type === 'new_user_message' || type === 'new_admin_message') {
      const { seq, messageId } = data['message'] as { seq: number; messageId: string };
      this.#apply(sessionId, seq, messageId);
    }
    if (type === 'session_status_changed') this.#apply(sessionId, data['seq'] as number, null);
    if (type === 'resumed') this.#known.add(sessionId);
    // A session that is not there yet, or a store that is away: asked for again.
    if (type === 'error' && sessionId !== undefined) setTimeout(() => this.resume([sessionId]), 200);
    if (type === 'heartbeat' || type === 'pong') this.#compare(data['heads'] as Record<string, number>);
  }

  #compare(heads: Record<string, number>): void {
    const behind = Object.entries(heads).filter(([id, head]) => head > (this.heads.get(id) ?? 0));
    if (behind.length > 0) this.resume(behind.map(([id]) => id));
  }

  /** In order of seq: repeats are dropped, what comes early waits for what is missing. */
  #apply(sessionId: string, seq: number, messageId: string | null): void {
    if (!this.#sessions.includes(sessionId)) return;
    const early = this.#early.get(sessionId) ?? new Map<number, string | null>();
    this.#early.set(sessionId, early);
    let head = this.heads.get(sessionId) ?? 0;
    if (seq <= head) return;
    if (seq > head + 1 && early.size === 0 && this.#known.has(sessionId)) {
      this.gaps++;
      this.resume([sessionId]);
    }
    early.set(seq, messageId);
    for (let next = early.get(head + 1); early.has(head + 1); next = early.get(head + 1)) {
      head++;
      early.delete(head);
      this.heads.set(sessionId, head);
      this.#history.add({
        what: 'seen',
        observer: this.#name,
        connection: this.connection,
        sessionId,
        seq: head,
        messageId: next ?? null,
      });
    }
  }
}
