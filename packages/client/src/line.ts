import type { ServerFrame } from '@switchboard/protocol';
import { type ConnectionEffect, type ConnectionInput, idle, type Phase, step } from './connection.ts';
import { chatUrl, type Clock, listenToPage, type Socket, type SocketConstructor } from './host.ts';

export interface LineParts {
  readonly url: string;
  readonly type: 'user' | 'admin';
  readonly auth: () => string | Promise<string>;
  readonly WebSocket: SocketConstructor;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFrame: (frame: ServerFrame) => void;
  readonly onPhase: (phase: Phase, closeCode: number | null) => void;
  readonly onError: (code: string, cause: unknown) => void;
  readonly onLeave: () => void;
}

export interface Line {
  readonly phase: Phase;
  connect(): void;
  close(): void;
  /** Sends a frame, if there is an open connection; one that gets lost is not noticed here. */
  send(frame: object): void;
}

/** Drives the state machine of `connection.ts`: the socket, the timer and the browser's events are here. */
export function createLine(parts: LineParts): Line {
  const { clock, onError } = parts;
  let state = idle;
  let socket: Socket | null = null;
  /** Other names that the server has for frames, as its welcome tells; what comes before that waits for it. */
  let names: Record<string, string> | null = null;
  let early: ServerFrame[] = [];
  let cancelWake = (): void => undefined;
  let stopListening: (() => void) | null = null;

  function feed(input: ConnectionInput): void {
    const before = state.phase;
    const next = step(state, input, { now: clock.now(), random: parts.random });
    state = next.state;
    cancelWake();
    if (state.wakeAt < Infinity) cancelWake = clock.after(state.wakeAt - clock.now(), () => feed({ type: 'woke' }));
    for (const effect of next.effects) carryOut(effect);
    // An effect may have led further, and told of it.
    if (state.phase !== before && state === next.state) parts.onPhase(state.phase, state.closeCode);
  }

  function carryOut(effect: ConnectionEffect): void {
    switch (effect) {
      case 'authorize':
        void authorize(state.attempt);
        break;
      case 'dial':
        dial(state.attempt);
        break;
      case 'hello':
      case 'ping':
        send({ type: effect });
        break;
      case 'refresh':
        send({ type: 'auth_refresh', requestId: 'auth', data: { token: state.token } });
        break;
      case 'hang_up':
        hangUp();
        break;
    }
  }

  async function authorize(attempt: number): Promise<void> {
    let token: string | null = null;
    try {
      token = (await parts.auth()) || null;
    } catch (error) {
      onError('AUTH', error);
    }
    feed({ type: 'token', attempt, token });
  }

  function dial(attempt: number): void {
    try {
      const dialed = new parts.WebSocket(chatUrl(parts.url, { token: state.token as string, type: parts.type }));
      socket = dialed;
      dialed.onopen = () => feed({ type: 'opened', attempt });
      dialed.onmessage = ({ data }: { data: unknown }) => hear(attempt, data);
      dialed.onclose = ({ code }: { code: number }) => feed({ type: 'closed', attempt, code });
      // A close follows, and says all that there is to know.
      dialed.onerror = () => undefined;
    } catch (error) {
      onError('SOCKET', error);
      feed({ type: 'closed', attempt, code: 1006 });
    }
  }

  function hangUp(): void {
    const old = socket;
    if (!old) return;
    socket = names = null;
    early = [];
    // On a dead line the browser may take minutes to tell the end.
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  }

  function hear(attempt: number, text: unknown): void {
    let frame: ServerFrame;
    let reconnectInMs: number;
    try {
      frame = JSON.parse(String(text)) as ServerFrame;
      ({ reconnectInMs = 0 } = frame.data as { reconnectInMs?: number });
    } catch {
      // Not from a server of ours.
      return;
    }
    feed({ type: inputs[frame.type] ?? 'heard', attempt, reconnectInMs });
    if (frame.type === 'welcome') {
      names = {};
      for (const name in frame.data.frameNames) names[frame.data.frameNames[name] as string] = name;
      early.unshift(frame);
    } else early.push(frame);
    for (let next; names && (next = early.shift());) {
      parts.onFrame({ ...next, type: names[next.type] ?? next.type } as ServerFrame);
    }
  }

  function send(frame: object): void {
    try {
      socket?.send(JSON.stringify(frame));
    } catch (error) {
      onError('SOCKET', error);
    }
  }

  return {
    get phase() {
      return state.phase;
    },
    connect() {
      stopListening ??= listenToPage((news) => (news === 'pagehide' ? parts.onLeave() : feed({ type: news })));
      feed({ type: 'connect' });
    },
    close() {
      stopListening?.();
      stopListening = null;
      feed({ type: 'close' });
    },
    send,
  };
}

const inputs: Readonly<Record<string, 'welcome' | 'expiring' | 'refreshed' | 'draining'>> = {
  welcome: 'welcome',
  auth_expiring: 'expiring',
  auth_refreshed: 'refreshed',
  draining: 'draining',
};
