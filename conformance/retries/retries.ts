/** Messages handed in again and again, by every way there is: each must be stored once, shown once, and acknowledged alike. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Switchboard } from '../../testing/switchboard.ts';
import { Chance } from '../../testing/chance.ts';
import { Line } from './line.ts';
import { ADMIN, adminSender, type Message, type Outcome, type Payload, type Sender, userSender } from './sender.ts';

export interface RetriesOptions {
  /** How often something is handed in that was handed in before. */
  readonly count: number;
  readonly seed: number;
  /** Ends earlier, when these are over. */
  readonly minutes?: number;
  readonly users?: number;
  readonly admins?: number;
}

export interface Report {
  readonly messages: number;
  readonly sessions: number;
  readonly retries: number;
  /** Of these on two ways at the same moment. */
  readonly atOnce: number;
  /** Of these without the name of the session. */
  readonly nameless: number;
  /** Of these into a session that had been closed since. */
  readonly closed: number;
  /** Another payload under a used id: refused as it must be. */
  readonly conflicts: number;
  /** What must not have happened, in words. */
  readonly wrong: readonly string[];
}

/** Half of the retries, a restart of the server, the other half; then what was acknowledged, shown and stored is compared. */
export async function forcedRetries(server: Switchboard, options: RetriesOptions): Promise<Report> {
  const run = new Run(server, options);
  const { count, minutes = 600 } = options;
  await run.round(count / 2, minutes / 2);
  await server.restart();
  await run.round(count, minutes / 2);
  await run.compare();
  return run.report;
}

class Run {
  readonly #server: Switchboard;
  readonly #options: RetriesOptions;
  readonly #chance: Chance;
  readonly #wrong: string[] = [];
  readonly #all: { readonly messages: Message[]; sessionId: string | null }[] = [];
  /** How often the observer was shown each message. */
  readonly #shown = new Map<string, number>();
  readonly #closed = new Set<string>();
  readonly #counts = { retries: 0, atOnce: 0, nameless: 0, closed: 0, conflicts: 0 };
  #ids = 0;

  constructor(server: Switchboard, options: RetriesOptions) {
    this.#server = server;
    this.#options = options;
    this.#chance = new Chance(options.seed);
  }

  get report(): Report {
    return {
      ...this.#counts,
      messages: this.#messages.length,
      sessions: new Set(this.#messages.map(({ stored }) => stored?.sessionId)).size,
      wrong: this.#wrong,
    };
  }

  get #messages(): Message[] {
    return this.#all.flatMap(({ messages }) => messages);
  }

  /** Hands in until so many retries were made in all. */
  async round(until: number, minutes: number): Promise<void> {
    const { users = 24, admins = 8 } = this.#options;
    const token = this.#server.token({ userId: ADMIN, roles: ['admin'] });
    const observer = await Line.open(`${this.#server.wsUrl}/chat?token=${token}&type=admin`, ({ type, data }) => {
      if (type !== 'new_user_message' && type !== 'new_admin_message') return;
      const { messageId } = data['message'] as { messageId: string };
      this.#shown.set(messageId, (this.#shown.get(messageId) ?? 0) + 1);
    });
    const senders = await Promise.all([
      ...Array.from({ length: users }, (_, i) => userSender(this.#server, 1_000 + i)),
      ...Array.from({ length: admins }, (_, i) => this.#replier(2_000 + i)),
    ]);
    for (const [i, sender] of senders.entries()) {
      const before = this.#all[i];
      if (before) {
        sender.messages.push(...before.messages);
        sender.sessionId = before.sessionId;
      }
      this.#all[i] = sender;
    }
    const deadline = performance.now() + minutes * 60_000;
    await Promise.all(
      senders.map(async (sender) => {
        while (this.#counts.retries < until && performance.now() < deadline && this.#wrong.length < 20)
          await this.#step(sender);
      }),
    );
    await this.#allShown();
    for (const { leave } of [observer, ...senders].map((each) => ({ leave: () => each.leave() }))) leave();
  }

  /** What is acknowledged reaches the observer a moment later. */
  async #allShown(): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (this.#shown.size < this.#messages.length && performance.now() < deadline) await sleep(20);
  }

  /** The admin in a session that a user began. */
  async #replier(userId: number): Promise<Sender> {
    const sessionId = `replies-${userId}`;
    const user = await userSender(this.#server, userId);
    const first = { ...this.#payload(), clientMessageId: 'first', stored: null, fresh: 0 };
    const { stored } = await (user.ways[0] as Sender['ways'][0])(first, sessionId);
    user.leave();
    // No message of the run: the observer is not asked about it.
    if (stored) this.#shown.delete(stored.messageId);
    return adminSender(this.#server, sessionId);
  }

  async #step(sender: Sender): Promise<void> {
    const chance = this.#chance;
    if (sender.messages.length > 0 && chance.happens(150)) return this.#handLate(sender);
    if (sender.messages.length > 0 && chance.happens(40)) return this.#contradict(sender);
    if (sender.close && sender.sessionId !== null && chance.happens(120)) {
      await sender.close(sender.sessionId);
      this.#closed.add(sender.sessionId);
      sender.sessionId = null;
    }
    const message: Message = {
      ...this.#payload(),
      clientMessageId: `c${++this.#ids}`,
      stored: null,
      fresh: 0,
    };
    sender.messages.push(message);
    const times = 2 + chance.below(3);
    const kind = chance.below(100);
    if (kind < 15) await this.#handAtOnce(sender, message);
    else if (kind < 50) await this.#handWithoutWaiting(sender, message, times);
    else for (let i = 0; i < times; i++) await this.#hand(sender, message, chance.pick(sender.ways), i > 0);
    sender.sessionId ??= message.stored?.sessionId ?? null;
  }

  /** Two ways at the same moment, now and then all there are. */
  async #handAtOnce(sender: Sender, message: Message): Promise<void> {
    const from = this.#chance.below(sender.ways.length);
    const many = this.#chance.happens(200) ? sender.ways.length : 2;
    const ways = sender.ways.map((_, i) => sender.ways[(from + i) % sender.ways.length]).slice(0, many);
    this.#counts.atOnce += ways.length - 1;
    await Promise.all(ways.map((way, i) => this.#hand(sender, message, way as Sender['ways'][0], i > 0)));
  }

  /** One way, again before the first is acknowledged. */
  async #handWithoutWaiting(sender: Sender, message: Message, times: number): Promise<void> {
    const way = this.#chance.pick(sender.ways);
    await Promise.all(Array.from({ length: times }, (_, i) => this.#hand(sender, message, way, i > 0)));
  }

  /** What was acknowledged long ago, before the restart or in a session that is closed. */
  async #handLate(sender: Sender): Promise<void> {
    const message = this.#chance.pick(sender.messages);
    if (!message.stored) return;
    if (this.#closed.has(message.stored.sessionId)) this.#counts.closed += 1;
    await this.#hand(sender, message, this.#chance.pick(sender.ways), true);
  }

  async #hand(sender: Sender, message: Message, way: Sender['ways'][0], again: boolean): Promise<void> {
    // Before it is acknowledged the session is the one of this moment; afterwards it is where it is.
    const known = message.stored?.sessionId ?? sender.sessionId;
    const sessionId = sender.nameless && this.#chance.happens(500) ? null : known;
    if (again) this.#counts.retries += 1;
    if (again && sessionId === null) this.#counts.nameless += 1;
    this.#note(message, await way(message, sessionId));
  }

  #note(message: Message, { stored, duplicate, code }: Outcome): void {
    if (!stored) this.#wrong.push(`${message.clientMessageId} was refused: ${code}`);
    else if (!message.stored) message.stored = stored;
    else if (JSON.stringify(stored) !== JSON.stringify(message.stored))
      this.#wrong.push(`${message.clientMessageId} is ${JSON.stringify(message.stored)} and ${JSON.stringify(stored)}`);
    if (stored && !duplicate) message.fresh += 1;
  }

  /** The same id with another payload. */
  async #contradict(sender: Sender): Promise<void> {
    const message = this.#chance.pick(sender.messages);
    if (!message.stored) return;
    const other: Payload = this.#chance.pick<Payload>([
      { ...message, content: `${message.content}.` },
      { ...message, messageType: message.messageType === 'text' ? 'file' : 'text' },
      { ...message, attachments: [{ url: 'https://example.com/other' }] },
    ]);
    const { code } = await this.#chance.pick(sender.ways)(message, message.stored.sessionId, other);
    this.#counts.conflicts += 1;
    if (code !== 'CONFLICT') this.#wrong.push(`${message.clientMessageId} with another payload: ${code ?? 'taken'}`);
  }

  #payload(): Payload {
    const chance = this.#chance;
    return {
      content: `${chance.pick(['你好', 'hello', '🧩'])} ${chance.below(1_000)}`,
      messageType: chance.pick(['text', 'text', 'file']),
      attachments: chance.happens(200) ? [{ url: `https://example.com/${chance.below(10)}` }] : [],
    };
  }

  /** Everything that was acknowledged beside what was shown and what is stored. */
  async compare(): Promise<void> {
    const bySession = new Map<string, Message[]>();
    for (const message of this.#messages) {
      const { clientMessageId, stored, fresh } = message;
      if (!stored) continue;
      if (fresh !== 1) this.#wrong.push(`${clientMessageId} was new to the server ${fresh} times`);
      const shown = this.#shown.get(stored.messageId) ?? 0;
      if (shown !== 1) this.#wrong.push(`${clientMessageId} was shown ${shown} times`);
      bySession.set(stored.sessionId, [...(bySession.get(stored.sessionId) ?? []), message]);
    }
    for (const [sessionId, messages] of bySession) {
      const { session, kept } = await this.#read(sessionId);
      const own = kept.filter(({ clientMessageId }) => clientMessageId !== 'first');
      const wanted = messages.map(
        ({ clientMessageId, stored }) => `${stored?.seq} ${stored?.messageId} ${clientMessageId}`,
      );
      const found = own.map(({ seq, messageId, clientMessageId }) => `${seq} ${messageId} ${clientMessageId}`);
      if (wanted.toSorted().join() !== found.toSorted().join())
        this.#wrong.push(`${sessionId} holds ${found.length} messages, ${wanted.length} were acknowledged`);
      if (session.messageCount !== kept.length)
        this.#wrong.push(`${sessionId} counts ${session.messageCount} messages and has ${kept.length}`);
      if (this.#closed.has(sessionId) !== (session.status === 'closed'))
        this.#wrong.push(`${sessionId} is ${session.status}`);
    }
  }

  async #read(sessionId: string): Promise<{ session: Session; kept: Kept[] }> {
    const token = this.#server.token({ userId: ADMIN, roles: ['admin'] });
    const get = async (path: string): Promise<{ session: Session; messages: Kept[] }> => {
      const answer = await fetch(`${this.#server.url}/admin/chat/sessions/${sessionId}${path}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      return ((await answer.json()) as { data: { session: Session; messages: Kept[] } }).data;
    };
    const kept: Kept[] = [];
    for (;;) {
      const { messages } = await get(`/messages?pageSize=100&afterSeq=${kept.at(-1)?.seq ?? 0}`);
      kept.push(...messages);
      if (messages.length < 100) break;
    }
    return { session: (await get('')).session, kept };
  }
}

interface Session {
  readonly status: string;
  readonly messageCount: number;
}

interface Kept {
  readonly seq: number;
  readonly messageId: string;
  readonly clientMessageId?: string;
}
