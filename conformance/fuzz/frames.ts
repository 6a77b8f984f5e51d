/** Millions of frames, most of them wrong: JSON that is nearly right, bytes that are nearly a frame. */
import type { Chance } from '../../testing/chance.ts';
import type { Budget } from './budget.ts';
import { damaged } from './damaged.ts';
import { type Json, mutated, written } from './json.ts';
import type { Switchboard } from '../../testing/switchboard.ts';
import { handshake, RawPeer, request } from '../rfc6455/raw-peer.ts';
import { BINARY, CLOSE, closing, CONTINUATION, frame, PING, PONG, TEXT } from '../rfc6455/wire.ts';

const CONNECTIONS = 16;
/** Frames of one write. A ping behind them tells when the server is through. */
const BATCH = 100;
const UNMASKED = [0, 0, 0, 0];
const USERS = 40;
const SESSIONS = 200;

/** Sends frames. @returns what went wrong on the way */
export async function fuzzFrames(server: Switchboard, chance: Chance, budget: Budget): Promise<string[]> {
  const wrong: string[] = [];
  const line = async (number: number): Promise<void> => {
    let peer: RawPeer | null = null;
    while (wrong.length < 20 && budget.take(BATCH)) {
      peer ??= await open(server, chance, number);
      const isLast = chance.happens(30);
      const batch = isLast ? wild(chance) : tame(server, chance);
      const mark = `through-${budget.used}`;
      await peer.write(Buffer.concat([...batch, frame(PING, mark, { mask: UNMASKED })]));
      const fault = await settled(peer, mark);
      if (fault) wrong.push(fault);
      if (peer.ended || isLast) {
        peer.socket.resetAndDestroy();
        peer = null;
      }
    }
    peer?.socket.destroy();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => line(i)));
  return wrong;
}

async function open(server: Switchboard, chance: Chance, number: number): Promise<RawPeer> {
  const admin = number % 4 === 0;
  const id = (admin ? 5_000 : 6_000) + chance.below(USERS);
  const token = server.token({ userId: id, roles: [admin ? 'admin' : 'user'] });
  const path = `/chat?token=${token}${admin ? '&type=admin' : ''}`;
  let peer = new RawPeer(server.url);
  let { status } = await peer.shake(request('GET', path, handshake(new URL(server.url).host)));
  // On a machine that is busy enough a head comes too late even though it was sent at once.
  while (status === 408) {
    peer = new RawPeer(server.url);
    ({ status } = await peer.shake(request('GET', path, handshake(new URL(server.url).host))));
  }
  if (status !== 101) throw new Error(`a good handshake was answered with ${status}`);
  if (chance.happens(700)) await peer.write(frame(TEXT, '{"type":"hello","data":{}}'));
  return peer;
}

/** Waits until the server has read a batch, or has ended the connection. */
async function settled(peer: RawPeer, mark: string): Promise<string | null> {
  try {
    for (;;) {
      const { opcode, payload } = await peer.next();
      if (opcode === PONG && payload.toString('latin1') === mark) return null;
      if (opcode === TEXT && payload.includes('"INTERNAL"')) return payload.toString('utf8').slice(0, 500);
      if (opcode === CLOSE) return null;
    }
  } catch (error) {
    // Ended without a close frame: after a wild batch, or cut off as an abuser of control frames.
    return peer.ended && !peer.fault ? null : (error as Error).message;
  }
}

/** Whole text frames, whatever is in them. */
function tame(server: Switchboard, chance: Chance): Buffer[] {
  return Array.from({ length: BATCH }, () => frame(TEXT, payload(server, chance), { mask: UNMASKED }));
}

function payload(server: Switchboard, chance: Chance): Buffer | string {
  const model = template(server, chance);
  if (chance.happens(15)) return JSON.stringify(model);
  if (chance.happens(20)) return utf8(chance.bytes(chance.below(60)));
  return utf8(written(chance, mutated(chance, model)));
}

/** What is not UTF-8 would end the connection, and the other frames of its batch with it. */
function utf8(bytes: Buffer): string {
  return bytes.toString('utf8');
}

function template(server: Switchboard, chance: Chance): Json {
  const sessionId = `fuzz-${chance.below(SESSIONS)}`;
  const kind = chance.below(1_000);
  if (kind < 700)
    return {
      type: 'send_message',
      requestId: chance.below(1_000),
      data: {
        sessionId,
        content: `message ${chance.below(1_000_000)}`,
        messageType: chance.pick(['text', 'image', 'file']),
        senderInfo: { userId: 6_000 + chance.below(USERS), userType: 'user' },
        clientMessageId: `c-${chance.below(100_000)}`,
        attachments: [{ url: 'https://example.com/a.png', name: 'a.png', mimeType: 'image/png', size: 12 }],
      },
    };
  if (kind < 760) return { type: 'hello', requestId: 'h', data: { clientId: 'fuzz' } };
  if (kind < 830) return { type: 'ping', requestId: 'p', data: { t: chance.below(1_000_000) } };
  if (kind < 900)
    return {
      type: 'receipt',
      data: { sessionId, kind: chance.pick(['delivered', 'read']), upToSeq: chance.below(50) },
    };
  if (kind < 920) return { type: 'unfollow', requestId: 'u', data: { sessions: [sessionId] } };
  // Costly ones, so rarely: they ask for a whole log or list.
  if (kind < 925) return { type: 'resume', requestId: 'r', data: { sessions: [{ sessionId, afterSeq: 1_000 }] } };
  if (kind < 927) return { type: 'inbox', data: { since: new Date(Date.now() - 1_000).toISOString() } };
  if (kind < 930)
    return {
      type: 'auth_refresh',
      data: { token: server.token({ userId: 6_000 + chance.below(USERS), roles: ['user'] }) },
    };
  return { type: chance.pick(['typing', 'error', 'message_ack', 'welcome', '', 'SEND_MESSAGE']), data: { sessionId } };
}

/** Bytes that are nearly frames. Most of them end the connection. */
function wild(chance: Chance): Buffer[] {
  const opcodes = [TEXT, TEXT, CONTINUATION, BINARY, CLOSE, PING, PONG, 3, 7, 0xb, 0xf];
  return Array.from({ length: BATCH }, () => {
    const bytes = chance.happens(300) ? closing(chance.below(6_000), chance.bytes(5)) : chance.bytes(chance.below(200));
    const whole = frame(chance.pick(opcodes), bytes, {
      fin: chance.happens(700),
      rsv: chance.happens(20) ? chance.below(8) : 0,
      mask: chance.happens(20) ? null : [...chance.bytes(4)],
      ...(chance.happens(100)
        ? { lengthBits: 64, declared: BigInt(chance.below(2 ** 31)) << BigInt(chance.below(33)) }
        : {}),
    });
    return chance.happens(50) ? damaged(chance, whole) : whole;
  });
}
