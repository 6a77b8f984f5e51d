/** RFC 6455, sections 5.1, 5.2 and 5.6: masks, reserved bits, opcodes, lengths, and frames across segments. */
import { describe, expect, test } from 'vitest';
import { newId } from '../house.ts';
import { handshake, request } from './raw-peer.ts';
import { message, newRequest, PROTOCOL_ERROR, TOO_LARGE, useStand } from './stand.ts';
import { BINARY, CLOSE, CONTINUATION, frame, type FrameOptions, PING, PONG, TEXT } from './wire.ts';

const stand = useStand();
const kinds = { text: TEXT, binary: BINARY, continuation: CONTINUATION, close: CLOSE, ping: PING, pong: PONG };
type Kind = keyof typeof kinds;

/** A message that has just so many bytes as a frame: white space does not matter to JSON. */
function padded(requestId: string, bytes: number): string {
  const text = message(requestId, 'padded');
  return text + ' '.repeat(bytes - Buffer.byteLength(text));
}

describe('5.1 masks', () => {
  test.each<[Kind, string]>([
    ['text', message('unmasked')],
    ['text', ''],
    ['binary', 'x'],
    ['continuation', 'x'],
    ['ping', ''],
    ['ping', 'are you there'],
    ['pong', ''],
    ['close', ''],
    ['close', '\x03\xe8'],
  ])('5.1 an unmasked %s frame (%j) ends the connection', async (kind, payload) => {
    await stand.fails([frame(kinds[kind], Buffer.from(payload, 'latin1'), { mask: null })], [PROTOCOL_ERROR]);
  });

  test.each([126, 127, 65_535])('5.1 an unmasked frame of %d bytes ends the connection', async (bytes) => {
    await stand.fails([frame(TEXT, padded('unmasked', bytes), { mask: null })], [PROTOCOL_ERROR]);
  });

  test('5.1 an unmasked fragment of a masked message ends the connection', async () => {
    const start = frame(TEXT, '{"type"', { fin: false });
    await stand.fails([start, frame(CONTINUATION, ':1}', { mask: null })], [PROTOCOL_ERROR]);
  });

  test.each([
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [0, 0, 0, 1],
    [128, 0, 0, 0],
    [0x7b, 0x22, 0x74, 0x79],
  ])('5.3 the mask %i %i %i %i is as good as any', async (...mask) => {
    const requestId = newRequest();
    const peer = await stand.open();
    const { seq, sessionId } = await stand.taken(
      peer,
      [frame(TEXT, message(requestId, '面具 🎭 mask'), { mask })],
      requestId,
    );
    const { messages } = await stand.house.adminRest(newId()).messages(String(sessionId), '?afterSeq=0');
    expect(messages.find((each) => each.seq === seq)?.content).toBe('面具 🎭 mask');
  });

  test('5.3 every frame has a mask of its own', async () => {
    const peer = await stand.open();
    for (let i = 0; i < 16; i++) {
      const requestId = newRequest();
      await stand.taken(
        peer,
        [frame(TEXT, message(requestId, `mask ${i}`), { mask: [i, i * 7, 255 - i, 13] })],
        requestId,
      );
    }
  });

  // 4 bytes of a mask, and what is left over after the last whole round of them.
  test.each([0, 1, 2, 3])('5.3 a payload of 4n + %d bytes is unmasked to its end', async (rest) => {
    const requestId = newRequest();
    const content = 'x'.repeat(201 + rest);
    const peer = await stand.open();
    const { sessionId, seq } = await stand.taken(peer, [frame(TEXT, message(requestId, content))], requestId);
    const { messages } = await stand.house.adminRest(newId()).messages(String(sessionId), '?afterSeq=0');
    expect(messages.find((each) => each.seq === seq)?.content).toBe(content);
  });
});

describe('5.2 reserved bits', () => {
  for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
    test(`5.2 a text frame with the reserved bits ${rsv.toString(2).padStart(3, '0')} ends the connection`, async () => {
      await stand.fails([frame(TEXT, message('rsv'), { rsv })], [PROTOCOL_ERROR]);
    });
  }

  test.each<[Kind, number]>([
    ['binary', 4],
    ['ping', 4],
    ['ping', 2],
    ['ping', 1],
    ['pong', 4],
    ['pong', 1],
    ['close', 4],
    ['close', 2],
  ])('5.2 a %s frame with the reserved bits %i ends the connection', async (kind, rsv) => {
    await stand.fails([frame(kinds[kind], '', { rsv })], [PROTOCOL_ERROR]);
  });

  test.each([4, 2, 1])('5.2 a continuation with the reserved bits %i ends the connection', async (rsv) => {
    const start = frame(TEXT, '{"type"', { fin: false });
    await stand.fails([start, frame(CONTINUATION, ':1}', { rsv })], [PROTOCOL_ERROR]);
  });

  test('5.2 a ping with a reserved bit between the fragments of a good message ends the connection', async () => {
    const start = frame(TEXT, '{"type"', { fin: false });
    await stand.fails([start, frame(PING, '', { rsv: 4 })], [PROTOCOL_ERROR]);
  });
});

describe('5.2 opcodes', () => {
  for (const opcode of [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf]) {
    test(`5.2 the reserved opcode ${opcode.toString(16).toUpperCase()} ends the connection`, async () => {
      await stand.fails([frame(opcode, message('opcode'))], [PROTOCOL_ERROR]);
    });
    test(`5.2 the reserved opcode ${opcode.toString(16).toUpperCase()}, empty or unfinished, ends it too`, async () => {
      await stand.fails([frame(opcode)], [PROTOCOL_ERROR]);
      await stand.fails([frame(opcode, 'x', { fin: false })], [PROTOCOL_ERROR]);
    });
  }

  test.each([3, 0xb])('5.2 the reserved opcode %i within a fragmented message ends the connection', async (opcode) => {
    await stand.fails([frame(TEXT, '{"type"', { fin: false }), frame(opcode, ':1}')], [PROTOCOL_ERROR]);
  });

  test('5.6 a binary message is understood as one, and refused without ending the connection', async () => {
    const requestId = newRequest();
    const peer = await stand.open();
    await peer.write(frame(BINARY, message('binary')));
    const { payload } = await peer.next();
    expect(JSON.parse(payload.toString('utf8'))).toMatchObject({
      type: 'error',
      data: { code: 'INVALID_PARAMETER', details: { field: 'frame' } },
    });
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });
});

describe('5.2 lengths', () => {
  test.each([125, 126, 127, 128, 255, 256, 1_023, 4_096, 32_767, 32_768, 65_534, 65_535, 65_536])(
    '5.2 a message of %d bytes is taken',
    async (bytes) => {
      const requestId = newRequest();
      await stand.taken(await stand.open(), [frame(TEXT, padded(requestId, bytes))], requestId);
    },
  );

  test.each([0, 1, 2])('5.2 a text message of %d bytes is taken as one that is no JSON', async (bytes) => {
    const requestId = newRequest();
    const peer = await stand.open();
    await peer.write(frame(TEXT, ' '.repeat(bytes)));
    expect(JSON.parse((await peer.next()).payload.toString('utf8'))).toMatchObject({ type: 'error' });
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });

  // "The minimal number of bytes MUST be used": a sender's duty. A reader has no use for more severity.
  test.each<[number, 16 | 64]>([
    [0, 16],
    [1, 16],
    [125, 16],
    [0, 64],
    [125, 64],
    [126, 64],
    [65_535, 64],
  ])('5.2 %d bytes with a length of %d bits are taken whole', async (bytes, lengthBits) => {
    const requestId = newRequest();
    const peer = await stand.open();
    const payload = bytes < 125 ? ' '.repeat(bytes) : padded('long', bytes);
    await peer.write(frame(TEXT, payload, { lengthBits }), frame(TEXT, message(requestId)));
    expect(await peer.next()).toMatchObject({ opcode: TEXT });
    expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
  });

  test.each<[string, bigint]>([
    ['2^17 + 1', 131_073n],
    ['100 MiB', 104_857_600n],
    ['2^31 - 1', 2_147_483_647n],
    ['2^31', 2_147_483_648n],
    ['2^32 - 1', 4_294_967_295n],
    ['2^32', 4_294_967_296n],
    ['2^32 + 5: its lower half alone would be small', 4_294_967_301n],
    ['2^53 - 1', 9_007_199_254_740_991n],
    ['2^53', 9_007_199_254_740_992n],
    ['2^53 + 5', 9_007_199_254_740_997n],
    ['2^62', 4_611_686_018_427_387_904n],
    ['2^63 - 1', 9_223_372_036_854_775_807n],
  ])('5.2 a declared length of %s ends the connection at once', async (_what, declared) => {
    await stand.fails([frame(TEXT, '', { declared, lengthBits: 64 })], [TOO_LARGE]);
  });

  test.each<[string, bigint]>([
    ['2^63', 9_223_372_036_854_775_808n],
    ['2^63 + 5', 9_223_372_036_854_775_813n],
    ['2^64 - 1', 18_446_744_073_709_551_615n],
  ])('5.2 a length with its highest bit set (%s) ends the connection', async (_what, declared) => {
    await stand.fails([frame(TEXT, '', { declared, lengthBits: 64 })], [TOO_LARGE]);
  });

  test('5.2 the server’s own frames around 125 bytes are whole', async () => {
    const peer = await stand.open();
    await peer.write(frame(TEXT, '{"type":"hello","data":{}}'));
    await peer.next();
    const lengths: number[] = [];
    for (let digits = 1; digits <= 15; digits++) {
      for (const requestId of ['r'.repeat(17 + digits), 'r'.repeat(18 + digits)]) {
        await peer.write(frame(TEXT, JSON.stringify({ type: 'ping', requestId, data: { t: 10 ** (digits - 1) } })));
        const { payload } = await peer.next();
        expect(JSON.parse(payload.toString('utf8'))).toMatchObject({ type: 'pong' });
        lengths.push(payload.length);
      }
    }
    expect(lengths).toEqual(expect.arrayContaining([124, 125, 126, 127]));
  });

  test('5.2 the server’s own frames around 65,535 bytes are whole', async () => {
    const admin = stand.dial();
    const path = `/chat?token=${stand.house.adminToken(newId())}&type=admin`;
    await admin.shake(request('GET', path, handshake(stand.host())));
    const user = await stand.open();
    const shown = async (content: string): Promise<number> => {
      const requestId = newRequest();
      await user.write(frame(TEXT, message(requestId, content)));
      await user.reply(requestId);
      for (;;) {
        const { payload } = await admin.next();
        const { data } = JSON.parse(payload.toString('utf8')) as { data: { message?: { content: string } } };
        if (data.message?.content === content) return payload.length;
      }
    };
    const bare = (await shown('!')) - 1;
    for (const length of [65_534, 65_535, 65_536, 65_537]) expect(await shown('!'.padEnd(length - bare))).toBe(length);
  });

  test('5.2 the server writes 64 bits for what needs them, and reads as a strict client does', async () => {
    const content = '长'.repeat(9_990) + ' '.repeat(35_500);
    const { house } = stand;
    const admin = stand.dial();
    const path = `/chat?token=${house.adminToken(newId())}&type=admin`;
    await admin.shake(request('GET', path, handshake(stand.host())));
    const user = await stand.open();
    const requestId = newRequest();
    const long = frame(TEXT, message(requestId, content));
    await stand.taken(user, [long], requestId);
    for (;;) {
      const { payload, lengthBits } = await admin.next();
      if (!payload.includes('长长长')) continue;
      expect(lengthBits).toBe(64);
      expect((JSON.parse(payload.toString('utf8')) as { data: { message: object } }).data.message).toMatchObject({
        content,
      });
      break;
    }
  });
});

describe('5.2 frames and segments', () => {
  const cut = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));

  test.each<[string, number, FrameOptions]>([
    ['7 bits', 100, {}],
    ['16 bits', 300, {}],
    ['64 bits', 66_000 - 464, {}],
  ])('5.2 a frame whose length takes %s may come byte by byte', async (_what, bytes) => {
    const requestId = newRequest();
    const whole = frame(TEXT, padded(requestId, bytes));
    const peer = await stand.open();
    // The long one: its head byte by byte, the rest in halves.
    const head = cut(whole.subarray(0, 400));
    await stand.taken(peer, whole.length > 400 ? [...head, whole.subarray(400)] : head, requestId);
  });

  test('5.2 a frame may be cut at any place', async () => {
    const peer = await stand.open();
    const { length } = frame(TEXT, message('raw-1000', 'cut'));
    for (let place = 1; place < length; place++) {
      const requestId = `cut-${String(place).padStart(4, '0')}`;
      const whole = frame(TEXT, message(requestId, 'cut'));
      await peer.write(whole.subarray(0, place), whole.subarray(place));
      expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
    }
  });

  test('5.2 a 16-bit frame may be cut at any place of its head', async () => {
    const peer = await stand.open();
    for (let place = 1; place < 12; place++) {
      const requestId = newRequest();
      const whole = frame(TEXT, padded(requestId, 500));
      await peer.write(whole.subarray(0, place), whole.subarray(place));
      expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
    }
  });

  test.each([2, 50, 300])('5.2 %d messages in one segment are all read, in order', async (many) => {
    const peer = await stand.open();
    const ids = Array.from({ length: many }, () => newRequest());
    await peer.write(Buffer.concat(ids.map((id) => frame(TEXT, message(id, id)))));
    const seqs: number[] = [];
    for (const id of ids) seqs.push((await peer.reply(id)).data['seq'] as number);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });

  test('5.2 a segment may end in the middle of a frame, again and again', async () => {
    const peer = await stand.open();
    const ids = Array.from({ length: 60 }, () => newRequest());
    const stream = Buffer.concat(ids.map((id) => frame(TEXT, message(id))));
    const segments: Buffer[] = [];
    for (let at = 0, step = 1; at < stream.length; at += step, step = (step * 5 + 3) % 251 || 1)
      segments.push(stream.subarray(at, at + step));
    await peer.write(...segments);
    for (const id of ids) expect(await peer.reply(id)).toMatchObject({ type: 'message_ack' });
  });

  test('5.2 control frames and messages of all lengths share segments', async () => {
    const peer = await stand.open();
    const [one, two, three] = [newRequest(), newRequest(), newRequest()];
    const stream = Buffer.concat([
      frame(PING, 'first'),
      frame(TEXT, message(one)),
      frame(PONG, 'nobody asked'),
      frame(TEXT, padded(two, 40_000)),
      frame(PING, 'second'),
      frame(TEXT, padded(three, 65_536)),
    ]);
    for (let at = 0; at < stream.length; at += 9_973) await peer.write(stream.subarray(at, at + 9_973));
    const pongs: string[] = [];
    const replies: unknown[] = [];
    while (replies.length < 3) {
      const next = await peer.next();
      if (next.opcode === PONG) pongs.push(next.payload.toString('utf8'));
      else replies.push((JSON.parse(next.payload.toString('utf8')) as { data: { requestId: string } }).data.requestId);
    }
    expect(replies).toEqual([one, two, three]);
    expect(pongs.at(-1)).toBe('second');
  });
});
