import { WebSocket } from 'ws';

/** Waits so long before it comes back: short, so that a storm has many returns. Longer where nobody was there to take it. */
const RETURN_MS = 25;
const ABSENT_MS = 100;

export interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** A connection that always comes back, until it is told to stop. */
export abstract class Client {
  protected socket: WebSocket | null = null;
  /** Counts its connections: 1 is the first. */
  connection = 0;
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
  protected lost(): void {}

  #connect(): void {
    const socket = new WebSocket(this.#address(), { handshakeTimeout: 5_000 });
    this.socket = socket;
    let wait = ABSENT_MS;
    socket.on('open', () => {
      wait = RETURN_MS;
      this.connection++;
      this.opened();
    });
    socket.on('message', (data) => this.received(JSON.parse((data as Buffer).toString('utf8')) as Frame));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.lost();
      if (!this.#stopped) this.#timer = setTimeout(() => this.#connect(), wait);
    });
  }
}

/** The event that one of the contract's frames tells of; null for other frames. */
export function eventIn({ type, data }: Frame): { sessionId: string; seq: number; messageId: string | null } | null {
  const sessionId = data['sessionId'] as string;
  if (type === 'session_status_changed') return { sessionId, seq: data['seq'] as number, messageId: null };
  if (type !== 'new_user_message' && type !== 'new_admin_message') return null;
  const { seq, messageId } = data['message'] as { seq: number; messageId: string };
  return { sessionId, seq, messageId };
}
