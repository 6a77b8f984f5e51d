import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageReader } from './message-reader.ts';

type Heard =
  | { readonly what: 'message'; readonly bytes: string; readonly binary: boolean }
  | { readonly what: 'ping'; readonly bytes: string }
  | { readonly what: 'pong' }
  | { readonly what: 'close' | 'fault'; readonly code: number };

/** Reads pieces, and says what was heard. */
function read(pieces: readonly Buffer[], most = 1_000): Heard[] {
  const heard: Heard[] = [];
  const reader = new MessageReader(
    {
      onMessage: (payload, binary) => heard.push({ what: 'message', bytes: payload.toString('hex'), binary }),
      onPing: (payload) => heard.push({ what: 'ping', bytes: payload.toString('hex') }),
      onPong: () => heard.push({ what: 'pong' }),
      onClose: (code) => heard.push({ what: 'close', code }),
      onFault: ({ code }) => heard.push({ what: 'fault', code }),
    },
    most,
  );
  // Each piece is a copy: what the reader does to it is nobody else's business.
  for (const piece of pieces) reader.read(Buffer.from(piece));
  return heard;
}

interface FrameParts {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly final?: boolean;
  readonly reserved?: number;
  readonly masked?: boolean;
  /** How the length is written; the shortest way if not given. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** A client's frame by RFC 6455, section 5.2. */
function frame({ opcode, payload, final = true, reserved = 0, masked = true, ...more }: FrameParts): Buffer {
  const length = payload.length;
  const lengthBytes = more.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (final ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = Buffer.from([0x12, 0xf4, 0x56, 0x9a]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] as number))]);
}

const text = (words: string, more: Partial<FrameParts> = {}): Buffer =>
  frame({ opcode: 1, payload: Buffer.from(words), ...more });
const message = (words: string): Heard => ({
  what: 'message',
  bytes: Buffer.from(words).toString('hex'),
  binary: false,
});

describe('messages', () => {
  test('come out whole however their bytes are cut, control frames between their fragments included', () => {
    const piece = fc.record({
      words: fc.string({ unit: 'grapheme', maxLength: 40 }),
      repeat: fc.constantFrom(1, 1, 1, 9),
      binary: fc.boolean(),
      cuts: fc.array(fc.nat(300), { maxLength: 4 }),
      between: fc.constantFrom('nothing', 'ping', 'pong'),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.array(fc.nat(2_000), { maxLength: 12 }), (parts, cuts) => {
        const sent: Buffer[] = [];
        const expected: Heard[] = [];
        for (const { words, repeat, binary, cuts: inside, between } of parts) {
          const payload = Buffer.from(words.repeat(repeat));
          const places = [0, ...inside.map((at) => at % (payload.length + 1)).sort((a, b) => a - b), payload.length];
          for (let i = 1; i < places.length; i++) {
            const fragment = payload.subarray(places[i - 1], places[i]);
            const final = i === places.length - 1;
            sent.push(frame({ opcode: i === 1 ? (binary ? 2 : 1) : 0, payload: fragment, final }));
            if (final || between === 'nothing') continue;
            sent.push(frame({ opcode: between === 'ping' ? 9 : 10, payload: Buffer.from('p') }));
            expected.push(between === 'ping' ? { what: 'ping', bytes: '70' } : { what: 'pong' });
          }
          expected.push({ what: 'message', bytes: payload.toString('hex'), binary });
        }
        const stream = Buffer.concat(sent);
        const places = [0, ...cuts.map((at) => at % (stream.length + 1)).sort((a, b) => a - b), stream.length];
        const pieces = places.slice(1).map((end, i) => stream.subarray(places[i], end));
        expect(read(pieces, 10_000)).toEqual(expected);
      }),
    );
  });

  test('byte by byte', () => {
    const stream = Buffer.concat([
      text('a'.repeat(200)),
      text('你好'),
      frame({ opcode: 8, payload: Buffer.from([3, 232]) }),
    ]);
    expect(read([...stream].map((byte) => Buffer.of(byte)))).toEqual([
      message('a'.repeat(200)),
      message('你好'),
      { what: 'close', code: 1000 },
    ]);
  });

  test.each([0, 1, 125, 126, 127, 65_535, 65_536])('of %i bytes, and a length written the long way', (length) => {
    const words = 'x'.repeat(length);
    expect(read([text(words)], 70_000)).toEqual([message(words)]);
    expect(read([text(words, { lengthBytes: 8 })], 70_000)).toEqual([message(words)]);
  });

  test('a message too large ends it before its bytes are waited for', () => {
    const tooLarge = [{ what: 'fault', code: 1009 }];
    expect(read([text('x'.repeat(1_001))])).toEqual(tooLarge);
    expect(read([text('x'.repeat(1_001)).subarray(0, 4)])).toEqual(tooLarge);
    const endless = Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expect(read([endless])).toEqual(tooLarge);
    expect(read([text('x'.repeat(600), { final: false }), text('x'.repeat(401), { opcode: 0 })])).toEqual(tooLarge);
    // A control frame between them counts for itself.
    const ping = frame({ opcode: 9, payload: Buffer.alloc(100) });
    const pieces = [text('x'.repeat(600), { final: false }), ping, text('x'.repeat(400), { opcode: 0 })];
    expect(read(pieces).at(-1)).toEqual(message('x'.repeat(1_000)));
  });
});

describe('what breaks the protocol', () => {
  const payload = Buffer.alloc(0);
  test.each<[string, Buffer[], number]>([
    ['a reserved bit', [text('x', { reserved: 4 })], 1002],
    ['another reserved bit', [text('x', { reserved: 1 })], 1002],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer[], number] => [
      `opcode ${opcode}`,
      [frame({ opcode, payload })],
      1002,
    ]),
    ['no mask', [text('x', { masked: false })], 1002],
    ['a ping of 126 bytes', [frame({ opcode: 9, payload: Buffer.alloc(126) })], 1002],
    ['a ping in fragments', [frame({ opcode: 9, payload, final: false })], 1002],
    ['a continuation of nothing', [frame({ opcode: 0, payload })], 1002],
    ['a message within a message', [text('x', { final: false }), text('y')], 1002],
    ['a text that is no UTF-8', [frame({ opcode: 1, payload: Buffer.from([0xc0, 0x80]) })], 1007],
    ['a close frame of one byte', [frame({ opcode: 8, payload: Buffer.of(3) })], 1002],
    ['a close reason that is no UTF-8', [frame({ opcode: 8, payload: Buffer.from([3, 232, 0xff]) })], 1007],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, Buffer[], number] => {
      const named = Buffer.alloc(2);
      named.writeUInt16BE(code);
      return [`close code ${code}`, [frame({ opcode: 8, payload: named })], 1002];
    }),
  ])('%s', (_what, pieces, code) => {
    expect(read([...pieces, text('never read')])).toEqual([{ what: 'fault', code }]);
  });

  test.each([1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])('close code %i may be sent', (code) => {
    const named = Buffer.concat([Buffer.alloc(2), Buffer.from('bye 再见')]);
    named.writeUInt16BE(code);
    expect(read([frame({ opcode: 8, payload: named }), text('never read')])).toEqual([{ what: 'close', code }]);
  });

  test('a close frame may name no code', () => {
    expect(read([frame({ opcode: 8, payload })])).toEqual([{ what: 'close', code: 1005 }]);
  });
});
