import { describe, expect, test } from 'vitest';
import { startTcpProxy } from '../../../testing/tcp-proxy.ts';
import type { ServerFrame } from '@switchboard/protocol';
import { WebSocket } from 'ws';
import type { SocketConstructor } from '../src/index.ts';
import { bootHere, useChat } from './support/chat.ts';
import { leaky } from './support/leaky.ts';

const chat = useChat();

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

describe('a conversation', () => {
  test('goes both ways, in one order for everybody', async () => {
    const [user, admin] = [chat.user(), chat.admin()];
    await Promise.all([user.online(), admin.online()]);
    const first = await user.client.send({ content: 'hello' });
    expect(first).toMatchObject({ seq: 1, sessionId: expect.stringMatching(/^session_/) });
    const { sessionId } = first;
    await admin.until('the message', () => admin.heard.includes('hello'));
    await admin.until('the assignment', () => admin.client.session(sessionId).adminId === admin.id);
    const reply = await admin.client.send({ sessionId, content: 'hi' });
    await user.client.send({ content: 'I have a question' });
    await user.until('the reply', () => user.heard.includes('hi'));
    await admin.until('the question', () => admin.heard.includes('I have a question'));
    const history = await chat.history(sessionId);
    expect(history.map(({ content }) => content)).toEqual(['hello', 'hi', 'I have a question']);
    for (const side of [user, admin]) {
      const view = side.client.session(sessionId);
      expect(view.messages.map(({ content, seq, messageId }) => [content, seq, messageId])).toEqual(
        history.map(({ content, seq, messageId }) => [content, seq, messageId]),
      );
      expect([view.status, view.adminId, view.behind]).toEqual(['active', admin.id, false]);
      expect(side.heard).toEqual(['hello', 'hi', 'I have a question']);
      expect(side.of('error')).toEqual([]);
    }
    expect(reply.sessionId).toBe(sessionId);
    expect(user.client.session()).toBe(user.client.session(sessionId));
    expect(user.of('status')).toMatchObject([{ sessionId, status: 'active', adminId: admin.id, live: true }]);
  });

  test('is shown at once, before there is a connection', async () => {
    const user = chat.user();
    const sent = [user.client.send({ content: 'a' }), user.client.send({ content: 'b' })];
    expect(user.client.session()).toMatchObject({
      sessionId: null,
      messages: [{ content: 'a', status: 'sending' }, { content: 'b' }],
    });
    expect(user.client.unsent).toHaveLength(2);
    await user.online();
    const [a, b] = await Promise.all(sent);
    expect(b?.sessionId).toBe(a?.sessionId);
    expect(user.client.session().messages).toMatchObject([
      { content: 'a', status: 'sent' },
      { content: 'b', status: 'sent' },
    ]);
    expect([user.client.unsent, user.client.session(null).messages]).toEqual([[], []]);
  });

  test('carries attachments and other types', async () => {
    const user = await chat.user().online();
    const attachments = [{ url: 'https://example.com/a.png', name: 'a.png', size: 7 }];
    const { sessionId } = await user.client.send({ content: 'see', messageType: 'image', attachments });
    expect(await chat.history(sessionId)).toMatchObject([{ messageType: 'image', attachments }]);
    expect(user.client.session(sessionId).messages).toMatchObject([{ messageType: 'image', attachments }]);
  });

  test('that was closed gives way to a new one', async () => {
    const user = await chat.user().online();
    const first = await user.client.send({ content: 'first' });
    await chat.rest('POST', `/api/admin/chat/sessions/${first.sessionId}/close`);
    await user.until('the end', () => user.client.session().status === 'closed');
    const second = user.client.send({ content: 'second' });
    expect(user.client.session()).toMatchObject({ sessionId: null, messages: [{ content: 'second' }] });
    expect((await second).sessionId).not.toBe(first.sessionId);
    expect(user.texts()).toEqual(['second']);
    // One may say which, and reopens it.
    expect((await user.client.send({ content: 'again', sessionId: first.sessionId })).sessionId).toBe(first.sessionId);
  });

  test('of an account is told to all its connections, whoever wrote', async () => {
    const one = await chat.user().online();
    const two = await chat.user({}, one.id).online();
    const { sessionId } = await one.client.send({ content: 'from one' });
    await two.client.open(sessionId);
    expect(two.texts()).toEqual(['from one']);
    await two.client.send({ content: 'from two' });
    await one.until('the other one', () => one.heard.includes('from two'));
    expect(one.texts(sessionId)).toEqual(two.texts(sessionId));
    expect(one.of('message').map(({ own }) => own)).toEqual([true, true]);
  });

  test('is rated, and the rating is told', async () => {
    const admin = await chat.admin().online();
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'hello' });
    await admin.until('the session', () => admin.client.session(sessionId).adminId === admin.id);
    await chat.rest(
      'POST',
      `/api/chat/sessions/${sessionId}/rating`,
      { score: 5, comment: 'good' },
      chat.userToken(user.id),
    );
    for (const side of [user, admin]) {
      await side.until('the rating', () => side.client.session(sessionId).rating);
      expect(side.client.session(sessionId).rating).toEqual({ score: 5, comment: 'good' });
    }
  });
});

describe('open', () => {
  test('reads a long log, from wherever one likes', async () => {
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'first' });
    const texts = ['first', ...numbers(700)];
    for (const content of texts.slice(1))
      void chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content });
    await user.until('all of them', () => user.texts().length === texts.length);
    texts.splice(0, texts.length, ...user.texts());
    const admin = await chat.admin().online();
    const view = await admin.client.open(sessionId);
    expect(view.messages.map(({ content }) => content)).toEqual(texts);
    expect(admin.of('message').filter(({ sessionId: id, live }) => id === sessionId && live)).toEqual([]);
    const other = await chat.admin().online();
    const end = await other.client.open(sessionId, { afterSeq: view.lastSeq - 3 });
    expect([end.base, end.lastSeq]).toEqual([view.lastSeq - 3, view.lastSeq]);
    await other.client.open(sessionId);
    expect(other.texts(sessionId)).toEqual(texts);
    expect(other.of('reset')).toHaveLength(1);
  });

  test('rejects for what is not ours, and for what there is not', async () => {
    const [user, other] = [await chat.user().online(), await chat.user().online()];
    const { sessionId } = await user.client.send({ content: 'private' });
    await expect(other.client.open(sessionId)).rejects.toMatchObject({ code: 'FORBIDDEN', name: 'SwitchboardError' });
    await expect(other.client.open('nobodys')).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
    expect(other.client.session(sessionId).messages).toEqual([]);
  });

  test('ends with leave', async () => {
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'one' });
    const admin = await chat.admin().online();
    await admin.client.open(sessionId);
    await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/transfer`, { adminId: 8 });
    await admin.until('the transfer', () => admin.client.session(sessionId).adminId === 8);
    await user.client.send({ content: 'two' });
    await admin.until('what happens to another’s session', () => admin.heard.includes('two'));
    admin.client.leave(sessionId);
    await user.client.send({ content: 'three' });
    // Whatever was on its way is here before the answer to a question that is asked after it.
    await admin.client.open(sessionId, { afterSeq: admin.client.session(sessionId).lastSeq });
    expect(admin.of('message').filter(({ message }) => message.content === 'three')).toHaveLength(1);
  });
});

describe('a message that is refused', () => {
  test('rejects with the code, and stays in view as failed until it is discarded', async () => {
    const [user, other] = [await chat.user().online(), await chat.user().online()];
    const { sessionId } = await user.client.send({ content: 'mine' });
    const refused = other.client.send({ content: 'intruder', sessionId, clientMessageId: 'bad' });
    await expect(refused).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(other.of('failed')).toMatchObject([{ clientMessageId: 'bad', sessionId, error: { code: 'FORBIDDEN' } }]);
    expect(other.client.session(sessionId).messages).toMatchObject([
      { content: 'intruder', status: 'failed', error: 'FORBIDDEN' },
    ]);
    other.client.discard('bad');
    expect(other.client.session(sessionId).messages).toEqual([]);
    expect(await chat.history(sessionId)).toHaveLength(1);
  });

  test('holds up nobody', async () => {
    const user = chat.user();
    const sent = ['one', '   ', 'x'.repeat(10_001), 'two', 'nul\0', 'three'].map((content) =>
      user.client.send({ content }),
    );
    await user.online();
    const results = await Promise.allSettled(sent);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(user.texts()).toEqual(['one', 'two', 'three', '   ', 'x'.repeat(10_001), 'nul\0']);
  });

  test('may be one that no frame can carry', async () => {
    const user = await chat.user().online();
    const attachments = Array.from({ length: 10 }, () => ({ url: '好'.repeat(2_000), name: '好'.repeat(255) }));
    await expect(user.client.send({ content: 'big', attachments })).rejects.toMatchObject({ code: 'FRAME_TOO_LARGE' });
    await user.client.send({ content: 'small' });
    expect(user.of('state').map(({ state }) => state)).toEqual(['connecting', 'greeting', 'online']);
  });

  test('is one whose id was used for another', async () => {
    const user = await chat.user().online();
    await user.client.send({ content: 'one', clientMessageId: 'same' });
    await expect(user.client.send({ content: 'two', clientMessageId: 'same' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    const again = await user.client.send({ content: 'one', clientMessageId: 'same' });
    expect([again.seq, user.texts()]).toEqual([1, ['one']]);
  });

  test('of an admin names no session', async () => {
    const admin = await chat.admin().online();
    await expect(admin.client.send({ content: 'to whom?' })).rejects.toMatchObject({ code: 'INVALID_PARAMETER' });
  });
});

describe('receipts', () => {
  test('say delivered by themselves and read when told, and move the other side’s messages on', async () => {
    const [user, admin] = [await chat.user().online(), await chat.admin().online()];
    const { sessionId } = await user.client.send({ content: 'hello' });
    const status = (): string | undefined => user.client.session(sessionId).messages[0]?.status;
    await user.until('delivered', () => status() === 'delivered');
    admin.client.markRead(sessionId);
    await user.until('read', () => status() === 'read');
    expect(user.of('receipt').map(({ deliveredSeq, readSeq }) => [deliveredSeq > 0, readSeq > 0])).toContainEqual([
      true,
      true,
    ]);
    expect(await chat.history(sessionId)).toMatchObject([{ status: 'read' }]);
  });

  test('are not said where they are off', async () => {
    const [user, admin] = [await chat.user().online(), await chat.admin({ receipts: false }).online()];
    const { sessionId } = await user.client.send({ content: 'hello' });
    await admin.until('the message', () => admin.heard.includes('hello'));
    admin.client.markDelivered(sessionId);
    await user.until('delivered', () => user.client.session(sessionId).messages[0]?.status === 'delivered');
    expect(user.of('receipt')).toHaveLength(1);
  });

  test('that went while we were away are told when we are back', async () => {
    const [user, admin] = [await chat.user().online(), await chat.admin({ receipts: false }).online()];
    const { sessionId } = await user.client.send({ content: 'hello' });
    user.client.close();
    await admin.until('the message', () => admin.heard.includes('hello'));
    admin.client.markRead(sessionId);
    await expect.poll(async () => (await chat.history(sessionId))[0]?.status).toBe('read');
    await user.online();
    await user.until('read', () => user.client.session(sessionId).messages[0]?.status === 'read');
  });
});

describe('the inbox', () => {
  test('lists open sessions, and follows one’s own with what they began with', async () => {
    const users = await Promise.all([1, 2, 3].map(() => chat.user().online()));
    const acks = await Promise.all(users.map(({ client }, i) => client.send({ content: `from ${i}` })));
    await chat.rest('POST', `/api/admin/chat/sessions/${acks[2]?.sessionId}/assign`, { adminId: 8 });
    const admin = chat.admin();
    const inbox = admin.client.inbox();
    expect([inbox.complete, inbox.sessions]).toEqual([false, []]);
    await admin.online();
    await admin.until('the list', () => inbox.complete && acks.every(({ sessionId }) => inbox.get(sessionId)));
    const mine = acks.slice(0, 2).map(({ sessionId }) => sessionId);
    await admin.until('own sessions', () => mine.every((id) => admin.texts(id).length === 1));
    expect(inbox.get(acks[2]?.sessionId ?? '')).toMatchObject({ userId: users[2]?.id, status: 'active', adminId: 8 });
    expect(admin.texts(acks[2]?.sessionId)).toEqual([]);
    await chat.rest('POST', `/api/admin/chat/sessions/${mine[0]}/close`);
    await admin.until('the end of one', () => inbox.get(mine[0] as string) === undefined);
    const late = await chat.user().online();
    const { sessionId } = await late.client.send({ content: 'late' });
    await admin.until(
      'a new one',
      () => inbox.get(sessionId)?.adminId === admin.id && admin.texts(sessionId).length === 1,
    );
  });

  test('catches up with everything that happened while we were away', async () => {
    const admin = chat.admin();
    const inbox = admin.client.inbox({ follow: 'all' });
    await admin.online();
    const users = await Promise.all([1, 2, 3].map(() => chat.user().online()));
    const ids = (await Promise.all(users.map(({ client }) => client.send({ content: 'before' })))).map(
      ({ sessionId }) => sessionId,
    );
    await admin.until('all', () => ids.every((id) => admin.texts(id).length === 1));
    admin.client.close();
    const late = await chat.user().online();
    const added = (await late.client.send({ content: 'during' })).sessionId;
    for (const { client } of users) for (const content of numbers(60)) await client.send({ content });
    await chat.rest('POST', `/api/admin/chat/sessions/${ids[0]}/close`);
    await admin.online();
    const expected = ['before', ...numbers(60)];
    await admin.until('the rest', () => ids.every((id) => admin.texts(id).length === expected.length));
    await admin.until('the new one', () => admin.texts(added).length === 1);
    expect(ids.map((id) => admin.texts(id))).toEqual([expected, expected, expected]);
    await admin.until(
      'the end of one',
      () => inbox.get(ids[0] as string) === undefined && admin.client.session(ids[0]).status === 'closed',
    );
    const { heard } = admin;
    expect(heard.filter((text) => text === '59')).toHaveLength(3);
  });

  test('lets go of what is another admin’s', async () => {
    const [admin, other] = [chat.admin(), chat.admin()];
    admin.client.inbox();
    await admin.online();
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'one' });
    await admin.until('the session', () => admin.client.session(sessionId).adminId === admin.id);
    await other.online();
    await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/transfer`, { adminId: other.id });
    await admin.until('the transfer', () => admin.client.session(sessionId).adminId === other.id);
    await user.client.send({ content: 'two' });
    await other.until('the message', () => other.heard.includes('two'));
    expect(admin.texts(sessionId)).toEqual(['one']);
    await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/transfer`, { adminId: admin.id });
    await admin.until('what was missed', () => admin.texts(sessionId).length === 2);
    expect(admin.of('message').filter((one) => one.sessionId === sessionId && one.live)).toHaveLength(2);
  });
});

test('many messages at once stay in order, and no server is flooded', async () => {
  const chat = await bootHere({ env: { RATE_LIMIT: 'frames=20/30,requests=100/300' } });
  const user = await chat.user().online();
  const texts = numbers(120);
  const acks = await Promise.all(texts.map((content) => user.client.send({ content })));
  expect((await chat.history(acks[0]?.sessionId ?? '')).map(({ content }) => content)).toEqual(texts);
  expect(user.of('state').map(({ state }) => state)).toEqual(['connecting', 'greeting', 'online']);
});

test('a server that was told other names for frames is understood', async () => {
  const chat = await bootHere({ env: { FRAME_NAMES: 'new_admin_message=admin_message,message_ack=ack,error=fault' } });
  const [user, admin] = [await chat.user().online(), await chat.admin().online()];
  const { sessionId } = await user.client.send({ content: 'hello' });
  await admin.client.send({ sessionId, content: 'hi' });
  await user.until('the reply', () => user.heard.includes('hi'));
  await expect(user.client.send({ content: ' ' })).rejects.toMatchObject({ code: 'INVALID_PARAMETER' });
});

test('what comes before the welcome waits for it', async () => {
  const chat = await bootHere({ env: { FRAME_NAMES: 'new_admin_message=admin_message' } });
  const first = await chat.user().online();
  const { sessionId } = await first.client.send({ content: 'hello' });
  const early: unknown[][] = [];
  // The line brings the welcome late, behind a message.
  const Late = class extends WebSocket {
    override emit(name: string | symbol, ...details: unknown[]): boolean {
      const welcomes = name === 'message' && String(details[0]).includes('"welcome"');
      if (welcomes) return !!early.push(details);
      const heard = super.emit(name, ...details);
      if (name === 'message') for (const late of early.splice(0)) super.emit(name, ...late);
      return heard;
    }
  } as SocketConstructor;
  const second = chat.user({ WebSocket: Late }, first.id);
  const online = second.online();
  await expect.poll(() => early.length).toBe(1);
  await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'hi' });
  await online;
  await second.until('the message', () => second.heard.includes('hi'));
  expect(second.of('message').find(({ message }) => message.content === 'hello')).toMatchObject({ own: true });
});

test('what is no frame of ours harms nothing', async () => {
  const user = await chat
    .user({
      WebSocket: class extends WebSocket {
        override emit(name: string | symbol, ...details: unknown[]): boolean {
          if (name === 'message')
            for (const text of ['', '{', 'null', '7', '[]', '{}', '{"type":"error"}', '{"type":"later","data":{}}'])
              super.emit(name, Buffer.from(text), false);
          return super.emit(name, ...details);
        }
      } as SocketConstructor,
    })
    .online();
  await user.client.send({ content: 'hello' });
  expect(user.of('error')).toEqual([]);
});

test('frames that are lost on the way are noticed and asked for', async () => {
  let lose: (frame: ServerFrame) => boolean = () => false;
  const Leaky = leaky((frame) => lose(frame));
  const user = await chat.user({ WebSocket: Leaky }).online();
  const admin = await chat.admin().online();
  const { sessionId } = await user.client.send({ content: 'hello' });
  const say = (content: string): Promise<unknown> => admin.client.send({ sessionId, content });
  await say('one');
  await user.until('the first', () => user.heard.includes('one'));
  // One in the middle: the next one shows the gap.
  lose = (frame) => frame.type === 'new_admin_message' && frame.data.message.content === 'two';
  await say('two');
  await say('three');
  await user.until('the rest', () => user.heard.length === 4);
  // The ack of our own: the log tells it, where the next frame shows the gap.
  lose = (frame) => frame.type === 'message_ack';
  const own = user.client.send({ content: 'four' });
  await admin.until('our message', () => admin.heard.includes('four'));
  await say('five');
  await expect(own).resolves.toMatchObject({ sessionId });
  lose = () => false;
  await user.until('all', () => user.heard.length === 6);
  expect(user.heard).toEqual(['hello', 'one', 'two', 'three', 'four', 'five']);
  expect((await chat.history(sessionId)).map(({ content }) => content)).toEqual(user.heard);
});

test('first words whose ack is lost are told by the log, and shown once', async () => {
  let lost = 0;
  const user = await chat.user({ WebSocket: leaky((frame) => frame.type === 'message_ack' && lost++ === 0) }).online();
  const sent = ['one', 'two'].map((content) => user.client.send({ content }));
  const current = async (): Promise<string | undefined> => {
    const { session } = await chat.rest('GET', '/api/chat/sessions/current', undefined, chat.userToken(user.id));
    return (session as { sessionId: string } | null)?.sessionId;
  };
  await expect.poll(current).toBeTruthy();
  const sessionId = (await current()) as string;
  await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'hi' });
  expect(await sent[0]).toMatchObject({ sessionId, seq: 1 });
  expect(user.texts(sessionId)).toEqual(['one', 'hi', 'two']);
  expect(user.client.session()).toBe(user.client.session(sessionId));
  await user.until(
    'the second one',
    () => user.client.session().messages.length === 3 && user.client.unsent.length === 0,
  );
  expect(user.client.session().messages.map(({ content, status }) => `${content} ${status}`)).toEqual([
    'one sent',
    'hi sent',
    'two sent',
  ]);
});

test('the address may have a path, and another scheme', async () => {
  const proxy = await startTcpProxy({ port: chat.server.port });
  for (const url of [
    `ws://127.0.0.1:${proxy.port}`,
    `http://127.0.0.1:${proxy.port}/`,
    `http://127.0.0.1:${proxy.port}/api/chat`,
  ]) {
    const user = await chat.user({ url }).online();
    user.client.close();
    expect(user.client.state).toBe('stopped');
  }
  expect(proxy.accepted).toBe(3);
  proxy.close();
  expect(() => chat.user({ url: 'no address' })).toThrow(/URL/);
});
