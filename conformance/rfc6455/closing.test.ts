/** RFC 6455, sections 5.5.1 and 7: how connections end. */
import { describe, expect, test } from 'vitest';
import { eventually, newId } from '../house.ts';
import { handshake, request } from './raw-peer.ts';
import { message, newRequest, NOT_UTF8, PROTOCOL_ERROR, TOO_LARGE, useStand } from './stand.ts';
import { CLOSE, closing, frame, PING, TEXT } from './wire.ts';

const stand = useStand();

/** Sends a close frame and gives the payload of the answer, once the server has ended the connection as well. */
async function answerTo(payload: Buffer): Promise<Buffer> {
  const peer = await stand.open();
  await peer.write(frame(CLOSE, payload));
  const [answer, ...more] = await peer.untilClose();
  expect(more).toEqual([]);
  await peer.end();
  return answer?.payload as Buffer;
}

describe('5.5.1 the closing handshake', () => {
  test('5.5.1 a close without a code is answered by one without, and the server ends the connection', async () => {
    expect(await answerTo(Buffer.alloc(0))).toEqual(Buffer.alloc(0));
  });

  // 1012 to 1014 were registered later: service restart, try again later, bad gateway.
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4321, 4999])(
    '7.4 a close with %d is answered with the same',
    async (code) => {
      expect((await answerTo(closing(code))).readUInt16BE(0)).toBe(code);
    },
  );

  test.each([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 10_000, 32_768, 65_535])(
    '7.4 a close with %d, which nobody may send, is answered with 1002',
    async (code) => {
      await stand.fails([frame(CLOSE, closing(code))], [PROTOCOL_ERROR]);
    },
  );

  test.each([
    [0, 'nothing'],
    [1, 'x'],
    [123, 'x'.repeat(123)],
    [123, '关'.repeat(41)],
    [14, 'good-bye 👋🏽'],
  ])('5.5.1 a reason of %d bytes (%s) is taken', async (_bytes, reason) => {
    const payload = await answerTo(closing(1000, reason.slice(0, 123)));
    expect(payload.readUInt16BE(0)).toBe(1000);
  });

  test.each([0, 3, 0xe8, 0xff])('5.5.1 a close of one byte (%d) ends the connection with 1002', async (byte) => {
    await stand.fails([frame(CLOSE, Buffer.from([byte]))], [PROTOCOL_ERROR]);
  });

  test.each(['ff', 'c0af', 'eda080', 'f4908080', 'e58d', '80', 'f0288cbc', '676f6f642d627965ce'])(
    '5.5.1 a reason that is not UTF-8 (%s) ends the connection with 1007',
    async (hex) => {
      await stand.fails([frame(CLOSE, closing(1000, Buffer.from(hex, 'hex')))], [NOT_UTF8]);
    },
  );

  test('5.5.1 a close that comes byte by byte is answered', async () => {
    const peer = await stand.open();
    await peer.write(...Array.from(frame(CLOSE, closing(4000, 'slowly')), (byte) => Buffer.from([byte])));
    const [answer] = await peer.untilClose();
    expect(answer?.payload.readUInt16BE(0)).toBe(4000);
    await peer.end();
  });
});

describe('5.5.1 behind the close frame', () => {
  test('5.5.1 messages in the same segment are not looked at', async () => {
    const peer = await stand.open();
    const after = frame(TEXT, message('after'));
    await peer.write(Buffer.concat([frame(CLOSE, closing(1000)), after, after]));
    expect(await peer.untilClose()).toMatchObject([{ opcode: CLOSE }]);
    await peer.end();
  });

  test('5.5.1 messages in later segments are not looked at', async () => {
    const userId = newId();
    const peer = stand.dial();
    await peer.shake(request('GET', `/chat?token=${stand.house.userToken(userId)}`, handshake(stand.host())));
    await peer.write(frame(CLOSE, closing(1000)), frame(TEXT, message('after')), frame(TEXT, message('later')));
    expect(await peer.untilClose()).toMatchObject([{ opcode: CLOSE }]);
    await peer.end();
    expect(await stand.house.userRest(userId).current()).toBe(null);
  });

  test('5.5.1 a second close is passed over', async () => {
    const peer = await stand.open();
    await peer.write(Buffer.concat([frame(CLOSE, closing(4001)), frame(CLOSE, closing(4002))]));
    const heard = await peer.untilClose();
    expect(heard.map(({ payload }) => payload.readUInt16BE(0))).toEqual([4001]);
    await peer.end();
  });

  test.each([
    ['an unmasked frame', frame(TEXT, 'x', { mask: null })],
    ['a reserved opcode', frame(0xb, 'x')],
    ['text that is not UTF-8', frame(TEXT, Buffer.from([0xff]))],
    ['bytes of no frame', Buffer.alloc(1_000, 0xff)],
  ])('5.5.1 %s is passed over', async (_what, bytes) => {
    const peer = await stand.open();
    await peer.write(Buffer.concat([frame(CLOSE, closing(1000)), bytes]));
    expect(await peer.untilClose()).toMatchObject([{ opcode: CLOSE, payload: closing(1000) }]);
    await peer.end();
  });

  test('5.5.1 messages before the close are answered, or their fate can be asked; none is stored twice', async () => {
    const userId = newId();
    const token = stand.house.userToken(userId);
    const peer = stand.dial();
    await peer.shake(request('GET', `/chat?token=${token}`, handshake(stand.host())));
    const frames = Array.from({ length: 20 }, (_, i) =>
      frame(TEXT, JSON.stringify({ type: 'send_message', data: { content: `${i}`, clientMessageId: `before-${i}` } })),
    );
    await peer.write(Buffer.concat([...frames, frame(CLOSE, closing(1000))]));
    await peer.untilClose();
    await peer.end();
    const again = await stand.house.user(userId);
    const acks = [];
    for (let i = 0; i < 20; i++) acks.push(await again.say(`${i}`, { clientMessageId: `before-${i}` }));
    expect(acks.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });
});

describe('7.1 the end of the connection', () => {
  const online = async (userId: number): Promise<boolean> => {
    const admin = stand.house.adminRest(newId());
    return (await admin.sessions('?pageSize=100')).sessions.some((each) => each.userId === userId && each.isOnline);
  };
  const userOnline = async (): Promise<{ userId: number; peer: ReturnType<typeof stand.dial> }> => {
    const userId = newId();
    const peer = stand.dial();
    await peer.shake(request('GET', `/chat?token=${stand.house.userToken(userId)}`, handshake(stand.host())));
    const requestId = newRequest();
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
    expect(await online(userId)).toBe(true);
    return { userId, peer };
  };

  const answered = async (peer: ReturnType<typeof stand.dial>): Promise<void> => {
    await peer.untilClose();
    await peer.end();
  };

  test.each<[string, (peer: ReturnType<typeof stand.dial>) => unknown]>([
    ['the end of its stream without a close frame', (peer) => peer.socket.end()],
    ['a reset', (peer) => peer.socket.resetAndDestroy()],
    ['the end of its stream within a frame', (peer) => peer.socket.end(frame(TEXT, message('cut')).subarray(0, 20))],
    ['the end of its stream within a head', (peer) => peer.socket.end(frame(TEXT, message('cut')).subarray(0, 1))],
    ['the end of its stream within a fragmented message', (peer) => peer.socket.end(frame(TEXT, 'x', { fin: false }))],
    ['a reset within a frame', (peer) => peer.socket.write(Buffer.of(0x81), () => peer.socket.resetAndDestroy())],
    ['a close frame', (peer) => peer.write(frame(CLOSE)).then(() => answered(peer))],
  ])('7.1.4 a client that goes by %s is gone', async (_what, go) => {
    const { userId, peer } = await userOnline();
    await go(peer);
    await eventually(async () => !(await online(userId)), 'the user to be offline');
  });

  test('7.1.1 after the server’s own close the client’s is awaited, and then the server ends the connection', async () => {
    const peer = await stand.open();
    await peer.write(frame(TEXT, 'x'.repeat(65_537)));
    const heard = await peer.untilClose();
    expect(heard.at(-1)?.payload.readUInt16BE(0)).toBe(TOO_LARGE);
    await peer.finish(TOO_LARGE);
  });

  test('7.1.1 a client that never answers the server’s close is cut off all the same', async () => {
    const peer = await stand.open();
    await peer.write(frame(TEXT, 'x'.repeat(65_537)));
    await peer.untilClose();
    await peer.end();
  });

  test('7.1.7 after the server’s close what comes is not looked at', async () => {
    const peer = await stand.open();
    const after = frame(TEXT, message('after'));
    await peer.write(Buffer.concat([frame(TEXT, 'x'.repeat(65_537)), after]), after, frame(PING), after);
    const heard = await peer.untilClose();
    expect(heard.map(({ payload }) => payload.toString('utf8')).join()).not.toContain('"after"');
    await peer.finish();
  });

  test('7.1.7 a server that ends a connection for a wrong frame ends it for good', async () => {
    const { userId, peer } = await userOnline();
    await peer.write(frame(TEXT, 'x', { rsv: 7 }));
    await peer.untilClose();
    await peer.finish();
    await eventually(async () => !(await online(userId)), 'the user to be offline');
  });
});
