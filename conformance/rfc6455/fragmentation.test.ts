/** RFC 6455, section 5.4: messages in fragments. */
import { describe, expect, test } from 'vitest';
import { newId } from '../house.ts';
import { message, newRequest, PROTOCOL_ERROR, TOO_LARGE, useStand } from './stand.ts';
import { BINARY, CLOSE, closing, CONTINUATION, fragments, frame, PING, PONG, TEXT } from './wire.ts';

const stand = useStand();
const CONTENT = '一封信，in 分段, 🧩 pieces';

/** Sends a message cut at these places and checks that it was put together again. */
async function assembled(cuts: readonly number[], between: readonly Buffer[] = []): Promise<void> {
  const requestId = newRequest();
  const peer = await stand.open();
  const parts = fragments(message(requestId, CONTENT), cuts);
  const segments = parts.flatMap((part, i) => (i === 0 ? [part] : [...between, part]));
  await peer.write(...segments);
  const reply = await peer.reply(requestId);
  expect(reply).toMatchObject({ type: 'message_ack' });
  const { sessionId, seq } = reply.data;
  const { messages } = await stand.house.adminRest(newId()).messages(String(sessionId), '?afterSeq=0');
  expect(messages.find((each) => each.seq === seq)?.content).toBe(CONTENT);
  const next = newRequest();
  await stand.taken(peer, [frame(TEXT, message(next))], next);
}

const start = (): Buffer => frame(TEXT, '{"type":"send_', { fin: false });
const length = Buffer.byteLength(message(newRequest(), CONTENT));

describe('5.4 what a receiver must put together', () => {
  test.each<[string, number[]]>([
    ['two fragments', [20]],
    ['three fragments', [10, 50]],
    ['an empty first fragment', [0]],
    ['an empty last fragment', [length]],
    ['an empty fragment in the middle', [30, 30]],
    ['nothing but empty fragments around one', [0, 0, 0, length, length]],
    ['a fragment of one byte at each end', [1, length - 1]],
    ['many empty fragments', Array.from({ length: 100 }, () => 40)],
  ])('5.4 %s', async (_what, cuts) => {
    await assembled(cuts);
  });

  test('5.4 a fragment for every byte', async () => {
    await assembled(Array.from({ length: length - 1 }, (_, i) => i + 1));
  });

  test('5.4 two fragments, whatever the place of the cut', async () => {
    const peer = await stand.open();
    for (let place = 0; place <= Buffer.byteLength(message('frag-0000', '分🧩')); place++) {
      const requestId = `frag-${String(place).padStart(4, '0')}`;
      await peer.write(Buffer.concat(fragments(message(requestId, '分🧩'), [place])));
      expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
    }
  });

  test('5.4 fragments of all three kinds of length', async () => {
    const requestId = newRequest();
    const text = message(requestId) + ' '.repeat(65_536 - Buffer.byteLength(message(requestId)));
    await stand.taken(await stand.open(), fragments(text, [100, 60_000]), requestId);
    const again = newRequest();
    const other = message(again) + ' '.repeat(65_536 - Buffer.byteLength(message(again)));
    await stand.taken(await stand.open(), fragments(other, [0]), again);
  });

  test('5.4 fragmented and whole messages take turns', async () => {
    const peer = await stand.open();
    const ids = Array.from({ length: 20 }, () => newRequest());
    const stream = ids.flatMap((id, i) => (i % 2 ? [frame(TEXT, message(id))] : fragments(message(id), [5, 9])));
    await peer.write(Buffer.concat(stream));
    for (const id of ids) expect(await peer.reply(id)).toMatchObject({ type: 'message_ack' });
  });

  test('5.4 a fragmented binary message is one binary message', async () => {
    const peer = await stand.open();
    await peer.write(...fragments(message('binary'), [4, 8], BINARY));
    const { payload } = await peer.next();
    expect(JSON.parse(payload.toString('utf8'))).toMatchObject({
      type: 'error',
      data: { details: { field: 'frame' } },
    });
    const requestId = newRequest();
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });

  test('5.4 fragments of several connections do not mix', async () => {
    const peers = await Promise.all(Array.from({ length: 5 }, () => stand.open()));
    const ids = peers.map(() => newRequest());
    const parts = ids.map((id, i) => fragments(message(id, `peer ${i}`), [3, 11, 29, 40]));
    for (let part = 0; part < 5; part++)
      for (const [i, peer] of peers.entries()) await peer.write(parts[i]?.[part] as Buffer);
    for (const [i, peer] of peers.entries()) {
      expect(await peer.reply(ids[i] as string)).toMatchObject({ type: 'message_ack' });
    }
  });
});

describe('5.4 control frames between fragments', () => {
  test('5.4 a ping between fragments is answered before the message is complete', async () => {
    const requestId = newRequest();
    const peer = await stand.open();
    const [first, second] = fragments(message(requestId), [17]) as [Buffer, Buffer];
    await peer.write(first, frame(PING, 'meanwhile'));
    expect(await peer.next()).toMatchObject({ opcode: PONG, payload: Buffer.from('meanwhile') });
    await stand.taken(peer, [second], requestId);
  });

  test('5.4 pings between all fragments leave the message alone', async () => {
    const requestId = newRequest();
    const peer = await stand.open();
    const parts = fragments(message(requestId), [5, 10, 15, 20]);
    await peer.write(Buffer.concat(parts.flatMap((part, i) => [part, frame(PING, `ping ${i}`)])));
    const pongs: string[] = [];
    let reply: unknown;
    while (!reply || pongs.at(-1) !== 'ping 4') {
      const next = await peer.next();
      if (next.opcode === PONG) pongs.push(next.payload.toString('utf8'));
      else reply = JSON.parse(next.payload.toString('utf8'));
    }
    expect(reply).toMatchObject({ type: 'message_ack', requestId });
  });

  test('5.4 unsolicited pongs between fragments leave the message alone', async () => {
    await assembled([12, 24], [frame(PONG, 'nobody asked'), frame(PONG)]);
  });

  test('5.5.1 a close between fragments ends the connection, and the message is not there', async () => {
    const userId = newId();
    const peer = await stand.open();
    const [first, second] = fragments(message('halved'), [17]) as [Buffer, Buffer];
    await peer.write(first, frame(CLOSE, closing(1000)), second);
    expect(await peer.untilClose()).toEqual([{ opcode: CLOSE, payload: closing(1000), lengthBits: 7 }]);
    await peer.end();
    expect(await stand.house.userRest(userId).current()).toBe(null);
  });
});

describe('5.4 what a receiver must not take', () => {
  test.each<[string, () => Buffer[]]>([
    ['a continuation that continues nothing', () => [frame(CONTINUATION, message('x'))]],
    ['an empty continuation that continues nothing', () => [frame(CONTINUATION)]],
    ['an unfinished continuation that continues nothing', () => [frame(CONTINUATION, 'x', { fin: false })]],
    ['a whole text within a fragmented one', () => [start(), frame(TEXT, message('x'))]],
    ['a second start within a fragmented text', () => [start(), frame(TEXT, 'x', { fin: false })]],
    ['a whole binary within a fragmented text', () => [start(), frame(BINARY, 'x')]],
    ['the start of a binary within a fragmented text', () => [start(), frame(BINARY, 'x', { fin: false })]],
    ['a text within a fragmented binary', () => [frame(BINARY, 'x', { fin: false }), frame(TEXT, message('x'))]],
    ['a text after an empty start', () => [frame(TEXT, '', { fin: false }), frame(TEXT, message('x'))]],
    ['a text after three fragments', () => [start(), ...[1, 2].map(() => frame(0, 'x', { fin: false })), frame(TEXT)]],
    ['a continuation after a whole message', () => [frame(TEXT, '{}'), frame(CONTINUATION, 'x')]],
    [
      'a continuation after the last fragment',
      () => [...fragments('{"type":"nothing"}', [3, 9]), frame(CONTINUATION, 'x')],
    ],
    ['a continuation after a ping that follows a whole message', () => [frame(TEXT, '{}'), frame(PING), frame(0, 'x')]],
  ])('5.4 %s ends the connection', async (_what, segments) => {
    await stand.fails(segments(), [PROTOCOL_ERROR]);
    // However they come.
    await stand.fails([Buffer.concat(segments())], [PROTOCOL_ERROR]);
  });
});

describe('5.4 and 10.4 fragments without end', () => {
  test('10.4 fragments that are too large together end the connection with 1009', async () => {
    const piece = frame(CONTINUATION, 'x'.repeat(4_000), { fin: false });
    await stand.fails([start(), ...Array.from({ length: 40 }, () => piece)], [TOO_LARGE]);
  });

  test('10.4 a message of 65,537 bytes in fragments is refused as it is in one piece', async () => {
    const peer = await stand.open();
    await peer.write(...fragments('x'.repeat(65_537), [65_536]));
    const heard = await peer.untilClose();
    expect(JSON.parse((heard[0]?.payload ?? '').toString())).toMatchObject({ type: 'error' });
    expect(heard.at(-1)?.payload.readUInt16BE(0)).toBe(TOO_LARGE);
    await peer.finish();
  });

  // Each costs no more than the byte that it carries.
  test('10.4 60,000 fragments of one byte are put together; others do not wait', async () => {
    const peer = await stand.open();
    const requestId = newRequest();
    const text = message(requestId).padEnd(60_000);
    await peer.write(
      Buffer.concat(
        fragments(
          text,
          Array.from({ length: 59_999 }, (_, i) => i + 1),
        ),
      ),
    );
    expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
  });

  test('10.4 500,000 empty fragments do not fill the memory', async () => {
    const peer = await stand.open();
    const empties = Buffer.concat(Array.from({ length: 10_000 }, () => frame(CONTINUATION, '', { fin: false })));
    const memory = async (): Promise<number> => {
      const text = await (await fetch(`${stand.house.url}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]);
    };
    const before = await memory();
    await peer.write(start(), ...Array.from({ length: 50 }, () => empties));
    expect((await memory()) - before).toBeLessThan(64 * 1024 * 1024);
  });
});
