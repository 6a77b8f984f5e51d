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
  /** Number of the present try, or of the next one: whatever comes of an earlier try is known by it. */
  readonly attempt: number;
  /** Tries in a row that did not lead to a stable connection. */
  readonly failures: number;
  /** When `woke` is due; Infinity for never. All times are milliseconds of one clock. */
  readonly wakeAt: number;
  /** No try before this moment: the server asked for it. */
  readonly notBefore: number;
  readonly onlineAt: number;
  readonly heardAt: number;
  readonly pingAt: number;
  /** When a new token was last asked for on an open connection. */
  readonly refreshAt: number;
  /** How long the server that is about to end wants us to stay away. */
  readonly advisedMs: number;
  /** What `auth` gave last: to dial with, or offered on the open connection. */
  readonly token: string | null;
  /** What the server goes by: the token dialed with, or a newer one that it took. */
  readonly takenToken: string | null;
  /** A token that the server no longer goes by: no use in showing it again. */
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
  | { readonly type: 'opened'; readonly attempt: number }
  /** A frame; `reconnectInMs` is of `draining` alone. */
  | {
      readonly type: 'welcome' | 'expiring' | 'refreshed' | 'draining' | 'heard';
      readonly attempt: number;
      readonly reconnectInMs: number;
    }
  | { readonly type: 'closed'; readonly attempt: number; readonly code: number };

/**
 * What the driver has to do, with the state that comes with it:
 * `authorize`: ask for a token, and give it back as `token` with the number of this try · `dial`: open a socket with
 * `state.token` · `hello`, `ping`: send that frame · `refresh`: send `state.token` as the new one · `hang_up`: close the
 * socket, if there is one, and listen to it no longer.
 */
export type ConnectionEffect = 'authorize' | 'dial' | 'hello' | 'ping' | 'refresh' | 'hang_up';

export interface World {
  readonly now: number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
}

export interface Step {
  readonly state: ConnectionState;
  readonly effects: readonly ConnectionEffect[];
}

export const AUTH_MS = 30_000;
export const DIAL_MS = 10_000;
export const GREET_MS = 10_000;
export const PING_MS = 25_000;
export const SILENCE_MS = 35_000;
/** How long an answer may take when there is reason to doubt the line. */
export const PROBE_MS = 10_000;
/** A `woke` that comes so much too late says that we were asleep, not that the server was. */
export const LATE_MS = 5_000;
const BACKOFF_BASE_MS = 1_000;
export const BACKOFF_CAP_MS = 30_000;
export const STABLE_MS = 30_000;
export const FLOOD_MS = 60_000;
const REFRESH_EVERY_MS = 10_000;

/** Close codes that say more than "come back"; the protocol's `closeCodes`. */
export const UNAUTHORIZED = 4001;
const FORBIDDEN = 4003;
const FLOOD = 4029;
/** What a browser says of a connection that ended without a word. */
const NO_WORD = 1006;

export const idle: ConnectionState = {
  phase: 'idle',
  attempt: 0,
  failures: 0,
  wakeAt: Infinity,
  notBefore: 0,
  onlineAt: 0,
  heardAt: 0,
  pingAt: 0,
  refreshAt: -Infinity,
  advisedMs: 0,
  token: null,
  takenToken: null,
  spentToken: null,
  offline: false,
  closeCode: null,
};

/** What an input does. */
export function step(state: ConnectionState, input: ConnectionInput, world: World): Step {
  switch (input.type) {
    case 'connect':
      if (state.phase === 'idle' || state.phase === 'stopped') return begin({ ...state, failures: 0 }, world);
      return networkIsBack(state, world);
    case 'close':
      return stop(state);
    case 'woke':
      return world.now < state.wakeAt ? goOn(state) : woke(state, world);
    case 'online':
      return networkIsBack({ ...state, offline: false }, world);
    case 'offline':
      return goOn({ ...state, offline: true });
    default:
      return input.attempt === state.attempt ? fromThisTry(state, input, world) : goOn(state);
  }
}

function fromThisTry(state: ConnectionState, input: Extract<ConnectionInput, { attempt: number }>, world: World): Step {
  const { now } = world;
  switch (input.type) {
    case 'token':
      return gotToken(state, input.token, world);
    case 'opened':
      if (state.phase !== 'connecting') return goOn(state);
      return goOn({ ...state, phase: 'greeting', heardAt: now, wakeAt: now + GREET_MS }, 'hello');
    case 'welcome':
      if (state.phase !== 'greeting') return heard(state, now);
      return goOn(
        watched({ ...state, phase: 'online', onlineAt: now, heardAt: now, pingAt: now + PING_MS, advisedMs: 0 }),
      );
    case 'heard':
      return heard(state, now);
    case 'draining':
      return heard({ ...state, advisedMs: input.reconnectInMs }, now);
    case 'expiring':
      if (state.phase !== 'online' || now - state.refreshAt < REFRESH_EVERY_MS) return heard(state, now);
      return goOn(watched({ ...state, heardAt: now, refreshAt: now }), 'authorize');
    case 'refreshed':
      return heard({ ...state, takenToken: state.token }, now);
    case 'closed':
      return closed(state, input.code, world);
  }
}

function begin(state: ConnectionState, { now }: World): Step {
  const fresh = { phase: 'connecting', token: null, closeCode: null, wakeAt: now + AUTH_MS } as const;
  return goOn({ ...state, ...fresh }, 'authorize');
}

function gotToken(state: ConnectionState, token: string | null, world: World): Step {
  if (state.phase === 'online') {
    // A token for the open connection. Without one the server will close it in time, and we come back.
    if (token === null || token === state.token) return goOn(state);
    return goOn({ ...state, token }, 'refresh');
  }
  if (state.phase !== 'connecting' || state.token !== null) return goOn(state);
  if (token === null || token === state.spentToken) return wait(state, world);
  return goOn({ ...state, token, takenToken: token, wakeAt: world.now + DIAL_MS }, 'dial');
}

function closed(state: ConnectionState, code: number, world: World): Step {
  const ended = { ...state, closeCode: code };
  if (code === FORBIDDEN) return stop(ended);
  return wait(code === UNAUTHORIZED ? { ...ended, spentToken: state.takenToken } : ended, world);
}

/** Full jitter: anything from nothing to the bound, which doubles with every failure. */
function wait(state: ConnectionState, { now, random }: World): Step {
  const stable = state.phase === 'online' && now - state.onlineAt >= STABLE_MS;
  const failures = stable ? 0 : state.failures;
  const bound = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 10));
  const notBefore = now + (state.closeCode === FLOOD ? FLOOD_MS : state.advisedMs);
  const wakeAt = Math.max(notBefore + random() * bound, state.offline ? now + BACKOFF_CAP_MS : 0);
  const waiting = { phase: 'waiting', failures: failures + 1, notBefore, wakeAt, advisedMs: 0 } as const;
  return goOn({ ...state, ...waiting, attempt: state.attempt + 1 }, 'hang_up');
}

function stop(state: ConnectionState): Step {
  return goOn({ ...state, phase: 'stopped', wakeAt: Infinity, attempt: state.attempt + 1 }, 'hang_up');
}

function woke(state: ConnectionState, world: World): Step {
  const { now } = world;
  if (state.phase === 'waiting') return begin(state, world);
  if (state.phase === 'online') {
    if (now < state.heardAt + SILENCE_MS) {
      return now < state.pingAt ? goOn(watched(state)) : goOn(watched({ ...state, pingAt: now + PING_MS }), 'ping');
    }
    if (now - state.wakeAt > LATE_MS) return probe(state, world, true);
  }
  return wait({ ...state, closeCode: NO_WORD }, world);
}

/** Somebody believes that it is worth a try. */
function networkIsBack(state: ConnectionState, world: World): Step {
  if (state.phase === 'online') return probe(state, world);
  if (state.phase !== 'waiting') return goOn(state);
  // A whole office gets its network back at the same moment.
  const soon = Math.max(state.notBefore, world.now + world.random() * BACKOFF_BASE_MS);
  return goOn({ ...state, wakeAt: Math.min(state.wakeAt, soon) });
}

/** Asks whether the other end is there, and gives it little time to answer; none more if it has been silent already. */
function probe(state: ConnectionState, { now }: World, patient = false): Step {
  const graced = now - SILENCE_MS + PROBE_MS;
  const heardAt = patient ? graced : Math.min(state.heardAt, graced);
  return goOn(watched({ ...state, heardAt, pingAt: now + PING_MS }), 'ping');
}

function heard(state: ConnectionState, now: number): Step {
  return goOn(state.phase === 'online' ? watched({ ...state, heardAt: now }) : state);
}

/** Online: wakes for the next ping or for the end of patience, whichever comes first. */
function watched(state: ConnectionState): ConnectionState {
  return { ...state, wakeAt: Math.min(state.pingAt, state.heardAt + SILENCE_MS) };
}

function goOn(state: ConnectionState, ...effects: ConnectionEffect[]): Step {
  return { state, effects };
}
