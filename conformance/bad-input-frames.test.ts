/** The half of the table of chapter 13 that is about connections. */
import { connect } from 'node:net';
import type { Session } from '@switchboard/protocol';
import { beforeAll, describe, expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { newId } from './house.ts';
import { refusalOf } from './peer.ts';
import type { DataOf, Peer } from './peer.ts';
import { emoji, staff, visit } from './scenes.ts';

const { house } = useServer();

const long = 'x'.repeat(101);

function expectField(error: DataOf<'error'>, field: string | RegExp): void {
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER', retryable: false, details: { fault: expect.any(String) } });
  expect(error.details?.field).toMatch(
    typeof field === 'string' ? new RegExp(`^${field.replaceAll('.', '\\.')}$`) : field,
  );
}

/** The error to a frame that may be too broken to carry a mark: frames of one connection are answered in order. */
async function errorTo(peer: Peer, frame: unknown): Promise<DataOf<'error'>> {
  const seen = peer.of('error').length;
  peer.send(frame);
  await peer.fence();
  const found = peer.of('error').slice(seen);
  expect(found).toHaveLength(1);
  return (found[0] as (typeof found)[0]).data;
}

describe('frames', () => {
  let userId: number;
  let sessionId: string;
  let user: Peer;
  let admin: Peer;
  let before: Session;

  beforeAll(async () => {
    ({ userId, sessionId } = await visit(house));
    before = await house.adminRest(newId()).session(sessionId);
  });
  // The connections do not outlive a test; the session does, and stays as it is.
  const come = async (): Promise<void> => {
    user = await house.user(userId);
    admin = await house.admin(newId());
  };
  test('R13.29 R13.30 R13.31 R13.32 frames that are no frames', async () => {
    await come();
    for (const peer of [user, admin]) {
      for (const text of ['', ' ', '{', 'hello', "{'type':'x'}", '{"type":"send_message",}', '\u0000', '{}{}', 'NaN']) {
        expectField(await errorTo(peer, text), 'frame');
      }
      for (const text of ['[]', 'null', '1', '"send_message"', 'true', '[{"type":"send_message"}]']) {
        expectField(await errorTo(peer, text), 'frame');
      }
      for (const type of [
        undefined,
        null,
        1,
        '',
        'SEND_MESSAGE',
        'unknown',
        'toString',
        'new_user_message',
        ['send_message'],
      ]) {
        expectField(await errorTo(peer, { type, data: { content: 'x', sessionId } }), 'type');
      }
      for (const data of [undefined, null, 'x', 1, [], true]) {
        expectField(await errorTo(peer, { type: 'send_message', data }), /^data\b/);
      }
    }
  });

  test('R13.33 binary frames', async () => {
    await come();
    const frame = JSON.stringify({ type: 'send_message', data: { content: 'x', sessionId } });
    for (const peer of [user, admin]) {
      expectField(await errorTo(peer, Buffer.from(frame)), 'frame');
      expectField(await errorTo(peer, Buffer.alloc(0)), 'frame');
    }
  });

  test('R13.23 R13.24 frames that are too deep, too wide, or reach for prototypes', async () => {
    await come();
    const deep = (levels: number): string =>
      `{"type":"send_message","data":{"content":"x","a":${'['.repeat(levels)}${']'.repeat(levels)}}}`;
    expectField(await errorTo(user, deep(15)), 'frame');
    expectField(await errorTo(user, deep(10_000)), 'frame');
    const wide = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`k${i}`, i]));
    expectField(await errorTo(user, { type: 'send_message', data: { content: 'x', ...wide } }), 'frame');
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      expectField(await errorTo(user, `{"type":"send_message","${key}":{},"data":{"content":"x"}}`), 'frame');
      expectField(await errorTo(user, `{"type":"send_message","data":{"content":"x","${key}":{"a":1}}}`), 'frame');
      expectField(await errorTo(user, `{"type":"send_message","data":{"content":"x","b":[{"${key}":1}]}}`), 'frame');
    }
  });

  test('R13.10 R13.11 R13.12 R13.13 R13.14 content that is none', async () => {
    await come();
    const contents = [
      undefined,
      null,
      0,
      true,
      [],
      {},
      '',
      ' \n',
      'x'.repeat(10_001),
      emoji(10_001),
      '\ud83d',
      'a\u0000',
    ];
    for (const peer of [user, admin]) {
      for (const content of contents) expectField(await peer.sayRefused({ sessionId, content }), 'data.content');
    }
  });

  test('R13.15 R13.19 R13.38 message types, attachments and client ids that are none', async () => {
    await come();
    const refusedFor = async (data: object, field: string | RegExp): Promise<void> => {
      for (const peer of [user, admin]) expectField(await peer.sayRefused({ sessionId, content: 'x', ...data }), field);
    };
    for (const messageType of ['system', 'video', '', null, 1]) await refusedFor({ messageType }, 'data.messageType');
    const eleven = Array.from({ length: 11 }, () => ({}));
    for (const attachments of [[{ script: 1 }], [{ url: '' }], [{ name: '\ud800' }], ['x'], eleven, {}, null]) {
      await refusedFor({ attachments }, /^data\.attachments\b/);
    }
    for (const clientMessageId of ['', 'a b', long.slice(0, 65), 'ä', 7, null, {}]) {
      await refusedFor({ clientMessageId }, 'data.clientMessageId');
    }
  });

  test('R13.34 session ids that are none', async () => {
    await come();
    for (const peer of [user, admin]) {
      for (const id of [0, 31, 1.5, true, [], {}, '', 'a b', long, 'ä', 'a/b', "x'--", '\u0000']) {
        expectField(await peer.sayRefused({ sessionId: id, content: 'x' }), 'data.sessionId');
      }
    }
  });

  test('R13.35 R2.13 sender infos that contradict', async () => {
    await come();
    for (const [senderInfo, field] of [
      [{ userId: userId + 1_000_000 }, 'data.senderInfo.userId'],
      [{ userId: String(userId + 1_000_000), userType: 'user' }, 'data.senderInfo.userId'],
      [{ userId, userType: 'admin' }, 'data.senderInfo.userType'],
    ] as const) {
      const error = await user.sayRefused({ sessionId, content: 'x', senderInfo });
      expect(error).toMatchObject({ code: 'FORBIDDEN', details: { field } });
    }
    expect(await admin.sayRefused({ sessionId, content: 'x', senderInfo: { userType: 'user' } })).toMatchObject({
      code: 'FORBIDDEN',
      details: { field: 'data.senderInfo.userType' },
    });
    for (const senderInfo of [{ userId: true }, { userId: [31] }, { userType: 'system' }, 'x', []]) {
      expectField(await user.sayRefused({ sessionId, content: 'x', senderInfo }), /^data\.senderInfo\b/);
    }
  });

  test('R13.39 request ids that are none', async () => {
    await come();
    for (const requestId of ['', long.slice(0, 65), 1.5, {}, [], null, true]) {
      const error = await errorTo(user, { type: 'send_message', requestId, data: { sessionId, content: 'x' } });
      expectField(error, 'requestId');
    }
  });

  test('R13.28 somebody else’s session', async () => {
    const stranger = await house.user(newId());
    expect(await stranger.sayRefused({ sessionId, content: 'x' })).toMatchObject({ code: 'FORBIDDEN', sessionId });
    // An admin's account on a user's connection is nobody special.
    const asUser = await house.connect(house.adminToken(newId()));
    expect(await asUser.sayRefused({ sessionId, content: 'x' })).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('R13.36 R13.37 replies to nothing', async () => {
    await come();
    for (const id of [undefined, null]) {
      expectField(await admin.sayRefused({ sessionId: id, content: 'x' }), /^(data\.)?sessionId$/);
    }
    expect(await admin.sayRefused({ sessionId: 'session_nobody', content: 'x' })).toMatchObject({
      code: 'SESSION_NOT_FOUND',
      sessionId: 'session_nobody',
    });
    expect((await house.adminRest(newId()).refused('GET', '/sessions/session_nobody')).code).toBe('SESSION_NOT_FOUND');
  });

  test('R13.29 – R13.39 nothing of all this is stored, and no session was opened by it', async () => {
    const { messageCount, lastMessage } = await house.adminRest(newId()).session(sessionId);
    expect({ messageCount, lastMessage }).toEqual({
      messageCount: before.messageCount,
      lastMessage: before.lastMessage,
    });
    expect(await house.userRest(userId).current()).toBeNull();
  });
});

test('R4.21 a frame that is too large is answered, and then the connection ends', async () => {
  for (const size of [65_537, 100_000]) {
    const { user, sessionId } = await visit(house);
    const { admin } = await staff(house);
    const marks = { sessionId, clientMessageId: 'large' };
    const frame = JSON.stringify({ type: 'send_message', requestId: 7, data: { ...marks, content: 'x', pad: '' } });
    user.send(frame.replace('"pad":""', `"pad":"${'p'.repeat(size - frame.length)}"`));
    const { data } = await user.expectFrame('error');
    expectField(data, 'frame');
    expect(data).toMatchObject({ requestId: 7, ...marks });
    expect(await user.closed).toMatchObject({ code: 1009, reason: expect.stringMatching(/.{10}/) });
    // Nobody else is cut off.
    await admin.fence();
    expect((await house.adminRest(newId()).messages(sessionId)).totalCount).toBe(1);
  }
});

test('R4.21 a frame of millions of bytes ends the connection, and a frame of the limit does not', async () => {
  const { user, sessionId } = await visit(house);
  const frame = JSON.stringify({ type: 'send_message', data: { sessionId, content: 'x', pad: '' } });
  user.send(frame.replace('"pad":""', `"pad":"${'p'.repeat(65_536 - frame.length)}"`));
  expect((await user.expectFrame('message_ack', (d) => d.seq === 2)).data.sessionId).toBe(sessionId);
  user.send('x'.repeat(5_000_000));
  expect((await user.closed).code).toBe(1009);
  expect(user.of('error')).toEqual([]);
});

test('R13.40 text that is not UTF-8 ends the connection', async () => {
  const { user } = await visit(house);
  const { socket } = user;
  socket.send(Buffer.from([0x7b, 0xff, 0xc0, 0x7d]), { binary: false });
  expect((await user.closed).code).toBe(1007);
});

test('R13.41 a socket that is closed right after a frame leaves the message whole or not at all', async () => {
  for (let round = 0; round < 10; round += 1) {
    const userId = newId();
    const sessionId = `s-${userId}`;
    const data = { sessionId, content: emoji(1_000), clientMessageId: 'c-1' };
    const first = await house.user(userId);
    first.send({ type: 'send_message', data });
    if (round % 2 === 0) await first.vanish();
    else await first.close();
    const again = await house.user(userId);
    const ack = await again.say(data.content, data);
    const { messages } = await house.userRest(userId).messages(sessionId);
    expect(messages).toMatchObject([{ messageId: ack.messageId, content: data.content, seq: 1 }]);
  }
});

test('R13.42 sides that are none', async () => {
  const token = house.adminToken(newId());
  for (const query of [
    'type=owner',
    'type=ADMIN',
    'type=',
    'type=user&type=admin',
    'type=admin&type=admin',
    'type=admin%00',
  ]) {
    const { status, text } = await refusalOf(house.connect(token, { path: `/chat?${query}` }));
    expect(status).toBe(400);
    const { success, error } = JSON.parse(text) as { success: boolean; error: DataOf<'error'> };
    expect(success).toBe(false);
    expectField(error, 'type');
  }
  // A key of another name is no type.
  const peer = await house.connect(token, { path: '/chat?type[]=admin' });
  expect((await peer.ask('send_message', { content: 'x' })).type).toBe('message_ack');
});

test('R13.45 an upgrade at another address', async () => {
  for (const path of ['/', '/chats', '/chat/x', '/admin/chat', '/api/admin/chat/sessions', '/healthz']) {
    expect((await refusalOf(house.connect(house.adminToken(newId()), { path }))).status).toBe(404);
  }
});

test('R11.6 handshakes that are none are answered all the same, and the server lives', async () => {
  const token = house.userToken(newId());
  const head = (lines: string[]): string =>
    `${[`GET /chat?token=${token} HTTP/1.1`, 'Host: x', ...lines].join('\r\n')}\r\n\r\n`;
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
  for (const lines of [
    [...upgrade],
    [...upgrade, 'Sec-WebSocket-Version: 13'],
    [...upgrade, 'Sec-WebSocket-Key: short', 'Sec-WebSocket-Version: 13'],
    [...upgrade, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 7'],
    ['Connection: Upgrade', 'Upgrade: h2c'],
  ]) {
    const text = await new Promise<string>((resolve, reject) => {
      let heard = '';
      const socket = connect(Number(new URL(house.url).port), '127.0.0.1', () => socket.write(head(lines)));
      socket.setEncoding('utf8').on('data', (part: string) => {
        heard += part;
        socket.end();
      });
      socket.once('error', reject);
      socket.once('close', () => resolve(heard));
    });
    expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(text).not.toMatch(/<html|\n\s+at /i);
  }
  await (await house.user(newId())).say('alive');
});
