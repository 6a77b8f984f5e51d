import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  AUTH_MS,
  BACKOFF_CAP_MS,
  type ConnectionEffect,
  type ConnectionInput,
  type ConnectionState,
  DIAL_MS,
  FLOOD_MS,
  GREET_MS,
  idle,
  LATE_MS,
  type Phase,
  PING_MS,
  PROBE_MS,
  SILENCE_MS,
  STABLE_MS,
  step,
} from './connection.ts';

/** The machine, with a clock that stands still unless it is moved on. */
class Machine {
  now = 1_000_000;
  state: ConnectionState = idle;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  feed(input: ConnectionInput): readonly ConnectionEffect[] {
    const next = step(this.state, input, { now: this.now, random: this.#random });
    this.state = next.state;
    return next.effects;
  }

  /** What comes of the present try. */
  hear(type: string, more: object = {}): readonly ConnectionEffect[] {
    return this.feed({ type, attempt: this.state.attempt, reconnectInMs: 0, ...more } as ConnectionInput);
  }
}

/** What the protocol and the network know of the same connection, told another way: nothing of it is taken from the machine. */
class Model {
  phase: Phase = 'idle';
  /** The one socket that there may be. */
  socket: 'none' | 'opening' | 'open' = 'none';
  /** A token for the present try is awaited. */
  asking = false;
  /** The latest that was given; what the server goes by; what it no longer takes. */
  given: string | null = null;
  taken: string | null = null;
  spent: string | null = null;
  offline = false;
  failures = 0;
  advisedMs = 0;
  since = 0;
  heardAt = 0;
  pingAt = 0;
  refreshedAt = -Infinity;
  /** Between these the machine has to wake by itself. */
  wake: [number, number] = [Infinity, Infinity];
  notBefore = 0;
  /** Numbers of tries that have ended: none may be used again. */
  readonly ended = new Set<number>();

  waiting(now: number, code: number): void {
    if (this.phase === 'online' && now - this.since >= STABLE_MS) this.failures = 0;
    const bound = Math.min(BACKOFF_CAP_MS, 1_000 * 2 ** this.failures);
    this.failures += 1;
    this.notBefore = now + (code === 4029 ? FLOOD_MS : this.advisedMs);
    const least = this.offline ? now + BACKOFF_CAP_MS : 0;
    this.wake = [Math.max(this.notBefore, least), Math.max(this.notBefore + bound, least)];
    Object.assign(this, { phase: 'waiting', socket: 'none', asking: false, advisedMs: 0 });
  }

  connecting(now: number): void {
    Object.assign(this, { phase: 'connecting', asking: true, given: null });
    this.at(now + AUTH_MS);
  }

  heard(now: number): void {
    if (this.phase !== 'online') return;
    this.heardAt = now;
    this.watch();
  }

  /** The line is doubted: an answer has to come soon. */
  probe(now: number, patient: boolean): void {
    const graced = now - SILENCE_MS + PROBE_MS;
    this.heardAt = patient ? graced : Math.min(this.heardAt, graced);
    this.pingAt = now + PING_MS;
    this.watch();
  }

  watch(): void {
    this.at(Math.min(this.pingAt, this.heardAt + SILENCE_MS));
  }

  at(moment: number): void {
    this.wake = [moment, moment];
  }

  /** Somebody believes that the network is there. */
  encouraged(now: number): readonly ConnectionEffect[] {
    if (this.phase === 'waiting') {
      const [from, to] = this.wake;
      this.wake = [Math.min(from, Math.max(this.notBefore, now)), Math.min(to, Math.max(this.notBefore, now + 1_000))];
    }
    if (this.phase !== 'online') return [];
    this.probe(now, false);
    return ['ping'];
  }

  woke(now: number, lateMs: number): readonly ConnectionEffect[] {
    if (this.phase === 'waiting') {
      this.connecting(now);
      return ['authorize'];
    }
    if (this.phase === 'online' && now < this.heardAt + SILENCE_MS) {
      if (now < this.pingAt) return [];
      this.pingAt = now + PING_MS;
      this.watch();
      return ['ping'];
    }
    if (this.phase === 'online' && lateMs > LATE_MS) {
      this.probe(now, true);
      return ['ping'];
    }
    this.waiting(now, 1006);
    return ['hang_up'];
  }
}

type Command = fc.Command<Model, Machine>;

/** Something that may happen, if it may, and what has to come of it. */
function happens(
  name: string,
  may: (model: Model) => boolean,
  feed: (machine: Machine) => readonly ConnectionEffect[],
  expected: (model: Model, now: number) => readonly ConnectionEffect[],
): Command {
  return {
    check: (model) => may(model),
    run(model, machine) {
      const { attempt } = machine.state;
      const effects = feed(machine);
      expect([name, ...effects]).toEqual([name, ...expected(model, machine.now)]);
      if (effects.includes('hang_up')) model.ended.add(attempt);
      agree(model, machine, name);
    },
    toString: () => name,
  };
}

function agree(model: Model, { state }: Machine, name: string): void {
  expect([name, state.phase]).toEqual([name, model.phase]);
  const [from, to] = model.wake;
  expect(state.wakeAt, `${name}: wakes too early`).toBeGreaterThanOrEqual(from);
  expect(state.wakeAt, `${name}: wakes too late`).toBeLessThanOrEqual(to);
  expect(model.ended.has(state.attempt), `${name}: a number that was used before`).toBe(false);
}

const always = (): boolean => true;
const when =
  (...phases: Phase[]) =>
  (model: Model): boolean =>
    phases.includes(model.phase);
const connected = (model: Model): boolean => model.socket === 'open';

const connect = happens(
  'connect',
  always,
  (machine) => machine.feed({ type: 'connect' }),
  (model, now) => {
    if (model.phase !== 'idle' && model.phase !== 'stopped') return model.encouraged(now);
    model.failures = 0;
    model.connecting(now);
    return ['authorize'];
  },
);

function stopped(model: Model): readonly ConnectionEffect[] {
  Object.assign(model, { phase: 'stopped', socket: 'none', asking: false });
  model.at(Infinity);
  return ['hang_up'];
}

const close = happens(
  'close',
  always,
  (machine) => machine.feed({ type: 'close' }),
  (model) => stopped(model),
);

const network = (type: 'online' | 'offline'): Command =>
  happens(
    `the browser says ${type}`,
    always,
    (machine) => machine.feed({ type }),
    (model, now) => {
      model.offline = type === 'offline';
      return model.offline ? [] : model.encouraged(now);
    },
  );

const token = (given: string | null): Command =>
  happens(
    `auth gives ${given}`,
    (model) => model.asking || model.phase === 'online',
    (machine) => machine.hear('token', { token: given }),
    (model, now) => {
      if (model.phase === 'online') {
        if (given === null || given === model.given) return [];
        model.given = given;
        return ['refresh'];
      }
      if (given === null || given === model.spent) {
        model.waiting(now, 1006);
        return ['hang_up'];
      }
      Object.assign(model, { asking: false, given, taken: given, socket: 'opening' });
      model.at(now + DIAL_MS);
      return ['dial'];
    },
  );

const opened = happens(
  'the socket opens',
  (model) => model.socket === 'opening',
  (machine) => machine.hear('opened'),
  (model, now) => {
    Object.assign(model, { phase: 'greeting', socket: 'open' });
    model.at(now + GREET_MS);
    return ['hello'];
  },
);

const welcome = happens(
  'welcome',
  connected,
  (machine) => machine.hear('welcome'),
  (model, now) => {
    if (model.phase === 'greeting') {
      Object.assign(model, { phase: 'online', since: now, pingAt: now + PING_MS, advisedMs: 0 });
    }
    model.heard(now);
    return [];
  },
);

const heard = happens(
  'a frame',
  connected,
  (machine) => machine.hear('heard'),
  (model, now) => {
    model.heard(now);
    return [];
  },
);

const draining = (reconnectInMs: number): Command =>
  happens(
    `draining ${reconnectInMs}`,
    connected,
    (machine) => machine.hear('draining', { reconnectInMs }),
    (model, now) => {
      model.advisedMs = reconnectInMs;
      model.heard(now);
      return [];
    },
  );

const expiring = happens(
  'auth_expiring',
  connected,
  (machine) => machine.hear('expiring'),
  (model, now) => {
    model.heard(now);
    if (model.phase !== 'online' || now - model.refreshedAt < 10_000) return [];
    model.refreshedAt = now;
    return ['authorize'];
  },
);

const refreshed = happens(
  'auth_refreshed',
  (model) => connected(model) && model.given !== model.taken,
  (machine) => machine.hear('refreshed'),
  (model, now) => {
    model.taken = model.given;
    model.heard(now);
    return [];
  },
);

const closed = (code: number): Command =>
  happens(
    `closed with ${code}`,
    (model) => model.socket !== 'none',
    (machine) => machine.hear('closed', { code }),
    (model, now) => {
      if (code === 4001) model.spent = model.taken;
      if (code === 4003) return stopped(model);
      model.waiting(now, code);
      return ['hang_up'];
    },
  );

/** What belongs to an earlier try changes nothing. */
const late = (back: number, type: string): Command => ({
  check: always,
  run(_model, machine) {
    const { state } = machine;
    const more = { attempt: state.attempt - back, token: 'late', code: 4003, reconnectInMs: 9_000 };
    expect(machine.feed({ type, ...more } as unknown as ConnectionInput)).toEqual([]);
    expect(machine.state).toBe(state);
  },
  toString: () => `${type} of ${back} tries ago`,
});

const pass = (ms: number): Command => ({
  check: always,
  run(model, machine) {
    const until = machine.now + ms;
    while (machine.state.wakeAt <= until) {
      machine.now = Math.max(machine.now, machine.state.wakeAt);
      expect(machine.feed({ type: 'woke' })).toEqual(model.woke(machine.now, 0));
      agree(model, machine, 'woke');
    }
    machine.now = until;
    // A connection that is shown as open was heard on not long ago.
    if (model.phase === 'online') expect(machine.now - model.heardAt).toBeLessThan(SILENCE_MS);
  },
  toString: () => `${ms} ms pass`,
});

/** The machine's timer stood still, as on a laptop that is closed. */
const sleep = (ms: number): Command => ({
  check: when('connecting', 'greeting', 'online', 'waiting'),
  run(model, machine) {
    const due = machine.state.wakeAt;
    machine.now += ms;
    const effects = machine.feed({ type: 'woke' });
    expect(effects).toEqual(machine.now < due ? [] : model.woke(machine.now, machine.now - due));
    agree(model, machine, 'woke late');
  },
  toString: () => `asleep for ${ms} ms`,
});

/** From wherever it is, a world in which everything works leads to a connection. */
function comeUp(model: Model, machine: Machine, given: string): void {
  const run = (command: Command): void => {
    if (command.check(model)) command.run(model, machine);
  };
  if (model.phase === 'idle' || model.phase === 'stopped') run(connect);
  if (model.phase === 'waiting') run(pass(Math.max(0, machine.state.wakeAt - machine.now)));
  if (model.asking) run(token(given));
  run(opened);
  run(welcome);
}

/** Chance alone would seldom get far: a connection that comes up, and one that lives for a while. */
const up = (given: string): Command => ({
  check: (model) => model.phase !== 'online',
  run: (model, machine) => comeUp(model, machine, given),
  toString: () => `comes up with ${given}`,
});

const lives = (beats: number): Command => ({
  check: when('online'),
  run(model, machine) {
    for (let i = 0; i < beats; i += 1) for (const next of [pass(20_000), heard]) next.run(model, machine);
  },
  toString: () => `lives for ${beats} beats`,
});

const tokens = fc.constantFrom('A', 'B');
const commands = fc.commands(
  [
    tokens.map(up),
    tokens.map(up),
    tokens.map(token),
    fc.constantFrom(connect, opened, welcome, heard, expiring, refreshed, refreshed),
    fc.constantFrom(close, network('online'), network('offline'), token(null)),
    fc.constantFrom(1000, 1001, 1006, 1009, 1011, 1012, 1013, 4001, 4001, 4001, 4003, 4008, 4029).map(closed),
    fc.nat(20_000).map(draining),
    fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('token', 'opened', 'welcome', 'closed', 'draining'))
      .map((args) => late(...args)),
    fc.nat(40_000).map(pass),
    fc.nat(80_000).map(sleep),
    fc.integer({ min: 1, max: 3 }).map(lives),
  ],
  { maxCommands: 100, size: 'max' },
);

/** In steps that a binary number holds: then no sum or difference of moments is ever rounded, in whatever order it is made. */
const chance = fc.nat(1_023).map((n) => n / 1_024);

test('whatever happens, the machine does what the model says, and there is always a way on', () => {
  fc.assert(
    fc.property(commands, fc.infiniteStream(chance), (happening, chances) => {
      const model = new Model();
      const machine = new Machine(() => chances.next().value ?? 0);
      fc.modelRun(() => ({ model, real: machine }), [connect, ...happening]);
      for (let tries = 0; model.phase !== 'online' && tries < 3; tries += 1) comeUp(model, machine, 'fresh');
      expect(model.phase).toBe('online');
    }),
    { numRuns: 1_000 },
  );
}, 60_000);
