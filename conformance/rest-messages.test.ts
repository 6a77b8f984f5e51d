import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import { emoji, hardTexts, staff, visit } from './scenes.ts';

const { house } = useServer();

test('R3.6 R3.8 R3.9 R3.15 page 1 is the newest page, and each page runs from old to new', async () => {
  const { user, sessionId } = await visit(house, 'm1');
  for (let i = 2; i <= 25; i += 1) await user.say(`m${i}`);
  const rest = house.adminRest(newId());
  const page = async (query: string): Promise<{ texts: string[]; paging: unknown }> => {
    const { messages, totalCount, pagination } = await rest.messages(sessionId, query);
    expect(totalCount).toBe(25);
    return { texts: messages.map((m) => m.content), paging: pagination };
  };
  const texts = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`);
  const first = { texts: texts(6, 25), paging: { currentPage: 1, totalPages: 2, hasMore: true } };
  expect(await page('')).toEqual(first);
  expect(await page('?page=1&pageSize=20')).toEqual(first);
  expect(await page('?page=2')).toEqual({
    texts: texts(1, 5),
    paging: { currentPage: 2, totalPages: 2, hasMore: false },
  });
  expect(await page('?page=3')).toEqual({ texts: [], paging: { currentPage: 3, totalPages: 2, hasMore: false } });
  expect((await page('?page=3&pageSize=7')).texts).toEqual(texts(5, 11));
  expect((await page('?pageSize=100')).texts).toEqual(texts(1, 25));
});

test('R3.16 a message has every field of the requirements document', async () => {
  const { userId, user, sessionId } = await visit(house, '消息内容');
  const marked = await user.say('marked', { clientMessageId: 'c-1' });
  const adminId = newId();
  const rest = house.adminRest(adminId);
  await rest.reply(sessionId, {
    content: 'pic',
    messageType: 'image',
    attachments: [{ url: 'https://example.com/p' }],
  });
  const { messages } = await rest.messages(sessionId);
  const common = {
    sessionId,
    messageId: expect.stringMatching(/^[A-Za-z0-9_-]{1,100}$/),
    createdAt: expect.any(String),
  };
  expect(messages).toEqual([
    {
      ...common,
      senderId: userId,
      senderType: 'user',
      content: '消息内容',
      messageType: 'text',
      status: 'sent',
      attachments: [],
      seq: 1,
    },
    {
      ...common,
      messageId: marked.messageId,
      createdAt: marked.timestamp,
      senderId: userId,
      senderType: 'user',
      content: 'marked',
      messageType: 'text',
      status: 'sent',
      attachments: [],
      seq: 2,
      clientMessageId: 'c-1',
    },
    {
      ...common,
      senderId: adminId,
      senderType: 'admin',
      content: 'pic',
      messageType: 'image',
      status: 'sent',
      attachments: [{ url: 'https://example.com/p' }],
      seq: 4,
    },
  ]);
});

test('R3.17 cursors read on from a place in the log, in either direction', async () => {
  const { user, sessionId } = await visit(house, 'm1');
  for (let i = 2; i <= 9; i += 1) await user.say(`m${i}`);
  const rest = house.adminRest(newId());
  const read = async (query: string): Promise<unknown[]> => {
    const { messages, totalCount, pagination } = await rest.messages(sessionId, query);
    expect(totalCount).toBe(9);
    return [...messages.map((m) => m.seq), pagination.hasMore];
  };
  expect(await read('?afterSeq=0&pageSize=4')).toEqual([1, 2, 3, 4, true]);
  expect(await read('?afterSeq=4&pageSize=4')).toEqual([5, 6, 7, 8, true]);
  expect(await read('?afterSeq=5&pageSize=4')).toEqual([6, 7, 8, 9, false]);
  expect(await read('?afterSeq=9')).toEqual([false]);
  expect(await read('?beforeSeq=9&pageSize=4')).toEqual([5, 6, 7, 8, true]);
  expect(await read('?beforeSeq=5&pageSize=4')).toEqual([1, 2, 3, 4, false]);
  expect(await read('?beforeSeq=1')).toEqual([false]);
  expect(await read('?beforeSeq=1000')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, false]);
});

test('R3.18 a reply is answered when it is stored', async () => {
  const { sessionId } = await visit(house);
  const adminId = newId();
  const rest = house.adminRest(adminId);
  for (let i = 0; i < 20; i += 1) {
    const sent = await rest.reply(sessionId, { content: `reply ${i}`, messageType: 'text', adminId });
    expect(sent).toEqual({
      messageId: expect.any(String),
      status: 'sent',
      timestamp: expect.any(String),
      seq: expect.any(Number),
    });
    const { messages } = await rest.messages(sessionId, '?pageSize=1');
    expect(messages[0]).toMatchObject({
      messageId: sent.messageId,
      content: `reply ${i}`,
      createdAt: sent.timestamp,
      seq: sent.seq,
    });
  }
});

test('R3.19 the admin’s id may be left out of a reply', async () => {
  const { sessionId } = await visit(house);
  const adminId = newId();
  const rest = house.adminRest(adminId);
  await rest.reply(sessionId, { content: 'without' });
  await rest.reply(sessionId, { content: 'with', adminId });
  const { messages } = await rest.messages(sessionId);
  expect(messages.slice(1).map((m) => m.senderId)).toEqual([adminId, adminId]);
});

test('R3.20 a message is text, image or file', async () => {
  const { user, sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  for (const messageType of ['text', 'image', 'file']) {
    await rest.reply(sessionId, { content: 'x', messageType });
    await user.say('y', { messageType });
  }
  const { messages } = await rest.messages(sessionId);
  expect(messages.map((m) => m.messageType)).toEqual(['text', 'text', 'text', 'image', 'image', 'file', 'file']);
});

test('R3.21 10,000 characters after trimming are taken, and stored as they were sent', async () => {
  const { user, sessionId } = await visit(house);
  const longest = `\n  ${emoji(10_000)} \t\n`;
  await user.say(longest);
  const rest = house.adminRest(newId());
  await rest.reply(sessionId, { content: longest });
  await rest.reply(sessionId, { content: ' x ' });
  const { messages } = await rest.messages(sessionId);
  expect(messages.map((m) => m.content)).toEqual(['你好', longest, longest, ' x ']);
});

test('R3.21 R8.3 hard texts come back as they were sent, by every way', async () => {
  const { admin, adminId } = await staff(house);
  const { user, sessionId } = await visit(house, 'hello');
  const rest = house.adminRest(adminId);
  for (const text of hardTexts) {
    await user.say(text);
    await admin.expectFrame('new_user_message', ({ message }) => message.content === text);
    await rest.reply(sessionId, { content: text });
    await user.expectFrame('new_admin_message', ({ message }) => message.content === text);
    expect((await rest.session(sessionId)).lastMessage?.content).toBe(text);
  }
  const { messages } = await rest.messages(sessionId, '?pageSize=100');
  expect(messages.slice(1).map((m) => m.content)).toEqual(hardTexts.flatMap((text) => [text, text]));
});

test('R3.22 attachments come back as they were sent, and their content may be a caption', async () => {
  const { user, sessionId } = await visit(house);
  const attachments = [
    { url: 'https://example.com/图.png', name: '图.png', mimeType: 'image/png', size: 0, width: 1, height: 100_000 },
    { attachmentId: 'a-1' },
    {},
    ...Array.from({ length: 7 }, (_, i) => ({ name: `${i}` })),
  ];
  await user.say('caption', { messageType: 'image', attachments });
  const rest = house.adminRest(newId());
  await rest.reply(sessionId, { content: 'caption', attachments });
  await user.expectFrame('new_admin_message', ({ message }) => {
    expect(message.attachments).toEqual(attachments);
    return true;
  });
  const { messages } = await rest.messages(sessionId);
  expect(messages.slice(1).map((m) => m.attachments)).toEqual([attachments, attachments]);
});

test('R3.21 R3.22 an image or a file with an attachment may go without content', async () => {
  const { user, sessionId } = await visit(house);
  const attachments = [{ url: 'https://example.com/1' }];
  const rest = house.adminRest(newId());
  for (const messageType of ['image', 'file']) {
    await user.say('', { messageType, attachments });
    await rest.reply(sessionId, { content: ' ', messageType, attachments });
    expect(await user.sayRefused({ sessionId, content: '', messageType, attachments: [] })).toMatchObject({
      code: 'INVALID_PARAMETER',
      details: { field: 'data.content' },
    });
  }
  expect((await user.sayRefused({ sessionId, content: '', attachments })).code).toBe('INVALID_PARAMETER');
  const { messages } = await rest.messages(sessionId);
  expect(messages.slice(1).map((m) => m.content)).toEqual(['', ' ', '', ' ']);
});

test('R3.23 a retry with its key returns the first result and stores nothing twice', async () => {
  const { user, sessionId } = await visit(house);
  const rest = house.adminRest(newId());
  const body = { content: 'only once', attachments: [{ name: 'a', size: 1 }] };
  const first = await rest.reply(sessionId, body, { 'idempotency-key': 'key-1' });
  expect(first).not.toHaveProperty('duplicate');
  const repeat = { ...first, duplicate: true };
  expect(await rest.reply(sessionId, body, { 'idempotency-key': 'key-1' })).toEqual(repeat);
  expect(await rest.reply(sessionId, { ...body, clientMessageId: 'key-1' })).toEqual(repeat);
  const both = { ...body, clientMessageId: 'key-1', attachments: [{ size: 1, name: 'a' }] };
  expect(await rest.reply(sessionId, both, { 'idempotency-key': 'key-1' })).toEqual(repeat);
  const at = await Promise.all(
    Array.from({ length: 8 }, () => rest.reply(sessionId, { content: 'at once', clientMessageId: 'key-2' })),
  );
  expect(new Set(at.map((sent) => sent.messageId)).size).toBe(1);
  expect(at.filter((sent) => sent.duplicate !== true)).toHaveLength(1);
  for (const other of [{ content: 'another' }, { ...body, messageType: 'file' }, { content: body.content }]) {
    const error = await rest.refused('POST', `/sessions/${sessionId}/messages`, other, { 'idempotency-key': 'key-1' });
    expect(error).toMatchObject({ code: 'CONFLICT', retryable: false });
  }
  expect((await rest.messages(sessionId)).messages.map((m) => m.content)).toEqual(['你好', 'only once', 'at once']);
  await user.fence();
  expect(user.of('new_admin_message').map((f) => f.data.message.content)).toEqual(['only once', 'at once']);
});

test('R3.24 what the server decides cannot be set from outside', async () => {
  const { user, userId, sessionId } = await visit(house);
  const forged = {
    messageId: 'msg_forged',
    seq: 99,
    status: 'read',
    createdAt: '2001-01-01T00:00:00Z',
    timestamp: '2001-01-01T00:00:00Z',
    senderId: 1,
    senderType: 'admin',
    isAdmin: true,
    sender: { id: 1 },
  };
  await user.say('forged', forged);
  const adminId = newId();
  const rest = house.adminRest(adminId);
  const sent = await rest.reply(sessionId, { content: 'forged', ...forged, senderType: 'user', sessionId: 'another' });
  expect(sent.messageId).not.toBe('msg_forged');
  const { messages } = await rest.messages(sessionId);
  expect(messages.slice(1)).toMatchObject([
    { senderId: userId, senderType: 'user', status: 'sent', seq: 2, sessionId },
    { senderId: adminId, senderType: 'admin', status: 'sent', seq: 4, sessionId },
  ]);
  for (const message of messages) {
    expect(message.messageId).not.toBe('msg_forged');
    expect(Date.parse(message.createdAt)).toBeGreaterThan(Date.now() - 60_000);
  }
});
