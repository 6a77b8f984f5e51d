/** RFC 6455, section 8.1: text is UTF-8, whole and in fragments. */
import { describe, expect, test } from 'vitest';
import { newId } from '../house.ts';
import { message, newRequest, NOT_UTF8, useStand } from './stand.ts';
import { BINARY, CONTINUATION, fragments, frame, PING, PONG, TEXT } from './wire.ts';

const stand = useStand();

const good: readonly (readonly [string, string])[] = [
  ['ASCII', 'Hello-World'],
  ['two bytes', 'µ@ßöäüàá'],
  ['the smallest of two bytes', '\u0080'],
  ['the largest of two bytes', '\u07ff'],
  ['three bytes', 'κόσμε 你好'],
  ['the smallest of three bytes', '\u0800'],
  ['the last before the surrogates', '\ud7ff'],
  ['the first behind the surrogates', '\ue000'],
  ['the replacement character itself', '\ufffd'],
  ['a byte order mark', '\ufeffbom'],
  ['noncharacters', '\ufffe \uffff \u{1fffe} \u{10fffe}'],
  ['four bytes', '😀 𠮷 🇨🇳'],
  ['the smallest of four bytes', '\u{10000}'],
  ['the largest there is', '\u{10ffff}'],
  ['control characters', '\u0001\u0008\u007f\u0085\u009f'],
  ['separators that JavaScript once stumbled over', '\u2028\u2029'],
];

const bad: readonly (readonly [string, string])[] = [
  ['a lonely continuation byte', '80'],
  ['the last lonely continuation byte', 'bf'],
  ['many lonely continuation bytes', '8081828384'],
  ['a lonely start of two', 'c220'],
  ['a lonely start of three', 'e120'],
  ['a lonely start of four', 'f120'],
  ['three bytes without the last', 'e58d20'],
  ['four bytes without the last', 'f09f9820'],
  ['two bytes that the message ends in', 'ce'],
  ['three bytes that the message ends in', 'e5bd'],
  ['four bytes that the message ends in', 'f09f98'],
  ['the byte FE', 'fe'],
  ['the byte FF', 'ff'],
  ['both of them', 'fefeffff'],
  ['five bytes', 'f888808080'],
  ['six bytes', 'fc8480808080'],
  ['a slash in two bytes', 'c0af'],
  ['a slash in three bytes', 'e080af'],
  ['a slash in four bytes', 'f08080af'],
  ['a slash in five bytes', 'f8808080af'],
  ['NUL in two bytes', 'c080'],
  ['NUL in three bytes', 'e08080'],
  ['the largest overlong of two bytes', 'c1bf'],
  ['the largest overlong of three bytes', 'e09fbf'],
  ['the largest overlong of four bytes', 'f08fbfbf'],
  ['the first surrogate', 'eda080'],
  ['the last high surrogate', 'edafbf'],
  ['the first low surrogate', 'edb080'],
  ['the last surrogate', 'edbfbf'],
  ['a pair of surrogates', 'eda081edb080'],
  ['the first beyond U+10FFFF', 'f4908080'],
  ['far beyond U+10FFFF', 'f7bfbfbf'],
  ['the byte F5', 'f5808080'],
  ['a wrong byte behind good ones', 'cebae1bdb9cf83cebcceb5eda080656469746564'],
];

describe('8.1 text that is UTF-8', () => {
  test.each(good)('8.1 %s comes through whole', async (_what, content) => {
    const requestId = newRequest();
    const peer = await stand.open();
    const { sessionId, seq } = await stand.taken(peer, [frame(TEXT, message(requestId, `<${content}>`))], requestId);
    const { messages } = await stand.house.adminRest(newId()).messages(String(sessionId), '?afterSeq=0');
    expect(messages.find((each) => each.seq === seq)?.content).toBe(`<${content}>`);
  });

  test.each(good)('8.1 %s may be cut into fragments at any byte', async (_what, content) => {
    const requestId = newRequest();
    const peer = await stand.open();
    const text = message(requestId, `<${content}>`);
    const cuts = Array.from({ length: Buffer.byteLength(text) - 1 }, (_, i) => i + 1);
    const { sessionId, seq } = await stand.taken(peer, [Buffer.concat(fragments(text, cuts))], requestId);
    const { messages } = await stand.house.adminRest(newId()).messages(String(sessionId), '?afterSeq=0');
    expect(messages.find((each) => each.seq === seq)?.content).toBe(`<${content}>`);
  });

  test('8.1 a ping may come in the middle of a character', async () => {
    const requestId = newRequest();
    const peer = await stand.open();
    const text = Buffer.from(message(requestId, '😀'));
    const place = text.indexOf(0xf0) + 2;
    const [first, second] = fragments(text, [place]) as [Buffer, Buffer];
    await peer.write(first, frame(PING, 'in between'));
    expect(await peer.next()).toMatchObject({ opcode: PONG });
    await stand.taken(peer, [second], requestId);
  });
});

describe('8.1 text that is not UTF-8', () => {
  test.each(bad)('8.1 %s (%s) ends the connection with 1007', async (_what, hex) => {
    await stand.fails([frame(TEXT, spoiled(hex))], [NOT_UTF8]);
    await stand.fails([frame(TEXT, Buffer.from(hex, 'hex'))], [NOT_UTF8]);
  });

  test.each(bad)('8.1 %s (%s) ends it in fragments of one byte, too', async (_what, hex) => {
    const text = spoiled(hex);
    const cuts = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
    await stand.fails([Buffer.concat(fragments(text, cuts))], [NOT_UTF8]);
  });

  // At the first wrong byte or at the end of the message, as the receiver likes.
  test('8.1 a wrong first fragment ends the connection at the last one at the latest', async () => {
    const first = frame(TEXT, Buffer.from('cebaff', 'hex'), { fin: false });
    await stand.fails([first, frame(CONTINUATION, 'x')], [NOT_UTF8]);
  });

  test('8.1 a character that an empty last fragment leaves unfinished ends the connection', async () => {
    const first = frame(TEXT, Buffer.from('f09f98', 'hex'), { fin: false });
    await stand.fails([first, frame(CONTINUATION)], [NOT_UTF8]);
  });

  test('8.1 halves of two characters do not make one', async () => {
    const first = frame(TEXT, Buffer.from('e5bd', 'hex'), { fin: false });
    await stand.fails([first, frame(CONTINUATION, Buffer.from('c2a9', 'hex'))], [NOT_UTF8]);
  });

  test('8.1 a message that is not UTF-8 does not spoil the one before it', async () => {
    const requestId = newRequest();
    const peer = await stand.open();
    await peer.write(frame(TEXT, message(requestId)));
    expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
    await peer.write(frame(TEXT, Buffer.from('ff', 'hex')));
    expect((await peer.untilClose()).at(-1)?.payload.readUInt16BE(0)).toBe(NOT_UTF8);
    await peer.finish();
  });

  test.each(bad.slice(0, 6))('5.6 %s (%s) in a binary message is nobody’s business', async (_what, hex) => {
    const peer = await stand.open();
    await peer.write(frame(BINARY, Buffer.from(hex, 'hex')));
    expect(JSON.parse((await peer.next()).payload.toString('utf8'))).toMatchObject({ type: 'error' });
    const requestId = newRequest();
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });
});

/** A message with these bytes in its content. */
function spoiled(hex: string): Buffer {
  const [before, after] = message('spoiled', '|').split('|') as [string, string];
  return Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(after)]);
}
