/** A storm: people write in tabs that come, go and crash, over lines that fail, to a server that dies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { History } from '../../../../conformance/storm/history.ts';
import { judge, type Verdict } from '../../../../conformance/storm/judge.ts';
import { Chance } from '../../../../testing/chance.ts';
import type { Direction, TcpProxy } from '../../../../testing/tcp-proxy.ts';
import { startTcpProxy } from '../../../../testing/tcp-proxy.ts';
import { type Client, type Clock, createClient } from '../../src/index.ts';
import { boot, type Chat, fastClock } from './chat.ts';
import { MemoryStorage } from './pages.ts';
import { Page } from './weather.ts';

export interface StormOptions {
  readonly seed: number;
  /** How often something breaks. */
  readonly cycles: number;
  readonly databaseUrl?: string;
}

export interface StormReport {
  readonly verdict: Verdict;
  /** Messages that were written and are not stored, stored twice, or in another order than they were written in. */
  readonly unstored: string[];
  readonly twice: string[];
  readonly disordered: string[];
  /** Where a page shows something else than what is stored. */
  readonly otherwise: string[];
  /** Messages that the SDK gave up. */
  readonly failed: string[];
  /** What a page showed twice, even for a moment. */
  readonly shownTwice: string[];
  readonly figures: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
}

/** What takes the SDK half a minute is over in a few seconds. */
const TIMES = 6;
const SPOILT = 50;
/** How long a page may look for a place in the storage, by the SDK's clock. */
const CLAIM_MS = 1_000;
/** How long nothing may get better when all is calm again. */
const PATIENCE_MS = 60_000;

interface Stored {
  readonly sessionId: string;
  readonly seq: number;
  readonly messageId: string;
  readonly clientMessageId: string | null;
  readonly senderType: string;
  readonly content: string;
}

interface Sky {
  readonly chat: Chat;
  readonly line: TcpProxy;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly history: History;
  /** By their marks. */
  readonly contents: Map<string, string>;
  readonly failed: string[];
  readonly shownTwice: string[];
  /** Written in the moment in which a page had no place in the storage yet, and gone with it. */
  readonly excused: Set<string>;
}

/** One tab after the other in the same browser: what one leaves the next one finds. */
class Tab {
  readonly name: string;
  readonly side: 'user' | 'admin';
  readonly id: number;
  /** The marks of what each page wrote, in that order. */
  readonly written: string[][] = [];
  client!: Client;
  page!: Page;
  readonly #sky: Sky;
  readonly #storage: MemoryStorage;

  constructor(sky: Sky, side: 'user' | 'admin', id: number, name: string, storage: MemoryStorage) {
    this.name = name;
    this.side = side;
    this.id = id;
    this.#sky = sky;
    this.#storage = storage;
    this.open();
  }

  /** The present page as a witness. */
  get observer(): string {
    return `${this.name}.${this.written.length}`;
  }

  open(): void {
    const { chat, line, clock, chance, history, failed, shownTwice } = this.#sky;
    this.written.push([]);
    const { observer, side, id } = this;
    const connection = this.written.length;
    this.page = new Page(clock, chance, SPOILT);
    this.client = createClient({
      url: `http://127.0.0.1:${line.port}`,
      type: side,
      auth: () => (side === 'user' ? chat.userToken(id) : chat.adminToken(id)),
      account: id,
      storage: this.#storage,
      WebSocket: this.page.WebSocket,
      clock: this.page.clock,
      random: () => chance.next(),
      history: Infinity,
    });
    this.client.on('event', ({ sessionId, event: { seq, ...event } }) => {
      const messageId = event.kind === 'message' ? event.message.messageId : null;
      history.add({ what: 'seen', observer, connection, sessionId, seq, messageId });
    });
    this.client.on('sent', (ack) => history.add({ what: 'acked', ...ack }));
    this.client.on('receipt', ({ sessionId, readerType, readerId, deliveredSeq, readSeq }) => {
      const receipt = {
        what: 'receipt',
        observer,
        sessionId,
        reader: `${readerType} ${readerId}`,
        live: true,
      } as const;
      history.add({ ...receipt, kind: 'delivered', upToSeq: deliveredSeq });
      history.add({ ...receipt, kind: 'read', upToSeq: readSeq });
    });
    this.client.on('change', ({ messages }) => {
      // Every look costs the length of the conversation.
      if (!chance.happens(50)) return;
      const marks = messages.map(({ clientMessageId }) => clientMessageId);
      if (new Set(marks).size < marks.length) shownTwice.push(`${observer}: ${marks.join()}`);
    });
    this.client.on('failed', ({ clientMessageId, error }) => failed.push(`${clientMessageId}: ${error.code}`));
    if (side === 'admin') this.client.inbox({ follow: 'all' });
    void this.client.connect().catch(() => undefined);
  }

  write(sessionId: string | null = null): void {
    const { contents, chance } = this.#sky;
    const written = this.written.at(-1) as string[];
    const clientMessageId = `${this.name}-${this.written.length}-${written.length}`;
    const content = `${clientMessageId} 你好 ${'.'.repeat(chance.below(40))}`;
    written.push(clientMessageId);
    contents.set(clientMessageId, content);
    void this.client.send({ content, clientMessageId, sessionId });
  }

  /** The page is left in an orderly way, and opened again. */
  reload(): void {
    this.client.close();
    this.crash();
  }

  /** The page is gone in the middle of whatever it does. */
  crash(): void {
    const { clock, excused } = this.#sky;
    const kept = [...this.#storage.items.values()].join();
    for (const { clientMessageId, at } of this.client.unsent) {
      if (clock.now() - at < CLAIM_MS && !kept.includes(`"${clientMessageId}"`)) excused.add(clientMessageId);
    }
    this.page.crash();
    this.open();
  }
}

/** What may break. It is whole again when this is over, or when the next one begins. */
const breakages: Readonly<Record<string, (sky: Sky, tabs: readonly Tab[]) => Promise<void>>> = {
  async cut({ line, chance }) {
    // Whether so much will ever go that way is uncertain.
    const cut = line.cutAfter(chance.below(3_000), chance.happens(500) ? 'up' : 'down');
    await Promise.race([cut, sleep(300)]);
  },
  async reset({ line }) {
    line.resetAll();
  },
  async silence({ line, chance }) {
    line.blackhole(chance.pick<Direction>(['up', 'down', 'both']));
    await sleep(chance.next() * 8_000);
    line.resume();
  },
  async stall({ line, chance }) {
    line.stall();
    await sleep(chance.next() * 2_000);
    line.resume();
  },
  async absence({ line, chance }) {
    line.refuse();
    line.resetAll();
    await sleep(chance.next() * 500);
    await line.accept();
  },
  async kill({ chat, chance }) {
    await sleep(chance.next() * 30);
    await chat.server.kill();
    await chat.server.start();
  },
  async restart({ chat }) {
    await chat.server.stop();
    await chat.server.start();
  },
  async reload({ chance }, tabs) {
    for (const tab of tabs) if (chance.happens(400)) tab.reload();
  },
  async crash({ chance }, tabs) {
    for (const tab of tabs) if (chance.happens(400)) tab.crash();
  },
  async close({ chat, chance }) {
    for (const sessionId of await sessionsOf(chat, 'active')) {
      if (chance.happens(500))
        await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/close`).catch(() => undefined);
    }
  },
};

export async function storm({ seed, cycles, databaseUrl }: StormOptions): Promise<StormReport> {
  const env = { ADMIN_OFFLINE_GRACE_SECONDS: '2', LOG_LEVEL: 'warn' };
  const chat = await boot({ ...(databaseUrl === undefined ? {} : { databaseUrl }), env, readyTimeoutMs: 120_000 });
  const line = await startTcpProxy({ port: chat.server.port });
  const sky: Sky = {
    chat,
    line,
    clock: fastClock(TIMES),
    chance: new Chance(seed),
    history: new History(),
    contents: new Map(),
    failed: [],
    shownTwice: [],
    excused: new Set(),
  };
  const storages = Array.from({ length: 4 }, () => new MemoryStorage());
  const [first, second, third, desk] = storages as [MemoryStorage, MemoryStorage, MemoryStorage, MemoryStorage];
  const users = [
    new Tab(sky, 'user', 101, 'u1a', first),
    new Tab(sky, 'user', 101, 'u1b', first),
    new Tab(sky, 'user', 102, 'u2a', second),
    new Tab(sky, 'user', 102, 'u2b', second),
    new Tab(sky, 'user', 103, 'u3', third),
  ];
  const admins = [
    new Tab(sky, 'admin', 7, 'a7a', desk),
    new Tab(sky, 'admin', 7, 'a7b', desk),
    new Tab(sky, 'admin', 8, 'a8', new MemoryStorage()),
  ];
  const tabs = [...users, ...admins];
  const faults: Record<string, number> = {};
  const began = performance.now();
  try {
    const names = Object.keys(breakages);
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const name = sky.chance.pick(names);
      const broken = breakages[name]?.(sky, tabs);
      // People write on meanwhile.
      const writing = people(sky, users, admins);
      await Promise.all([broken, writing]);
      faults[name] = (faults[name] ?? 0) + 1;
    }
    return { ...(await settle(sky, tabs, storages, began)), faults };
  } finally {
    for (const tab of tabs) tab.client.close();
    for (const tab of tabs) tab.page.crash();
    line.close();
    await chat.server.remove();
  }
}

async function people({ chance }: Sky, users: readonly Tab[], admins: readonly Tab[]): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    for (const tab of users) if (chance.happens(500)) tab.write();
    for (const tab of admins) {
      const open = tab.client.inbox({ follow: 'all' }).sessions;
      const entry = open[chance.below(open.length)];
      if (entry && chance.happens(700)) tab.write(entry.sessionId);
      if (entry && chance.happens(200)) tab.client.markRead(entry.sessionId);
    }
    await sleep(chance.next() * 60);
  }
}

/** Lets everything come to rest, and compares what was written with what is stored and with what is shown. */
async function settle(
  { chat, line, history, contents, failed, shownTwice, excused }: Sky,
  tabs: readonly Tab[],
  storages: readonly MemoryStorage[],
  began: number,
): Promise<Omit<StormReport, 'faults'>> {
  for (const tab of tabs) tab.page.spoilt = Infinity;
  line.resume();
  await line.accept();
  const kept = (): string => storages.flatMap(({ items }) => [...items.values()]).join();
  await until(
    () => tabs.reduce((sum, { client }) => sum + client.unsent.length, 0),
    () => `all is sent: ${unsentOf(tabs)}`,
  );
  await until(
    () => kept().split('clientMessageId').length - 1,
    () => `nothing is left in the storages: ${kept()}`,
  );
  const stored: Stored[] = [];
  const heads = new Map<string, number>();
  const owners = new Map<string, number>();
  for (const sessionId of await sessionsOf(chat, 'all')) {
    const messages = (await chat.history(sessionId)) as unknown as Stored[];
    stored.push(...messages.map((message) => ({ ...message, sessionId })));
    const { session } = (await chat.rest('GET', `/api/admin/chat/sessions/${sessionId}`)) as unknown as {
      session: { lastSeq: number; userId: number };
    };
    heads.set(sessionId, session.lastSeq);
    owners.set(sessionId, session.userId);
    history.add({ what: 'head', sessionId, seq: session.lastSeq });
  }
  for (const { sessionId, seq, messageId, clientMessageId, senderType, content } of stored) {
    // Receipts still move: a status read now may be older than what is heard later.
    history.add({ what: 'stored', sessionId, seq, messageId, clientMessageId, senderType, status: null, content });
  }
  for (const { sessionId, clientMessageId } of history.of('acked')) {
    history.add({ what: 'sent', sessionId, clientMessageId, content: contents.get(clientMessageId) ?? '' });
  }
  const otherwise: string[] = [];
  for (const tab of tabs) {
    for (const [sessionId, head] of heads) {
      if (tab.side === 'user' && owners.get(sessionId) !== tab.id) continue;
      const view = await tab.client.open(sessionId);
      await until(
        () => Math.max(0, head - view.lastSeq),
        () => `${tab.observer} has #${head} of ${sessionId}, not ${view.lastSeq}`,
      );
      const shown = view.messages.map(({ seq, messageId, content }) => `${seq} ${messageId} ${content}`).join('\n');
      const wanted = stored
        .filter((message) => message.sessionId === sessionId)
        .map(({ seq, messageId, content }) => `${seq} ${messageId} ${content}`)
        .join('\n');
      if (shown !== wanted) otherwise.push(`${tab.observer} ${sessionId}: ${shown} instead of ${wanted}`);
    }
  }
  const places = new Map<string, Stored[]>();
  for (const message of stored) {
    const mark = message.clientMessageId as string;
    places.set(mark, [...(places.get(mark) ?? []), message]);
  }
  const disordered = tabs.flatMap(({ written }) => written.flatMap((marks) => disorderOf(marks, places)));
  const admins = tabs.filter(({ side }) => side === 'admin');
  return {
    verdict: judge(history, {
      complete: Object.fromEntries(admins.map(({ observer }) => [observer, [...heads.keys()]])),
    }),
    unstored: [...contents.keys()].filter((mark) => !places.has(mark) && !excused.has(mark)),
    twice: [...places].filter(([, at]) => at.length > 1).map(([mark]) => mark),
    disordered,
    otherwise,
    failed,
    shownTwice,
    figures: {
      written: contents.size,
      stored: stored.length,
      excused: excused.size,
      sessions: heads.size,
      events: [...heads.values()].reduce((sum, head) => sum + head, 0),
      seen: history.of('seen').length,
      pages: tabs.reduce((sum, { written }) => sum + written.length, 0),
      seconds: Math.round((performance.now() - began) / 1000),
    },
  };
}

/** What one page wrote stands in each session in the order in which it was written. */
function disorderOf(marks: readonly string[], places: ReadonlyMap<string, readonly Stored[]>): string[] {
  const last = new Map<string, number>();
  return marks.flatMap((mark) => {
    const place = places.get(mark)?.[0];
    if (!place) return [];
    const before = last.get(place.sessionId) ?? 0;
    last.set(place.sessionId, Math.max(before, place.seq));
    return place.seq < before ? [`${mark} of ${place.sessionId} at ${place.seq}, behind ${before}`] : [];
  });
}

async function sessionsOf(chat: Chat, status: string): Promise<string[]> {
  const all: string[] = [];
  for (let page = 1, more = true; more; page += 1) {
    try {
      const found = await chat.rest('GET', `/api/admin/chat/sessions?status=${status}&pageSize=100&page=${page}`);
      all.push(...(found['sessions'] as { sessionId: string }[]).map(({ sessionId }) => sessionId));
      more = (found['pagination'] as { hasMore: boolean }).hasMore;
    } catch (error) {
      if (status === 'all') throw error;
      more = false;
    }
  }
  return all;
}

function unsentOf(tabs: readonly Tab[]): string {
  return tabs
    .map(
      ({ observer, client }) => `${observer} (${client.state}) ${client.unsent.map((e) => e.clientMessageId).join()}`,
    )
    .join('; ');
}

/** Waits until nothing is left to be done; fails where that does not get less. */
async function until(left: () => number, what: () => string): Promise<void> {
  let least = Infinity;
  let deadline = 0;
  for (let now = left(); now > 0; now = left()) {
    if (now < least) deadline = performance.now() + PATIENCE_MS;
    else if (performance.now() > deadline) throw new Error(`waited in vain: ${what()}`);
    least = Math.min(least, now);
    await sleep(10);
  }
}
