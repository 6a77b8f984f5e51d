import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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
  PING_MS,
  PROBE_MS,
  SILENCE_MS,
  STABLE_MS,
  step,
} from './connection.ts';

/** Drives the machine by hand: a clock that stands still unless it is moved, and chance that is set. */
class Drive {
  now = 1_000_000;
  random = 0.5;
  state: ConnectionState = idle;
  effects: ConnectionEffect[] = [];

  feed(input: ConnectionInput): this {
    const next = step(this.state, input, { now: this.now, random: () => this.random });
    this.state = next.state;
    this.effects = [...next.effects];
    return this;
  }

  token(token: string | null = 'T1'): this {
    return this.feed({ type: 'token', attempt: this.state.attempt, token });
  }

  frame(type: 'welcome' | 'heard' | 'expiring' | 'refreshed' | 'draining' = 'heard', reconnectInMs = 0): this {
    return this.feed({ type, attempt: this.state.attempt, reconnectInMs });
  }

  closed(code = 1006): this {
    return this.feed({ type: 'closed', attempt: this.state.attempt, code });
  }

  /** Up to the next wake, and through it. */
  wake(lateMs = 0): this {
    this.now = this.state.wakeAt + lateMs;
    return this.feed({ type: 'woke' });
  }

  online(token = 'T1'): this {
    this.feed({ type: 'connect' }).token(token).feed({ type: 'opened', attempt: this.state.attempt });
    return this.frame('welcome');
  }

  get waitMs(): number {
    return this.state.wakeAt - this.now;
  }
}

describe('a connection comes up', () => {
  test('asks for a token, dials with it, says hello, and is online when it is welcomed', () => {
    const drive = new Drive().feed({ type: 'connect' });
    expect([drive.state.phase, drive.effects]).toEqual(['connecting', ['authorize']]);
    drive.token('T1');
    expect([drive.state.phase, drive.state.token, drive.effects]).toEqual(['connecting', 'T1', ['dial']]);
    drive.feed({ type: 'opened', attempt: drive.state.attempt });
    expect([drive.state.phase, drive.effects]).toEqual(['greeting', ['hello']]);
    drive.frame('heard');
    expect(drive.state.phase).toBe('greeting');
    drive.frame('welcome');
    expect([drive.state.phase, drive.effects]).toEqual(['online', []]);
  });

  test.for([
    { name: 'a token', upTo: (drive: Drive) => drive, ms: AUTH_MS },
    { name: 'a socket', upTo: (drive: Drive) => drive.token(), ms: DIAL_MS },
    {
      name: 'a welcome',
      upTo: (drive: Drive) => drive.token().feed({ type: 'opened', attempt: drive.state.attempt }),
      ms: GREET_MS,
    },
  ])('gives up on $name that does not come in time', ({ upTo, ms }) => {
    const drive = upTo(new Drive().feed({ type: 'connect' }));
    expect(drive.waitMs).toBe(ms);
    drive.wake();
    expect([drive.state.phase, drive.effects]).toEqual(['waiting', ['hang_up']]);
  });

  test('asks for a token anew on every try', () => {
    const drive = new Drive().feed({ type: 'connect' }).token('T1').closed(1006).wake();
    expect([drive.state.phase, drive.state.token, drive.effects]).toEqual(['connecting', null, ['authorize']]);
  });

  test('waits when there is no token', () => {
    const drive = new Drive().feed({ type: 'connect' }).token(null);
    expect(drive.state.phase).toBe('waiting');
  });
});

describe('what belongs to an earlier try', () => {
  test.for([
    { name: 'given up', end: (drive: Drive) => drive.wake().wake() },
    { name: 'closed', end: (drive: Drive) => drive.feed({ type: 'close' }).feed({ type: 'connect' }) },
  ])('that was $name is ignored', ({ end }) => {
    const drive = new Drive().feed({ type: 'connect' });
    const { attempt } = drive.state;
    end(drive);
    expect(drive.state.phase).toBe('connecting');
    const before = drive.state;
    for (const type of ['token', 'opened', 'welcome', 'closed', 'draining'] as const) {
      drive.feed({ type, attempt, token: 'late', code: 4003, reconnectInMs: 9_000 } as ConnectionInput);
      expect([drive.state, drive.effects]).toEqual([before, []]);
    }
  });
});

describe('waiting', () => {
  test('has full jitter below a bound that doubles from 1 s to 30 s', () => {
    const bounds: number[] = [];
    const drive = new Drive().feed({ type: 'connect' });
    drive.random = 1 - Number.EPSILON;
    for (let i = 0; i < 8; i += 1) {
      drive.token().closed();
      bounds.push(Math.round(drive.waitMs));
      drive.wake();
    }
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    drive.random = 0;
    expect(drive.token().closed().waitMs).toBe(0);
  });

  test.for([
    { heldMs: STABLE_MS - 1, failures: 3 },
    { heldMs: STABLE_MS, failures: 1 },
  ])('after a connection that held for $heldMs ms counts $failures failures', ({ heldMs, failures }) => {
    const drive = new Drive().feed({ type: 'connect' }).token().closed().wake().token().closed().wake().token();
    drive.feed({ type: 'opened', attempt: drive.state.attempt }).frame('welcome');
    drive.now += heldMs;
    expect(drive.frame().closed().state.failures).toBe(failures);
  });

  test('takes the advice of a server that ends', () => {
    const drive = new Drive().online();
    drive.now += STABLE_MS;
    drive.random = 0;
    drive.frame('draining', 7_000).closed(1012);
    expect(drive.waitMs).toBe(7_000);
    // Nothing shortens it.
    drive.feed({ type: 'online' }).feed({ type: 'connect' });
    expect(drive.waitMs).toBe(7_000);
  });

  test('after a flood lasts a minute at least', () => {
    const drive = new Drive().online().closed(4029);
    expect(drive.waitMs).toBeGreaterThanOrEqual(FLOOD_MS);
    expect(drive.feed({ type: 'online' }).waitMs).toBeGreaterThanOrEqual(FLOOD_MS);
  });

  test('is short once the network is back', () => {
    const drive = new Drive().online().feed({ type: 'offline' }).closed();
    expect(drive.waitMs).toBe(BACKOFF_CAP_MS);
    expect(drive.feed({ type: 'online' }).waitMs).toBe(500);
  });
});

describe('a close code', () => {
  test.for([
    { code: 1000, what: 'comes back' },
    { code: 1001, what: 'comes back' },
    { code: 1006, what: 'comes back' },
    { code: 1009, what: 'comes back' },
    { code: 1011, what: 'comes back' },
    { code: 1012, what: 'comes back' },
    { code: 1013, what: 'comes back' },
    { code: 4001, what: 'comes back with another token' },
    { code: 4003, what: 'stays away' },
    { code: 4008, what: 'comes back' },
    { code: 4029, what: 'comes back after a minute' },
  ])('$code: the client $what', ({ code, what }) => {
    const drive = new Drive().online('T1').closed(code);
    expect([drive.state.phase, drive.state.closeCode]).toEqual([what === 'stays away' ? 'stopped' : 'waiting', code]);
    if (what === 'stays away') return;
    const since = drive.now;
    drive.wake();
    expect(drive.effects).toEqual(['authorize']);
    if (what === 'comes back after a minute') expect(drive.now - since).toBeGreaterThanOrEqual(FLOOD_MS);
    else expect(drive.now - since).toBeLessThan(1_000);
    drive.token('T1');
    expect(drive.effects).toEqual(what === 'comes back with another token' ? ['hang_up'] : ['dial']);
  });
});

describe('a token', () => {
  test('that the server refused is not shown again', () => {
    const drive = new Drive().online('T1').closed(4001);
    expect([drive.state.phase, drive.state.closeCode]).toEqual(['waiting', 4001]);
    drive.wake().token('T1');
    expect([drive.state.phase, drive.effects]).toEqual(['waiting', ['hang_up']]);
    drive.wake().token('T2');
    expect([drive.state.phase, drive.effects]).toEqual(['connecting', ['dial']]);
  });

  test('that was offered to an open connection is not the refused one, unless the server had taken it', () => {
    const drive = new Drive().online('T1').frame('expiring').token('T2').closed(4001).wake();
    // What ran out is what the server went by.
    expect(drive.token('T2').effects).toEqual(['dial']);
    drive.feed({ type: 'opened', attempt: drive.state.attempt }).frame('welcome');
    drive.now += 20_000;
    drive.frame('expiring').token('T3').frame('refreshed').closed(4001).wake();
    expect(drive.token('T3').effects).toEqual(['hang_up']);
  });

  test('is refreshed on the open connection, once in a while', () => {
    const drive = new Drive().online('T1').frame('expiring');
    expect(drive.effects).toEqual(['authorize']);
    expect(drive.frame('expiring').effects).toEqual([]);
    drive.token('T2');
    expect([drive.state.phase, drive.state.token, drive.effects]).toEqual(['online', 'T2', ['refresh']]);
    drive.now += 20_000;
    expect(drive.frame('expiring').effects).toEqual(['authorize']);
    expect(drive.token('T2').effects).toEqual([]);
    expect(drive.token(null).state.phase).toBe('online');
  });
});

describe('a connection is watched', () => {
  test('pings every 25 s, and is given up after 35 s of silence', () => {
    const drive = new Drive().online();
    const start = drive.now;
    drive.wake();
    expect([drive.now - start, drive.effects]).toEqual([PING_MS, ['ping']]);
    drive.wake();
    expect([drive.now - start, drive.state.phase]).toEqual([SILENCE_MS, 'waiting']);
  });

  test('lives as long as anything is heard', () => {
    const drive = new Drive().online();
    for (let i = 0; i < 20; i += 1) {
      drive.wake();
      expect(drive.state.phase).toBe('online');
      drive.frame();
    }
  });

  test('is asked first when we slept', () => {
    const drive = new Drive().online().wake();
    drive.now += 3_600_000;
    drive.feed({ type: 'woke' });
    expect([drive.state.phase, drive.effects, drive.waitMs]).toEqual(['online', ['ping'], PROBE_MS]);
    expect(drive.wake().state.phase).toBe('waiting');
  });

  test('is asked when the network came back, with little patience, but no more each time', () => {
    const drive = new Drive().online();
    expect(drive.feed({ type: 'online' }).effects).toEqual(['ping']);
    expect(drive.waitMs).toBe(PROBE_MS);
    drive.now += 6_000;
    expect(drive.feed({ type: 'online' }).waitMs).toBe(PROBE_MS - 6_000);
    drive.frame();
    expect(drive.waitMs).toBeGreaterThan(PROBE_MS);
  });
});

describe('the end', () => {
  test('is for good when it is asked for, until it is asked otherwise', () => {
    const drive = new Drive().online().feed({ type: 'close' });
    expect([drive.state.phase, drive.state.wakeAt, drive.effects]).toEqual(['stopped', Infinity, ['hang_up']]);
    expect(drive.feed({ type: 'online' }).feed({ type: 'woke' }).state.phase).toBe('stopped');
    expect(drive.feed({ type: 'connect' }).effects).toEqual(['authorize']);
  });

  test('is for good when the server forbids to come back', () => {
    const drive = new Drive().online().closed(4003);
    expect([drive.state.phase, drive.state.closeCode]).toEqual(['stopped', 4003]);
  });
});

test('a server that falls silent is noticed within 35 s of its last word, though pings go out', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 20 }), (gaps) => {
      const drive = new Drive().online();
      const pass = (ms: number): void => {
        const until = drive.now + ms;
        while (drive.state.wakeAt <= until) drive.wake();
        drive.now = until;
      };
      for (const gap of gaps) {
        pass(gap);
        drive.frame();
      }
      pass(SILENCE_MS - 1);
      expect(drive.state.phase).toBe('online');
      drive.wake();
      expect([drive.now - drive.state.heardAt, drive.state.phase]).toEqual([SILENCE_MS, 'waiting']);
    }),
  );
}, 60_000);
