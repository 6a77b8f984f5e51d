/**
 * One client's connection as a pure state machine: no socket, no timer, no clock. Whoever drives it feeds in what
 * happens and does what the effects say.
 *
 *            connect                 open                 welcome
 *    idle ────────────▶ connecting ───────▶ greeting ───────────────▶ online
 *                        ▲   │  auth fails,    │  closed, no            │  closed, silent
 *                  time, │   │  no socket      │  welcome in time       │  for 35 s
 *                 online │   ▼                 ▼                        ▼
 *                        └─ waiting ◀──────────┴────────────────────────┘
 *
 *    any ── close, or closed with 4003 ──▶ stopped ── connect ──▶ connecting
 *
 * `connecting` asks for a token first, on every try, and then opens a socket. What belongs to an earlier try, such as a
 * token that comes too late or the end of a socket that was given up, carries that try's number and is ignored.
 */
export type Phase = 'idle' | 'connecting' | 'greeting' | 'online' | 'waiting' | 'stopped';

export interface ConnectionState {
  readonly phase: Phase;
  /** Number of the present or latest try. */
  readonly attempt: number;
  /** Tries in a row that did not lead to a stable connection. */
  readonly failures: number;
  /** When `woke` is due; null for never. All times are milliseconds of one clock. */
  readonly wakeAt: number | null;
  /** No try before this moment: the server asked for it. */
  readonly notBefore: number;
  readonly onlineAt: number;
  readonly heardAt: number;
  readonly pingAt: number;
  /** When a new token was last asked for on an open connection. */
  readonly refreshAt: number;
  /** How long the server that is about to end wants us to stay away. */
  readonly advisedMs: number;
  readonly token: string | null;
  /** A token that the server has refused: no use in showing it again. */
  readonly spentToken: string | null;
  /** The browser says that there is no network. */
  readonly offline: boolean;
  /** The code that the latest socket was closed with; null while there is none. */
  readonly closeCode: number | null;
}

export type ConnectionInput =
  | { readonly type: 'connect' | 'close' | 'woke' | 'online' | 'offline' }
  /** What `auth` gave; null when it failed. */
  | { readonly type: 'token'; readonly attempt: number; readonly token: string | null }
  | { readonly type: 'opened' | 'welcome' | 'heard' | 'expiring'; readonly attempt: number }
  | { readonly type: 'draining'; readonly attempt: number; readonly reconnectInMs: number }
  | { readonly type: 'closed'; readonly attempt: number; readonly code: number };

export type ConnectionEffect =
  /** Ask for a token, and give it back as `token` with this number. */
  | { readonly type: 'authorize'; readonly attempt: number }
  | { readonly type: 'dial'; readonly attempt: number; readonly token: string }
  | { readonly type: 'hello' }
  | { readonly type: 'ping' }
  | { readonly type: 'refresh'; readonly token: string }
  /** Close the socket, if there is one, and listen to it no longer. */
  | { readonly type: 'hang_up' }
  /** The server no longer takes the token. */
  | { readonly type: 'unauthorized' };

export interface World {
  readonly now: number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
}

export interface Step {
  readonly state: ConnectionState;
  readonly effects: readonly ConnectionEffect[];
}

export const timing = {
  authMs: 30_000,
  dialMs: 10_000,
  greetMs: 10_000,
  pingMs: 25_000,
  silenceMs: 35_000,
  /** How long an answer may take when there is reason to doubt the line. */
  probeMs: 10_000,
  /** A `woke` that comes so much too late says that we were asleep, not that the server was. */
  lateMs: 5_000,
  backoffBaseMs: 1_000,
  backoffCapMs: 30_000,
  stableMs: 30_000,
  floodMs: 60_000,
  refreshEveryMs: 10_000,
} as const;

/** Close codes that say more than "come back"; the protocol's `closeCodes`. */
const UNAUTHORIZED = 4001;
const FORBIDDEN = 4003;
const FLOOD = 4029;
/** What a browser says of a connection that ended without a word. */
const NO_WORD = 1006;

export const idle: ConnectionState = {
  phase: 'idle',
  attempt: 0,
  failures: 0,
  wakeAt: null,
  notBefore: 0,
  onlineAt: 0,
  heardAt: 0,
  pingAt: 0,
  refreshAt: Number.NEGATIVE_INFINITY,
  advisedMs: 0,
  token: null,
  spentToken: null,
  offline: false,
  closeCode: null,
};

/** What an input does. */
export function step(state: ConnectionState, input: ConnectionInput, world: World): Step {
  switch (input.type) {
    case 'connect':
      if (state.phase === 'idle' || state.phase === 'stopped') return begin({ ...state, failures: 0 }, world);
      return state.phase === 'waiting' ? stay({ ...state, wakeAt: Math.max(world.now, state.notBefore) }) : stay(state);
    case 'close':
      return stop(state);
    case 'woke':
      return state.wakeAt === null || world.now < state.wakeAt ? stay(state) : woke(state, world, state.wakeAt);
    case 'online':
      return networkIsBack({ ...state, offline: false }, world);
    case 'offline':
      return state.phase === 'online' ? probe({ ...state, offline: true }, world) : stay({ ...state, offline: true });
    default:
      return input.attempt === state.attempt ? fromThisTry(state, input, world) : stay(state);
  }
}

function fromThisTry(
  state: ConnectionState,
  input: Extract<ConnectionInput, { attempt: number }>,
  world: World,
): Step {
  const { now } = world;
  const live = state.phase === 'greeting' || state.phase === 'online';
  switch (input.type) {
    case 'token':
      return gotToken(state, input.token, world);
    case 'opened': {
      if (state.phase !== 'connecting') return stay(state);
      const greeting = { ...state, phase: 'greeting', heardAt: now, wakeAt: now + timing.greetMs } as const;
      return { state: greeting, effects: [{ type: 'hello' }] };
    }
    case 'welcome':
      if (state.phase !== 'greeting') return heard(state, now);
      return stay(
        watched({ ...state, phase: 'online', onlineAt: now, heardAt: now, pingAt: now + timing.pingMs, advisedMs: 0 }),
      );
    case 'heard':
      return heard(state, now);
    case 'draining':
      return live ? heard({ ...state, advisedMs: input.reconnectInMs }, now) : stay(state);
    case 'expiring':
      if (state.phase !== 'online' || now - state.refreshAt < timing.refreshEveryMs) return heard(state, now);
      return {
        state: watched({ ...state, heardAt: now, refreshAt: now }),
        effects: [{ type: 'authorize', attempt: state.attempt }],
      };
    case 'closed':
      return live || state.phase === 'connecting' ? closed(state, input.code, world) : stay(state);
  }
}

function begin(state: ConnectionState, { now }: World): Step {
  const attempt = state.attempt + 1;
  const fresh = { phase: 'connecting', attempt, token: null, closeCode: null, wakeAt: now + timing.authMs } as const;
  return { state: { ...state, ...fresh }, effects: [{ type: 'authorize', attempt }] };
}

function gotToken(state: ConnectionState, token: string | null, world: World): Step {
  if (state.phase === 'online') {
    // A token for the open connection. Without one the server will close it in time, and we come back.
    if (token === null || token === state.token) return stay(state);
    return { state: { ...state, token }, effects: [{ type: 'refresh', token }] };
  }
  if (state.phase !== 'connecting' || state.token !== null) return stay(state);
  if (token === null || token === state.spentToken) return wait(state, world, []);
  const dialing = { ...state, token, wakeAt: world.now + timing.dialMs };
  return { state: dialing, effects: [{ type: 'dial', attempt: state.attempt, token }] };
}

function closed(state: ConnectionState, code: number, world: World): Step {
  const ended = { ...state, closeCode: code };
  if (code === FORBIDDEN) return stop(ended);
  if (code === UNAUTHORIZED) return wait({ ...ended, spentToken: state.token }, world, [{ type: 'unauthorized' }]);
  return wait(ended, world, []);
}

/** Full jitter: anything from nothing to the bound, which doubles with every failure. */
function wait(state: ConnectionState, { now, random }: World, effects: readonly ConnectionEffect[]): Step {
  const stable = state.phase === 'online' && now - state.onlineAt >= timing.stableMs;
  const failures = stable ? 0 : state.failures;
  const bound = Math.min(timing.backoffCapMs, timing.backoffBaseMs * 2 ** Math.min(failures, 10));
  const notBefore = now + (state.closeCode === FLOOD ? timing.floodMs : state.advisedMs);
  const wakeAt = Math.max(notBefore + random() * bound, state.offline ? now + timing.backoffCapMs : 0);
  return {
    state: { ...state, phase: 'waiting', failures: failures + 1, notBefore, wakeAt, advisedMs: 0 },
    effects: [...effects, { type: 'hang_up' }],
  };
}

function stop(state: ConnectionState): Step {
  return { state: { ...state, phase: 'stopped', wakeAt: null, failures: 0 }, effects: [{ type: 'hang_up' }] };
}

function woke(state: ConnectionState, world: World, dueAt: number): Step {
  const { now } = world;
  switch (state.phase) {
    case 'idle':
    case 'stopped':
      return stay(state);
    case 'waiting':
      return begin(state, world);
    case 'connecting':
    case 'greeting':
      return wait({ ...state, closeCode: NO_WORD }, world, []);
    case 'online':
      if (now - state.heardAt >= timing.silenceMs) {
        if (now - dueAt > timing.lateMs) return probe(state, world, true);
        return wait({ ...state, closeCode: NO_WORD }, world, []);
      }
      if (now < state.pingAt) return stay(watched(state));
      return { state: watched({ ...state, pingAt: now + timing.pingMs }), effects: [{ type: 'ping' }] };
  }
}

function networkIsBack(state: ConnectionState, world: World): Step {
  if (state.phase === 'online') return probe(state, world);
  if (state.phase !== 'waiting') return stay(state);
  // A whole office gets its network back at the same moment.
  const soon = Math.max(state.notBefore, world.now + world.random() * timing.backoffBaseMs);
  return stay({ ...state, wakeAt: Math.min(state.wakeAt ?? soon, soon) });
}

/** Asks whether the other end is there, and gives it little time to answer; none more if it has been silent already. */
function probe(state: ConnectionState, { now }: World, patient = false): Step {
  const graced = now - timing.silenceMs + timing.probeMs;
  const heardAt = patient ? graced : Math.min(state.heardAt, graced);
  return { state: watched({ ...state, heardAt, pingAt: now + timing.pingMs }), effects: [{ type: 'ping' }] };
}

function heard(state: ConnectionState, now: number): Step {
  return stay(state.phase === 'online' ? watched({ ...state, heardAt: now }) : state);
}

/** Online: wakes for the next ping or for the end of patience, whichever comes first. */
function watched(state: ConnectionState): ConnectionState {
  return { ...state, wakeAt: Math.min(state.pingAt, state.heardAt + timing.silenceMs) };
}

function stay(state: ConnectionState): Step {
  return { state, effects: [] };
}
