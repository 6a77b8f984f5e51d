import type { ServerFrame } from '@switchboard/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startTcpProxy } from '../../../testing/tcp-proxy.ts';
import type { TcpProxy } from '../../../testing/tcp-proxy.ts';
import { bootHere, type Chat, fastClock, newId, type Tested, useChat } from './support/chat.ts';
import { leaky } from './support/leaky.ts';
import { MemoryStorage } from './support/pages.ts';

async function proxyTo(chat: Chat): Promise<TcpProxy> {
  const proxy = await startTcpProxy({ port: chat.server.port });
  onTestFinished(() => proxy.close());
  return proxy;
}

const through = (proxy: TcpProxy): { url: string } => ({ url: `http://127.0.0.1:${proxy.port}` });
const states = (tested: Tested): string[] => tested.of('state').map(({ state }) => state);

/** Everybody sees what is stored: once each, in one order, without a hole. */
async function expectOneStory(
  chat: Chat,
  sessionId: string,
  sides: readonly Tested[],
  contents: readonly string[],
): Promise<void> {
  const history = await chat.history(sessionId);
  expect(history.map(({ content }) => content).toSorted()).toEqual(contents.toSorted());
  const story = history.map(({ seq, content }) => `${seq} ${content}`);
  for (const side of sides) {
    const shown = (): string[] =>
      side.client.session(sessionId).messages.map(({ seq, content }) => `${seq} ${content}`);
    await side.until(
      'the whole story',
      () => shown().length === story.length && !side.client.session(sessionId).behind,
    );
    expect(shown()).toEqual(story);
    const told = side
      .of('event')
      .filter((one) => one.sessionId === sessionId)
      .map(({ event }) => event.seq);
    expect(told).toEqual(told.map((_, i) => (told[0] as number) + i));
  }
}

describe('a server that is killed', () => {
  test('loses nothing that was sent, before or while it is away, and nothing comes twice', async () => {
    const chat = await bootHere();
    const clock = fastClock(4);
    const [user, admin] = [chat.user({ clock }), chat.admin({ clock })];
    await Promise.all([user.online(), admin.online()]);
    const { sessionId } = await user.client.send({ content: 'start' });
    await admin.until('the session', () => admin.client.session(sessionId).adminId === admin.id);
    const contents = ['start'];
    const acks: Promise<unknown>[] = [];
    const say = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        for (const [side, name] of [
          [user, 'u'],
          [admin, 'a'],
        ] as const) {
          const content = `${name}${contents.length}`;
          contents.push(content);
          acks.push(side.client.send({ sessionId, content }));
        }
      }
    };
    for (let round = 0; round < 2; round += 1) {
      say(20);
      await user.next('sent');
      await chat.server.kill();
      say(5);
      await chat.server.start();
      await user.until('the connection', () => user.client.state === 'online');
    }
    await Promise.all(acks);
    await expectOneStory(chat, sessionId, [user, admin], contents);
    const own = (name: string): string[] => user.texts(sessionId).filter((text) => text.startsWith(name));
    for (const name of ['u', 'a']) expect(own(name)).toEqual(contents.filter((text) => text.startsWith(name)));
    expect(user.heard.length).toBe(contents.length);
  }, 180_000);

  test('between the message and its ack has stored it once', async () => {
    const chat = await bootHere();
    let lose = true;
    const user = chat.user({ WebSocket: leaky((frame) => lose && frame.type === 'message_ack'), clock: fastClock(4) });
    await user.online();
    const sent = user.client.send({ content: 'once' });
    const current = async (): Promise<string | undefined> => {
      const { session } = await chat.rest('GET', '/api/chat/sessions/current', undefined, chat.userToken(user.id));
      return (session as { sessionId: string } | null)?.sessionId;
    };
    await expect.poll(current).toBeTruthy();
    const sessionId = (await current()) as string;
    await chat.server.kill();
    lose = false;
    await chat.server.start();
    expect(await sent).toMatchObject({ sessionId, seq: 1 });
    await expectOneStory(chat, sessionId, [user], ['once']);
  }, 180_000);
});

describe('a server that is stopped in an orderly way', () => {
  test('is come back to, and what was missed is caught up with', async () => {
    const chat = await bootHere();
    const [user, admin] = [await chat.user().online(), await chat.admin().online()];
    const { sessionId } = await user.client.send({ content: 'before' });
    await admin.until('the session', () => admin.client.session(sessionId).adminId === admin.id);
    const drained = user.next('state', ({ state }) => state === 'waiting');
    const stopped = chat.server.stop();
    expect(await drained).toEqual({ state: 'waiting', code: 1012 });
    const sent = user.client.send({ content: 'meanwhile' });
    expect(await stopped).toBe(0);
    await chat.server.start();
    await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'by REST' });
    await sent;
    await expectOneStory(chat, sessionId, [user, admin], ['before', 'meanwhile', 'by REST']);
    expect(user.of('error')).toEqual([]);
  }, 180_000);
});

describe('a line that is dead at both ends’ ignorance', () => {
  const chat = useChat();

  test.for(['down', 'up', 'both'] as const)(
    '%s is noticed within 35 s, and a new one brings what was missed',
    async (direction) => {
      const proxy = await proxyTo(chat);
      // Ten times as fast: the server's own heartbeats are rare then, the answers to our pings are not.
      const clock = fastClock(10);
      const user = await chat.user({ ...through(proxy), clock }).online();
      const { sessionId } = await user.client.send({ content: 'one' });
      proxy.blackhole(direction);
      const noticed = user
        .next('state', ({ state }) => state === 'waiting')
        .then(({ code }) => ({ code, at: clock.now() }));
      const sent = user.client.send({ content: 'two' });
      await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'three' });
      const since = clock.now();
      const { code, at } = await noticed;
      expect(code).toBe(1006);
      // To the second this is a matter of the state machine's own tests; here a busy machine's delays count ten times.
      expect(at - since).toBeLessThan(35_000 + 15_000);
      proxy.resume();
      await sent;
      await expectOneStory(chat, sessionId, [user], ['one', 'two', 'three']);
    },
  );

  test('lets a last message that was lost be noticed by the next heartbeat', async () => {
    let lose = true;
    const user = chat.user({
      WebSocket: leaky((frame) => lose && frame.type === 'new_admin_message'),
      clock: fastClock(10),
    });
    await user.online();
    const { sessionId } = await user.client.send({ content: 'hello' });
    await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'lost' });
    await user.until('the lost one', () => user.heard.includes('lost'));
    lose = false;
    expect(states(user)).toEqual(['connecting', 'greeting', 'online']);
    await expectOneStory(chat, sessionId, [user], ['hello', 'lost']);
  });

  test('that is cut in the middle of a frame loses nothing', async () => {
    const proxy = await proxyTo(chat);
    const user = await chat.user({ ...through(proxy), clock: fastClock(4) }).online();
    const { sessionId } = await user.client.send({ content: '0' });
    const contents = ['0'];
    for (const [bytes, direction] of [
      [10, 'up'],
      [150, 'up'],
      [10, 'down'],
      [150, 'down'],
      [400, 'down'],
    ] as const) {
      const cut = proxy.cutAfter(bytes, direction);
      const sent = [1, 2, 3].map(() => user.client.send({ content: `${contents.push('') - 1}` }));
      contents.splice(-3, 3, ...[3, 2, 1].map((back) => `${contents.length - back}`));
      await cut;
      await Promise.all(sent);
    }
    await expectOneStory(chat, sessionId, [user], contents);
    expect(user.texts(sessionId)).toEqual(contents);
  });

  test('is retried until somebody listens again', async () => {
    const proxy = await proxyTo(chat);
    const user = chat.user({ ...through(proxy), clock: fastClock(10) });
    proxy.refuse();
    const sent = user.client.send({ content: 'patience' });
    void user.client.connect();
    await user.until('some tries', () => states(user).filter((state) => state === 'waiting').length >= 4);
    await proxy.accept();
    expect(await sent).toMatchObject({ seq: 1 });
  });
});

describe('tokens', () => {
  const chat = useChat();
  const inSeconds = (seconds: number): { exp: number } => ({ exp: Math.floor(Date.now() / 1000) + seconds });

  test('are asked for on every connection, and again after a handshake that was refused', async () => {
    const id = newId();
    const given = [chat.userToken(id, inSeconds(-60)), 'nonsense', chat.userToken(id), chat.userToken(id)];
    let asked = 0;
    const user = chat.user({ auth: async () => given[asked++] as string, clock: fastClock(10) }, id);
    await user.online();
    expect([asked, states(user).filter((state) => state === 'waiting').length]).toEqual([3, 2]);
    user.client.close();
    await user.online();
    expect(asked).toBe(4);
  });

  test('that cannot be had are waited for', async () => {
    let asked = 0;
    const id = newId();
    const auth = (): string => {
      asked += 1;
      if (asked < 3) throw new Error('the host application is away');
      return chat.userToken(id);
    };
    const user = await chat.user({ auth, clock: fastClock(10) }, id).online();
    expect(user.of('error').map(({ code, cause }) => [code, String(cause)])).toEqual([
      ['AUTH', 'Error: the host application is away'],
      ['AUTH', 'Error: the host application is away'],
    ]);
  });

  test('that never come are asked for again', async () => {
    let asked = 0;
    const id = newId();
    const auth = (): string | Promise<string> => {
      asked += 1;
      if (asked === 1) return new Promise(() => undefined);
      // A host application whose own session ran out has nothing to give.
      if (asked === 2) return undefined as unknown as string;
      return chat.userToken(id);
    };
    const user = await chat.user({ auth, clock: fastClock(20) }, id).online();
    expect([asked, states(user).filter((state) => state === 'greeting').length]).toEqual([3, 1]);
    await user.client.send({ content: 'patience' });
  });

  test('are renewed on the open connection before they run out', async () => {
    const id = newId();
    const given = [chat.userToken(id, inSeconds(12)), chat.userToken(id, inSeconds(3600))];
    let asked = 0;
    const frames: ServerFrame[] = [];
    const WebSocket = leaky((frame) => frames.push(frame) === 0);
    const user = await chat.user({ auth: () => given[asked++] as string, WebSocket }, id).online();
    const renewed = (): number =>
      Date.parse(frames.find((frame) => frame.type === 'auth_refreshed')?.data.expiresAt ?? '');
    await expect.poll(renewed, { timeout: 10_000 }).toBeGreaterThan(Date.now() + 3_000_000);
    await user.client.send({ content: 'still here' });
    expect([asked, states(user), user.of('unauthorized')]).toEqual([2, ['connecting', 'greeting', 'online'], []]);
  });

  test('that run out end the connection, and only a new one begins another', async () => {
    const id = newId();
    const stale = chat.userToken(id, inSeconds(2));
    const fresh = chat.userToken(id);
    let token = stale;
    let asked = 0;
    const auth = (): string => {
      asked += 1;
      return token;
    };
    const user = await chat.user({ auth, clock: fastClock(4) }, id).online();
    await user.next('unauthorized');
    expect(user.of('state').at(-1)).toEqual({ state: 'waiting', code: 4001 });
    const before = asked;
    // Asked again and again, but what was refused is not shown to the server again.
    await expect.poll(() => asked).toBeGreaterThanOrEqual(before + 2);
    token = fresh;
    await user.until('the connection', () => user.client.state === 'online');
    expect(states(user).filter((state) => state === 'greeting')).toHaveLength(2);
  }, 60_000);

  test('of another account end it: nobody writes in another’s name', async () => {
    const id = newId();
    const given = [chat.userToken(id), chat.userToken(newId())];
    let asked = 0;
    const user = await chat.user({ auth: () => given[asked++] as string, clock: fastClock(4) }, id).online();
    user.client.close();
    void user.client.send({ content: 'mine' });
    await expect(user.client.connect()).rejects.toMatchObject({ code: 'CLOSED' });
    expect([user.client.state, user.of('error').map(({ code }) => code), user.client.unsent.length]).toEqual([
      'stopped',
      ['ACCOUNT_CHANGED'],
      1,
    ]);
  });

  test('of users open no admin’s connection', async () => {
    const admin = chat.admin({ auth: () => chat.userToken(newId()), clock: fastClock(10) });
    void admin.client.connect();
    await admin.until('a few tries', () => states(admin).filter((state) => state === 'waiting').length >= 2);
    expect(states(admin)).not.toContain('greeting');
  });
});

describe('two tabs of one account', () => {
  const chat = useChat();

  test('lose and double nothing, and show the same', async () => {
    const storage = new MemoryStorage();
    const id = newId();
    const proxy = await proxyTo(chat);
    const options = { storage, account: id, clock: fastClock(4), ...through(proxy) };
    const tabs = [chat.user(options, id), chat.user(options, id)];
    const contents: string[] = [];
    const acks: Promise<unknown>[] = [];
    const say = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        for (const tab of tabs) {
          const content = `m${contents.length}`;
          contents.push(content);
          acks.push(tab.client.send({ content }));
        }
      }
    };
    say(5);
    await Promise.all(tabs.map((tab) => tab.online()));
    say(5);
    proxy.resetAll();
    say(5);
    const [first] = (await Promise.all(acks)) as { sessionId: string }[];
    const sessionId = first?.sessionId as string;
    await expectOneStory(chat, sessionId, tabs, contents);
    expect(tabs.map((tab) => tab.client.unsent)).toEqual([[], []]);
    for (const tab of tabs) tab.client.close();
    expect([...storage.items]).toEqual([]);
  });

  test('take over from each other what one leaves unsent', async () => {
    const storage = new MemoryStorage();
    const id = newId();
    const options = { storage, account: id, clock: fastClock(10) };
    const gone = chat.user(options, id);
    const [a, b] = [gone.client.send({ content: 'a' }), gone.client.send({ content: 'b' })];
    await expect.poll(() => storage.items.size).toBe(1);
    gone.client.close();
    const next = await chat.user(options, id).online();
    await next.until('both', () => next.heard.length === 2);
    expect(next.texts()).toEqual(['a', 'b']);
    // The tab that left comes back: its messages are there already, and its promises are kept all the same.
    await gone.online();
    expect((await Promise.all([a, b])).map(({ seq }) => seq)).toEqual([1, 2]);
    const { sessionId } = await a;
    await gone.client.open(sessionId);
    await expectOneStory(chat, sessionId, [next, gone], ['a', 'b']);
  });

  test('take over what is stored already, and never show it twice', async () => {
    const storage = new MemoryStorage();
    const id = newId();
    const options = { storage, account: id, clock: fastClock(10) };
    const next = await chat.user(options, id).online();
    const { sessionId } = await next.client.send({ content: 'a' });
    await next.client.open(sessionId);
    const shown: number[] = [];
    next.client.on('change', () => shown.push(next.texts(sessionId).filter((text) => text === 'b').length));
    const gone = chat.user({ ...options, WebSocket: leaky((frame) => frame.type === 'message_ack') }, id);
    await gone.online();
    void gone.client.send({ content: 'b', sessionId });
    await next.until('the message', () => next.heard.includes('b'));
    // Its place in the storage may still be on its way: told here as sent, it was taken over.
    const taken = next.next('sent');
    gone.client.close();
    expect(await taken).toMatchObject({ sessionId, seq: expect.any(Number) });
    expect(Math.max(...shown)).toBe(1);
    expect(next.texts(sessionId)).toEqual(['a', 'b']);
  });

  test('without a given account, keep messages once the server has said whose they are', async () => {
    const storage = new MemoryStorage();
    const id = newId();
    const options = { storage, clock: fastClock(10) };
    const proxy = await proxyTo(chat);
    const gone = await chat.user({ ...options, ...through(proxy) }, id).online();
    await expect.poll(() => storage.items.size).toBe(1);
    proxy.refuse();
    proxy.resetAll();
    void gone.client.send({ content: 'kept' });
    gone.client.close();
    const other = chat.user({ ...options, ...through(proxy) }, newId());
    await proxy.accept();
    await other.online();
    const next = await chat.user({ ...options, ...through(proxy) }, id).online();
    await next.until('the message', () => next.heard.includes('kept'));
    expect(other.texts()).toEqual([]);
  });
});
