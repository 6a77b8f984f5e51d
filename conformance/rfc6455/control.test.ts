/** RFC 6455, section 5.5: pings, pongs, and the rules of all control frames. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../house.ts';
import { message, newRequest, PROTOCOL_ERROR, useStand } from './stand.ts';
import { CLOSE, closing, CONTINUATION, frame, PING, PONG, TEXT } from './wire.ts';

const stand = useStand();
const kinds = { close: CLOSE, ping: PING, pong: PONG };
type Kind = keyof typeof kinds;

describe('5.5.2 pings', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a text', Buffer.from('are you there')],
    ['one byte', Buffer.from([0])],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0xc0, 0x80, 0xed, 0xa0, 0x80])],
    ['124 bytes', Buffer.alloc(124, 0xfe)],
    ['125 bytes', Buffer.alloc(125, 0x61)],
    ['all bytes up to 124', Buffer.from(Array.from({ length: 125 }, (_, i) => i))],
  ])('5.5.3 a ping with %s is answered by a pong with the same', async (_what, payload) => {
    const peer = await stand.open();
    await peer.write(frame(PING, payload));
    expect(await peer.next()).toEqual({ opcode: PONG, payload, lengthBits: 7 });
    const requestId = newRequest();
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });

  test('5.5.2 a ping that comes byte by byte is answered', async () => {
    const peer = await stand.open();
    await peer.write(...Array.from(frame(PING, 'slowly'), (byte) => Buffer.from([byte])));
    expect(await peer.next()).toMatchObject({ opcode: PONG, payload: Buffer.from('slowly') });
  });

  test('5.5.3 of many pings at once at least the last is answered, in order and with nothing made up', async () => {
    const peer = await stand.open();
    const sent = Array.from({ length: 50 }, (_, i) => `ping ${i}`);
    await peer.write(Buffer.concat(sent.map((text) => frame(PING, text))));
    const heard: string[] = [];
    while (heard.at(-1) !== 'ping 49') {
      const next = await peer.next();
      expect(next.opcode).toBe(PONG);
      heard.push(next.payload.toString('utf8'));
    }
    expect(sent.filter((text) => heard.includes(text))).toEqual(heard);
  });

  test('10.4 20,000 pings at once are read to the last, and keep nobody waiting', async () => {
    const peer = await stand.open();
    await peer.write(Buffer.concat(Array.from({ length: 20_000 }, () => frame(PING, 'x'.repeat(125)))));
    await peer.write(frame(PING, 'the last'));
    await eventually(() => peer.heard.some(({ payload }) => payload.toString('utf8') === 'the last'), 'the last pong');
    expect(peer.fault).toBe(null);
    // Of the pings of one turn one is answered: an answer each would make of their flood one of ours.
    expect(peer.heard.length).toBeLessThan(10_000);
  });

  test('5.5.2 a ping is answered while a message waits for its commit', async () => {
    const peer = await stand.open();
    const requestId = newRequest();
    await peer.write(Buffer.concat([frame(TEXT, message(requestId)), frame(PING, 'now')]));
    const both = [await peer.next(), await peer.next()];
    expect(new Set(both.map(({ opcode }) => opcode))).toEqual(new Set([TEXT, PONG]));
  });

  test('5.5.3 a ping that the end of the stream follows is answered before the server ends as well', async () => {
    const peer = await stand.open();
    peer.socket.end(frame(PING, 'last words'));
    expect(await peer.next()).toMatchObject({ opcode: PONG, payload: Buffer.from('last words') });
    await peer.end();
  });

  test('5.5.1 nothing follows the close frame, not even the answer to a ping that came before it', async () => {
    const peer = await stand.open();
    await peer.write(Buffer.concat([frame(PING, 'just before'), frame(CLOSE, closing(1000))]));
    expect((await peer.untilClose()).at(-1)).toMatchObject({ opcode: CLOSE });
    await peer.end();
  });

  test('5.5.1 a ping behind a close is not answered', async () => {
    const peer = await stand.open();
    await peer.write(Buffer.concat([frame(CLOSE, closing(1000)), frame(PING, 'too late')]));
    expect((await peer.untilClose()).map(({ opcode }) => opcode)).toEqual([CLOSE]);
    await peer.end();
  });
});

describe('5.5.3 pongs', () => {
  test.each([0, 1, 125])('5.5.3 a pong of %d bytes that nobody asked for is passed over', async (bytes) => {
    const peer = await stand.open();
    const requestId = newRequest();
    await stand.taken(peer, [frame(PONG, Buffer.alloc(bytes, 0xff)), frame(TEXT, message(requestId))], requestId);
  });

  test('5.5.3 a thousand pongs that nobody asked for are passed over', async () => {
    const peer = await stand.open();
    const requestId = newRequest();
    const pongs = Buffer.concat(Array.from({ length: 1_000 }, (_, i) => frame(PONG, `${i}`)));
    await stand.taken(peer, [pongs, frame(TEXT, message(requestId))], requestId);
  });
});

describe('5.5 what no control frame may be', () => {
  const kindsOf = Object.keys(kinds) as Kind[];

  test.each(kindsOf)('5.5 a %s frame in fragments ends the connection', async (kind) => {
    const payload = kind === 'close' ? closing(1000) : 'x';
    await stand.fails([frame(kinds[kind], payload, { fin: false })], [PROTOCOL_ERROR]);
    await stand.fails([frame(kinds[kind], payload, { fin: false }), frame(CONTINUATION, 'x')], [PROTOCOL_ERROR]);
  });

  test.each(kindsOf)('5.5 an empty %s frame in fragments ends the connection', async (kind) => {
    await stand.fails([frame(kinds[kind], '', { fin: false })], [PROTOCOL_ERROR]);
  });

  test.each(kindsOf.flatMap((kind) => [126, 127, 65_535, 65_536].map((bytes) => [kind, bytes] as const)))(
    '5.5 a %s frame of %d bytes ends the connection',
    async (kind, bytes) => {
      const payload = Buffer.alloc(bytes, 0x61);
      if (kind === 'close') payload.writeUInt16BE(1000);
      await stand.fails([frame(kinds[kind], payload)], [PROTOCOL_ERROR]);
    },
  );

  test.each(kindsOf.flatMap((kind) => ([16, 64] as const).map((bits) => [kind, bits] as const)))(
    '5.5 a %s frame with a length of %d bits, however short it is, ends the connection',
    async (kind, lengthBits) => {
      const payload = kind === 'close' ? closing(1000) : 'x';
      await stand.fails([frame(kinds[kind], payload, { lengthBits })], [PROTOCOL_ERROR]);
    },
  );

  test.each(kindsOf)('5.5 a %s frame that declares 2^63 - 1 bytes ends the connection', async (kind) => {
    const huge = { declared: 9_223_372_036_854_775_807n, lengthBits: 64 } as const;
    await stand.fails([frame(kinds[kind], '', huge)], [PROTOCOL_ERROR]);
  });
});
