import type { ServerFrame } from '@switchboard/protocol';
import {
  type ConnectionEffect,
  type ConnectionInput,
  type ConnectionState,
  idle,
  type Phase,
  step,
} from './connection.ts';
import { type Clock, listenToPage, type Socket, type SocketConstructor } from './host.ts';

export interface LineParts {
  /** The address of a connection, with this query. */
  readonly url: (query: Readonly<Record<string, string>>) => string;
  readonly type: 'user' | 'admin';
  readonly auth: () => string | Promise<string>;
  readonly WebSocket: SocketConstructor;
  readonly clock: Clock;
  readonly random: () => number;
  /** What the frames are called here, by the names that the server was told to use instead. */
  readonly frameNames: Readonly<Record<string, string>>;
  readonly clientId: string;
  readonly onFrame: (frame: ServerFrame) => void;
  readonly onPhase: (phase: Phase, closeCode: number | null) => void;
  readonly onUnauthorized: () => void;
  readonly onError: (code: string, cause: unknown) => void;
  readonly onLeave: () => void;
}

/** Drives the state machine of `connection.ts`: the socket, the timer and the browser's events are here. */
export class Line {
  readonly #parts: LineParts;
  #state: ConnectionState = idle;
  #socket: Socket | null = null;
  #cancelWake: () => void = () => undefined;
  #wakeAt = Infinity;
  #stopListening: (() => void) | null = null;

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  connect(): void {
    this.#stopListening ??= listenToPage((news) => {
      if (news === 'leave') this.#parts.onLeave();
      else this.#feed({ type: news });
    });
    this.#feed({ type: 'connect' });
  }

  close(): void {
    this.#stopListening?.();
    this.#stopListening = null;
    this.#feed({ type: 'close' });
  }

  /** Sends a frame, if there is an open connection; one that gets lost is not noticed here. */
  send(frame: object): void {
    try {
      this.#socket?.send(JSON.stringify(frame));
    } catch (error) {
      this.#parts.onError('SOCKET', error);
    }
  }

  #feed(input: ConnectionInput): void {
    const { clock, random, onPhase } = this.#parts;
    const before = this.#state.phase;
    const { state, effects } = step(this.#state, input, { now: clock.now(), random });
    this.#state = state;
    this.#wake(state.wakeAt);
    for (const effect of effects) this.#carryOut(effect);
    // An effect may have led further, and told of it.
    if (state.phase !== before && this.#state === state) onPhase(state.phase, state.closeCode);
  }

  #carryOut(effect: ConnectionEffect): void {
    const { attempt, token } = this.#state;
    switch (effect) {
      case 'authorize':
        void this.#authorize(attempt);
        break;
      case 'dial':
        this.#dial(attempt, token as string);
        break;
      case 'hello':
        this.send({ type: effect, data: { clientId: this.#parts.clientId } });
        break;
      case 'ping':
        this.send({ type: effect });
        break;
      case 'refresh':
        this.send({ type: 'auth_refresh', requestId: 'auth', data: { token } });
        break;
      case 'hang_up':
        this.#hangUp();
        break;
      case 'unauthorized':
        this.#parts.onUnauthorized();
        break;
    }
  }

  async #authorize(attempt: number): Promise<void> {
    let token: string | null = null;
    try {
      token = await this.#parts.auth();
    } catch (error) {
      this.#parts.onError('AUTH', error);
    }
    this.#feed({ type: 'token', attempt, token });
  }

  #dial(attempt: number, token: string): void {
    const { url, type, WebSocket, onError } = this.#parts;
    let socket: Socket;
    try {
      socket = new WebSocket(url({ token, type }));
    } catch (error) {
      onError('SOCKET', error);
      this.#feed({ type: 'closed', attempt, code: 1006 });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#feed({ type: 'opened', attempt });
    socket.onmessage = ({ data }: { data: unknown }) => this.#hear(attempt, data);
    socket.onclose = ({ code }: { code: number }) => this.#feed({ type: 'closed', attempt, code });
    // A close follows, and says all that there is to know.
    socket.onerror = () => undefined;
  }

  #hangUp(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    // On a dead line the browser may take minutes to tell the end.
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #hear(attempt: number, data: unknown): void {
    let frame: ServerFrame;
    try {
      frame = JSON.parse(String(data)) as ServerFrame;
    } catch {
      return;
    }
    const name = this.#parts.frameNames[frame.type];
    if (name !== undefined) frame = { ...frame, type: name } as ServerFrame;
    if (frame.type === 'draining') {
      this.#feed({ type: 'draining', attempt, reconnectInMs: frame.data.reconnectInMs });
    } else {
      this.#feed({ type: inputs[frame.type] ?? 'heard', attempt });
    }
    this.#parts.onFrame(frame);
  }

  #wake(at: number): void {
    if (at === this.#wakeAt) return;
    this.#cancelWake();
    this.#wakeAt = at;
    if (at === Infinity) return;
    const { clock } = this.#parts;
    this.#cancelWake = clock.after(Math.max(0, Math.ceil(at - clock.now())), () => {
      this.#wakeAt = Infinity;
      this.#feed({ type: 'woke' });
    });
  }
}

const inputs: Readonly<Record<string, 'welcome' | 'expiring'>> = { welcome: 'welcome', auth_expiring: 'expiring' };
