import type { LogEvent } from '@switchboard/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ManualClock, settled } from '../test/support/manual-clock.ts';
import { MemoryStorage } from '../test/support/pages.ts';
import type { Client } from './api.ts';
import { createClient } from './client.ts';
import type { Socket } from './host.ts';

/**
 * A user's own messages as pages show them, whatever order things come in: acks, logs, what dead pages left, views that
 * open, sessions that close. The server and the network are told by hand, frame by frame.
 */

const USER = 31;
const at = '2025-08-13T00:30:00.000Z';

type Message = Extract<LogEvent, { kind: 'message' }>;
interface Sent {
  readonly clientMessageId: string;
  readonly sessionId: string | null;
  readonly content: string;
}

class Session {
  readonly sessionId: string;
  status: 'waiting' | 'closed' = 'waiting';
  readonly log: LogEvent[] = [];

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  get messages(): Message['message'][] {
    return this.log.flatMap((event) => (event.kind === 'message' ? [event.message] : []));
  }

  find(mark: string): Message['message'] | undefined {
    return this.messages.find(({ clientMessageId }) => clientMessageId === mark);
  }
}

/** One connection: what is on its way in either direction waits until somebody moves it on. */
class Line implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly up: string[] = [];
  readonly down: object[] = [];
  readonly followed = new Set<string>();

  send(text: string): void {
    this.up.push(text);
  }

  close(): void {
    this.up.length = this.down.length = 0;
  }

  hear(frame: object | undefined): void {
    if (frame) this.onmessage?.({ data: JSON.stringify(frame) } as never);
  }
}

class World {
  readonly clock = new ManualClock();
  readonly storage = new MemoryStorage();
  readonly sessions: Session[] = [];
  readonly lines = new Set<Line>();
  readonly pages: Page[];
  /** The marks of what each page wrote, in that order. */
  readonly written: string[][] = [];
  /** What was shown wrongly, at whatever moment. */
  readonly faults: string[] = [];
  /** So many answers to come say that the log is not the one that the client knows, and has to be read anew. */
  resets = 0;
  everReset = false;

  constructor(pages: number) {
    this.pages = Array.from({ length: pages }, () => new Page(this));
  }

  /** The server reads a frame. */
  serve(line: Line | null): void {
    const text = line?.up.shift();
    if (text === undefined || !line) return;
    const { type, requestId, data } = JSON.parse(text) as { type: string; requestId?: string; data?: unknown };
    if (type === 'hello') line.down.push({ type: 'welcome', data: { actor: { type: 'user', id: USER } } });
    else if (type === 'send_message') this.#store(line, data as Sent);
    else if (type === 'ping') line.down.push({ type: 'pong', data: { heads: this.#heads(line) } });
    else if (type === 'unfollow') for (const id of (data as { sessions: string[] }).sessions) line.followed.delete(id);
    else if (type === 'resume') {
      for (const { sessionId, afterSeq } of (data as { sessions: { sessionId: string; afterSeq: number }[] }).sessions)
        this.#resume(line, requestId as string, sessionId, afterSeq);
    }
  }

  write(page: Page, sessionId: string | null): string {
    const mark = `m${this.written.flat().length}`;
    page.write(mark, sessionId);
    return mark;
  }

  close(session: Session | undefined): void {
    if (session?.status === 'waiting') this.#status(session, 'closed');
  }

  reply(session: Session | undefined): void {
    if (!session) return;
    const event = this.#append(session, { senderType: 'admin', senderId: 7, content: 'hi' });
    for (const line of this.lines) line.down.push(frameOf(session, event));
  }

  #store(line: Line, { clientMessageId, sessionId, content }: Sent): void {
    const session = this.#sessionFor(clientMessageId, sessionId);
    let message = session.find(clientMessageId);
    if (!message) {
      if (session.status === 'closed') this.#status(session, 'waiting');
      const event = this.#append(session, { senderType: 'user', senderId: USER, content, clientMessageId });
      message = event.message;
      for (const other of this.lines) {
        if (other !== line && other.followed.has(session.sessionId)) other.down.push(frameOf(session, event));
      }
    }
    line.followed.add(session.sessionId);
    const { messageId, seq, createdAt: timestamp } = message;
    const ack = { sessionId: session.sessionId, messageId, clientMessageId, seq, status: 'sent', timestamp };
    line.down.push({ type: 'message_ack', data: ack });
  }

  /** Marks are a session's own; a repeat that names no session is found wherever it is. */
  #sessionFor(mark: string, sessionId: string | null): Session {
    const found =
      sessionId === null
        ? (this.sessions.find((session) => session.find(mark)) ??
          this.sessions.findLast(({ status }) => status === 'waiting'))
        : this.sessions.find((session) => session.sessionId === sessionId);
    if (found) return found;
    const opened = new Session(sessionId ?? `S${this.sessions.length + 1}`);
    this.sessions.push(opened);
    return opened;
  }

  #append(session: Session, more: Partial<Message['message']>): Message {
    const seq = session.log.length + 1;
    const fixed = { messageType: 'text', status: 'sent', createdAt: at, attachments: [] } as const;
    const message = { ...fixed, ...more, messageId: `${session.sessionId}/${seq}`, seq } as Message['message'];
    const event: Message = { kind: 'message', seq, at, message };
    session.log.push(event);
    return event;
  }

  #status(session: Session, status: 'waiting' | 'closed'): void {
    session.status = status;
    const event = { kind: 'status', seq: session.log.length + 1, at, status, adminId: null } as LogEvent;
    session.log.push(event);
    const data = { sessionId: session.sessionId, status, adminId: null, timestamp: at, seq: event.seq };
    for (const line of this.lines) line.down.push({ type: 'session_status_changed', data });
  }

  #heads(line: Line): Record<string, number> {
    const followed = this.sessions.filter(({ sessionId }) => line.followed.has(sessionId));
    return Object.fromEntries(followed.map(({ sessionId, log }) => [sessionId, log.length]));
  }

  #resume(line: Line, requestId: string, sessionId: string, afterSeq: number): void {
    const session = this.sessions.find((one) => one.sessionId === sessionId) as Session;
    line.followed.add(sessionId);
    const answer = { sessionId, complete: true, upToSeq: session.log.length, status: session.status, adminId: null };
    const reset = this.resets > 0;
    if (reset) this.resets -= 1;
    else if (session.log.length > afterSeq) {
      line.down.push({ type: 'session_events', data: { sessionId, events: session.log.slice(afterSeq) } });
    }
    line.down.push({ type: 'resumed', data: { ...answer, reset }, requestId });
  }

  /** Nothing is lost from now on, and everybody sees everything. */
  async calm(): Promise<void> {
    for (const { cut } of this.pages) cut();
    await this.#until(() => ![...this.storage.items.values()].join().includes('clientMessageId'));
    let opening = 0;
    for (const { client } of this.pages) {
      for (const { sessionId } of this.sessions) {
        opening += 1;
        void client.open(sessionId).then(() => (opening -= 1));
      }
    }
    await this.#until(() => opening === 0);
  }

  async #until(over: () => boolean): Promise<void> {
    const busy = ({ client, line }: Page): boolean => client.unsent.length > 0 || !line || line.down.length > 0;
    for (let i = 0; this.pages.some(busy) || !over(); i += 1) {
      if (i > 100) throw new Error('it never ends');
      await this.clock.pass(5_000);
      for (let moved = 0; moved < 5; moved += 1) {
        for (const page of this.pages) await page.exchange(20);
      }
    }
  }
}

function frameOf({ sessionId }: Session, event: Message): object {
  const { senderType } = event.message;
  if (senderType === 'admin') return { type: 'new_admin_message', data: { sessionId, message: event.message } };
  return { type: 'session_event', data: { sessionId, event } };
}

class Page {
  readonly #world: World;
  client!: Client;
  line: Line | null = null;
  /** What the present page wrote itself: it never loses sight of that. */
  written: string[] = [];
  #opened = 0;

  constructor(world: World) {
    this.#world = world;
    this.load();
  }

  load(): void {
    const { clock, storage, lines } = this.#world;
    const opened = ++this.#opened;
    const alive = (): boolean => opened === this.#opened;
    const setLine = (line: Line): void => {
      if (this.line) lines.delete(this.line);
      lines.add(line);
      this.line = line;
      void Promise.resolve().then(() => alive() && line.onopen?.({} as never));
    };
    this.written = [];
    this.#world.written.push(this.written);
    this.line = null;
    this.client = createClient({
      url: 'http://chat.example',
      type: 'user',
      auth: () => 'T',
      account: USER,
      receipts: false,
      // A page that is gone runs no timers any more.
      clock: { now: () => clock.now(), after: (ms, run) => clock.after(ms, () => alive() && run()) },
      random: () => 0.5,
      storage,
      WebSocket: class extends Line {
        constructor() {
          super();
          if (alive()) setLine(this);
        }
      },
    });
    for (const name of ['message', 'event', 'status', 'sent', 'change', 'reset'] as const)
      this.client.on(name, () => alive() && this.look(name));
    void this.client.connect();
  }

  write(mark: string, sessionId: string | null): void {
    void this.client.send({ content: `text of ${mark}`, clientMessageId: mark, sessionId }).catch(() => undefined);
    this.written.push(mark);
    this.look('write');
  }

  async exchange(frames: number): Promise<void> {
    for (let i = 0; i < frames; i += 1) this.#world.serve(this.line);
    for (let i = 0; i < frames; i += 1) this.line?.hear(this.line.down.shift());
    await settled();
  }

  readonly cut = (): void => {
    const { line } = this;
    line?.close();
    line?.onclose?.({ code: 1006 } as never);
  };

  /** Without a word. */
  crash(): void {
    if (this.line) this.#world.lines.delete(this.line);
    this.load();
  }

  /**
   * In all views together nothing is ever shown twice, so nothing as on its way that a log has; and what was written here
   * never goes out of sight.
   */
  look(when: string): void {
    const marks = [null, ...this.#world.sessions.map(({ sessionId }) => sessionId)]
      .flatMap((sessionId) => this.client.session(sessionId).messages)
      .flatMap(({ clientMessageId }) => clientMessageId ?? []);
    const twice = marks.filter((mark, i) => marks.indexOf(mark) !== i);
    if (twice.length > 0) this.#world.faults.push(`${when}: ${twice.join()} twice`);
    const gone = this.written.filter((mark) => !marks.includes(mark));
    if (gone.length > 0 && !this.#world.everReset) this.#world.faults.push(`${when}: ${gone.join()} out of sight`);
  }
}

const PAGES = 2;
const page = fc.nat(PAGES - 1);
const deed = fc.oneof(
  { weight: 5, arbitrary: fc.record({ write: page, named: fc.option(fc.nat(2), { freq: 4 }) }) },
  { weight: 12, arbitrary: fc.record({ exchange: page, frames: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ serve: page, frames: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ hear: page, frames: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ lose: page }) },
  { weight: 1, arbitrary: fc.record({ repeat: page }) },
  { weight: 1, arbitrary: fc.record({ late: page }) },
  { weight: 3, arbitrary: fc.record({ pass: fc.constantFrom(100, 1_000, 6_000, 20_000) }) },
  { weight: 3, arbitrary: fc.record({ close: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ reply: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ open: page, which: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ leave: page, which: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ reset: page }) },
  { weight: 2, arbitrary: fc.record({ cut: page }) },
  { weight: 2, arbitrary: fc.record({ crash: page }) },
  { weight: 1, arbitrary: fc.record({ reload: page }) },
);
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

async function happen(world: World, what: Deed): Promise<void> {
  const { sessions, pages } = world;
  const [name, n] = Object.entries(what)[0] as [string, number];
  const one = pages[n % PAGES] as Page;
  const { frames = 0, which = 0, named = null } = what as { frames?: number; which?: number; named?: number | null };
  const { line } = one;
  if (name === 'write') {
    world.write(one, named === null ? null : (sessions[named]?.sessionId ?? null));
  } else if (name === 'exchange') await one.exchange(frames);
  else if (name === 'serve') for (let i = 0; i < frames; i += 1) world.serve(line);
  else if (name === 'hear') for (let i = 0; i < frames; i += 1) one.line?.hear(one.line.down.shift());
  else if (name === 'lose') line?.down.shift();
  else if (name === 'repeat') line?.hear(line.down[0]);
  else if (name === 'late') line?.down.push(...line.down.splice(0, 1));
  else if (name === 'pass') await world.clock.pass(n);
  else if (name === 'close') world.close(sessions[n]);
  else if (name === 'reply') world.reply(sessions[n]);
  else if (name === 'reset') {
    world.resets = 1;
    world.everReset = true;
    one.cut();
  } else if (name === 'cut') one.cut();
  else if (name === 'crash') one.crash();
  else if (name === 'reload') {
    one.client.close();
    one.crash();
  } else if (sessions[which]) {
    const { sessionId } = sessions[which];
    if (name === 'open') void one.client.open(sessionId).catch(() => undefined);
    else one.client.leave(sessionId);
  }
  await settled();
  for (const each of pages) each.look(name);
}

async function tell(deeds: readonly Deed[]): Promise<void> {
  const world = new World(PAGES);
  // Each page takes a place in the storage, which needs a moment in which nobody dies.
  await world.clock.pass(1_000);
  for (const what of deeds) {
    await happen(world, what);
    if ('crash' in what || 'reload' in what) await world.clock.pass(1_000);
  }
  const last = world.pages.map((one) => world.write(one, null));
  await world.calm();
  const marks = world.sessions.map(({ messages }) => messages.flatMap((m) => m.clientMessageId ?? []));
  expect(marks.flat().toSorted()).toEqual(world.written.flat().toSorted());
  for (const stored of marks) {
    // In the order of their writing, whoever sent them in the end.
    for (const written of world.written) {
      const here = written.filter((mark) => stored.includes(mark));
      expect(stored.filter((mark) => written.includes(mark))).toEqual(here);
    }
  }
  expect(world.faults).toEqual([]);
  for (const [i, { client }] of world.pages.entries()) {
    // Where one writes is where one looks, but for those who went from a conversation without an id to another one.
    const looked = client.session().messages.map(({ clientMessageId }) => clientMessageId);
    const went = deeds.some((what) => 'write' in what && what.named !== null);
    expect(went || looked.includes(last[i] as string)).toBe(true);
    expect(client.session(null).messages).toEqual([]);
    for (const { sessionId, messages } of world.sessions) {
      const shown = client.session(sessionId).messages.map(({ seq, content, status }) => ({ seq, content, status }));
      expect(shown).toEqual(messages.map(({ seq, content, status }) => ({ seq, content, status })));
    }
  }
}

const greeted: readonly Deed[] = [
  { exchange: 0, frames: 2 },
  { exchange: 1, frames: 2 },
];
/** One page has written something; another page's message is stored in a session that is over, and left to the first. */
const left: readonly Deed[] = [
  ...greeted,
  { write: 0, named: null },
  { write: 1, named: null },
  { serve: 1, frames: 6 },
  { crash: 1 },
  { close: 0 },
  { pass: 20_000 },
];

test.for<{ name: string; deeds: readonly Deed[] }>([
  {
    name: 'of a dead page, stored in a session that was over before the next one began',
    deeds: [...left, { exchange: 0, frames: 6 }, { exchange: 0, frames: 6 }],
  },
  {
    name: 'of a dead page, told by the log of the one session when it waits beside those of the next one',
    deeds: [...left, { open: 0, which: 0 }, { serve: 0, frames: 20 }, { hear: 0, frames: 20 }, { cut: 0 }],
  },
  {
    name: 'of a dead page, stored in a session that was over, while another one begins',
    deeds: [
      ...greeted,
      { write: 1, named: null },
      { serve: 1, frames: 6 },
      { crash: 1 },
      { close: 0 },
      { pass: 20_000 },
    ],
  },
  {
    name: 'told by the log while others wait beside it',
    deeds: [
      ...greeted,
      { write: 0, named: null },
      { write: 0, named: null },
      { serve: 0, frames: 6 },
      { lose: 0 },
      { reply: 0 },
      { exchange: 0, frames: 6 },
      { exchange: 0, frames: 6 },
    ],
  },
  {
    name: 'written while one before it names no session, of which nobody knows yet that the present one is over',
    deeds: [
      { write: 1, named: null },
      { exchange: 1, frames: 1 },
      { write: 1, named: null },
      { exchange: 1, frames: 1 },
      { close: 0 },
    ],
  },
  {
    name: 'acknowledged before what came before it',
    deeds: [
      ...greeted,
      { write: 0, named: null },
      { exchange: 0, frames: 6 },
      { reply: 0 },
      { lose: 0 },
      { write: 0, named: 0 },
      { exchange: 0, frames: 6 },
    ],
  },
])('a message $name is stored once, and shown once', ({ deeds }) => tell(deeds));

test('whatever order acks, logs, views and dead pages come in, an own message is stored once, and shown once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 60, size: 'max' }), (deeds) => tell(deeds)),
    { numRuns: 300 },
  );
}, 300_000);
