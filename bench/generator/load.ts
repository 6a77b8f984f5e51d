import { setTimeout as sleep } from 'node:timers/promises';
import { Chance } from '../../testing/chance.ts';
import { Histogram } from '../measure/histogram.ts';
import { cpuSeconds, machineSeconds } from '../measure/processes.ts';
import { FIRST_ID, FrameTemplate } from './codec.ts';
import { ADMIN, type Dialect, dialects, sessionId, tokenFor, userId } from './dialects.ts';
import type { LoadJob, LoadResult } from './jobs.ts';
import { openMany, type Peer } from './peer.ts';

/** Messages that one run can tell apart. */
const MOST = 4_000_000;
const ACKED = 1;
const DELIVERED = 2;
const DONE = ACKED | DELIVERED;
const DRAIN_MS = 20_000;
/** A doubled frame may come late. */
const AFTERMATH_MS = 150;
/** Timers are that coarse; what an arrival waits beyond it counts as latency. */
const TICK_MS = 1;
const HANDSHAKES = 128;
/** The same arrivals in every run. */
const ARRIVALS = 0x5eed;

interface User {
  readonly place: number;
  readonly peer: Peer;
  readonly template: FrameTemplate;
  /** Acks seen in this read: as many messages may follow. */
  due: number;
  outstanding: number;
  /** The newest message delivered, to see that none overtook another. */
  lastDelivered: number;
}

/** CPU seconds of each process at one moment. */
type Reading = Readonly<Record<string, number>>;

/**
 * Users send, the server acks, an admin gets each message. Every ack and every delivery is matched with what was sent: one
 * that is missing, doubled, on the wrong connection or (where order is promised) out of order ends the run.
 */
export class Load {
  readonly #job: LoadJob;
  readonly #dialect: Dialect;
  readonly #users: User[] = [];
  readonly #state = new Uint8Array(MOST);
  readonly #owner = new Uint16Array(MOST);
  readonly #sentAt = new Float64Array(MOST);
  readonly #whole = new Histogram();
  readonly #ack = new Histogram();
  #sent = 0;
  #finished = 0;
  #sending = false;
  #from = Number.POSITIVE_INFINITY;
  #to = Number.POSITIVE_INFINITY;
  #within = 0;
  #fail: (error: Error) => void = () => undefined;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#dialect = dialects[job.dialect];
  }

  run(): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#measure().then(resolve, reject);
    });
  }

  async #measure(): Promise<LoadResult> {
    const { warmMs, measureMs, perSecond } = this.#job;
    await this.#connect();
    await this.#openSessions();
    this.#sending = true;
    if (perSecond === null) for (const user of this.#users) this.#send(user, this.#job.outstanding);
    const schedule = perSecond === null ? undefined : this.#schedule(perSecond);
    await sleep(warmMs);
    const before = this.#read();
    const from = Date.now();
    this.#from = performance.now();
    await sleep(measureMs);
    this.#to = performance.now();
    const within = this.#within;
    const after = this.#read();
    const to = Date.now();
    this.#sending = false;
    clearInterval(schedule);
    await this.#drained();
    const seconds = (this.#to - this.#from) / 1000;
    return {
      messages: this.#finished,
      perSecond: within / seconds,
      whole: this.#whole.toArray(),
      ack: this.#ack.toArray(),
      cpu: perMessage(before, after, within, seconds),
      from,
      to,
    };
  }

  async #connect(): Promise<void> {
    const { port, secret, users } = this.#job;
    const admin = await this.#dialect.connect(port, tokenFor(secret, ADMIN, 'admin'), 'admin');
    admin.onText = (bytes, start, end) => {
      if (isPing(bytes, start, end)) admin.send('3');
      const id = this.#dialect.delivered(bytes, start, end);
      if (id >= 0) this.#seen(id - FIRST_ID, DELIVERED, -1);
    };
    admin.onGone = (why) => this.#fail(new Error(`admin: ${why}`));
    const peers = await openMany(users, HANDSHAKES, (i) =>
      this.#dialect.connect(port, tokenFor(secret, userId(i), 'user'), 'user'),
    );
    for (const [i, peer] of peers.entries()) this.#hear(i, peer);
  }

  #hear(place: number, peer: Peer): void {
    const template = new FrameTemplate(this.#dialect.message(sessionId(place)));
    const user: User = { place, peer, template, due: 0, outstanding: 0, lastDelivered: -1 };
    this.#users[place] = user;
    peer.onText = (bytes, start, end) => {
      if (isPing(bytes, start, end)) peer.send('3');
      const id = this.#dialect.acknowledged(bytes, start, end);
      if (id < 0) return;
      this.#seen(id - FIRST_ID, ACKED, place);
      user.outstanding--;
      user.due++;
    };
    peer.onRead = () => {
      const { due } = user;
      user.due = 0;
      if (due > 0 && this.#sending && this.#job.perSecond === null) this.#send(user, due);
    };
    peer.onGone = (why) => this.#fail(new Error(`user ${userId(place)}: ${why}`));
  }

  /** Each user's first message opens their session; measuring begins when all are open. */
  async #openSessions(): Promise<void> {
    for (const user of this.#users) this.#send(user, 1);
    await this.#drained();
  }

  /** Sends messages in one write. */
  #send(user: User, count: number, at = performance.now()): void {
    const { length } = user.template;
    const bytes = Buffer.allocUnsafe(length * count);
    const { place } = user;
    for (let i = 0; i < count; i++) {
      const index = this.#sent++;
      if (index >= MOST) throw new Error(`more than ${MOST} messages in one run`);
      this.#owner[index] = place;
      this.#sentAt[index] = at;
      user.template.write(bytes, i * length, FIRST_ID + index);
    }
    user.outstanding += count;
    user.peer.socket.write(bytes);
  }

  /** Arrivals at random moments, as many a second as asked for, each from the next user. */
  #schedule(perSecond: number): NodeJS.Timeout {
    const chance = new Chance(ARRIVALS);
    const gap = (): number => (-Math.log(1 - chance.next()) * 1000) / perSecond;
    let due = performance.now() + gap();
    let next = 0;
    return setInterval(() => {
      const now = performance.now();
      for (; due <= now; due += gap()) {
        const user = this.#users[next++ % this.#users.length] as User;
        if (user.outstanding >= this.#job.outstanding)
          throw new Error('the server does not keep up with the open loop');
        // Had we been late by more than the timer is coarse, the wait would be the message's own.
        this.#send(user, 1, Math.max(due, now - TICK_MS));
      }
    }, TICK_MS);
  }

  #seen(index: number, what: number, place: number): void {
    const before = this.#state[index] as number;
    if (index >= this.#sent) throw new Error(`message ${index} was never sent`);
    if (before & what) throw new Error(`message ${index} was ${what === ACKED ? 'acknowledged' : 'delivered'} twice`);
    const owner = this.#owner[index] as number;
    if (place >= 0 && owner !== place) throw new Error(`message ${index} was acknowledged to somebody else`);
    if (what === DELIVERED) {
      const user = this.#users[owner] as User;
      if (this.#job.ordered && index < user.lastDelivered) throw new Error(`message ${index} was overtaken`);
      user.lastDelivered = index;
    }
    this.#state[index] = before | what;
    const now = performance.now();
    const sentAt = this.#sentAt[index] as number;
    const counts = sentAt >= this.#from && sentAt < this.#to;
    if (what === ACKED && counts) this.#ack.add(now - sentAt);
    if ((before | what) !== DONE) return;
    this.#finished++;
    if (counts) this.#whole.add(now - sentAt);
    if (now >= this.#from && now < this.#to) this.#within++;
  }

  async #drained(): Promise<void> {
    const until = performance.now() + DRAIN_MS;
    while (this.#finished < this.#sent) {
      if (performance.now() > until)
        throw new Error(`${this.#sent - this.#finished} of ${this.#sent} messages were lost`);
      await sleep(2);
    }
    await sleep(AFTERMATH_MS);
  }

  #read(): Reading {
    const readings: Record<string, number> = { machine: machineSeconds(), generator: cpuSeconds(process.pid) };
    for (const [name, pid] of Object.entries(this.#job.pids)) readings[name] = cpuSeconds(pid);
    return readings;
  }
}

/** Microseconds of CPU per message for each process; what is nobody's of ours, as a share of one core. */
export function perMessage(before: Reading, after: Reading, messages: number, seconds: number): Record<string, number> {
  const used: Record<string, number> = {};
  let ours = 0;
  for (const [name, value] of Object.entries(after)) {
    const seconds = value - (before[name] ?? 0);
    if (name === 'machine') continue;
    ours += seconds;
    used[name] = messages === 0 ? 0 : (seconds * 1e6) / messages;
  }
  used['others'] = Math.max(0, ((after['machine'] ?? 0) - (before['machine'] ?? 0) - ours) / seconds);
  return used;
}

/** Engine.IO's ping is a text frame of one digit. */
function isPing(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 1 && bytes[start] === 0x32;
}
