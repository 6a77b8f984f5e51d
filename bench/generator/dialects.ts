import { signToken } from '../../testing/switchboard.ts';
import { ID_DIGITS, ID_MARK, readId } from './codec.ts';
import type { DialectName } from './jobs.ts';
import { Peer } from './peer.ts';

/** How a user and an admin of one kind of server speak, and how to find the id in what they hear. */
export interface Dialect {
  connect(port: number, token: string, side: 'user' | 'admin'): Promise<Peer>;
  /** Text of a `send_message` frame with `ID_MARK` for its id. */
  message(sessionId: string): string;
  /** The id that a user's frame acknowledges; -1 for any other frame. Throws what the server complains of. */
  acknowledged(bytes: Buffer, start: number, end: number): number;
  /** The id that an admin's frame delivers; -1 for any other frame. */
  delivered(bytes: Buffer, start: number, end: number): number;
}

export const ADMIN = 1;
export const userId = (user: number): number => 1_000 + user;
export const sessionId = (user: number): string => `s${userId(user)}`;

export function tokenFor(secret: string, id: number, side: 'user' | 'admin'): string {
  const claims = { userId: id, roles: [side], nickname: `Visitor ${id}`, exp: Math.floor(Date.now() / 1000) + 86_400 };
  return signToken(secret, claims);
}

const CONTENT = `Hello, my order ${ID_MARK} should have come on Monday. Can you see where it is?`;
const MARK = Buffer.from('"clientMessageId":"b');

function idIn(bytes: Buffer, start: number, end: number): number {
  const at = bytes.indexOf(MARK, start);
  return at < 0 || at >= end ? -1 : readId(bytes, at + MARK.length, end);
}

const TYPE = Buffer.from('{"type":"');

/** The `type` of a frame. */
function typeOf(bytes: Buffer, start: number, end: number): string {
  if (bytes.compare(TYPE, 0, TYPE.length, start, start + TYPE.length) === 0) {
    return bytes.toString('latin1', start + TYPE.length, bytes.indexOf(0x22, start + TYPE.length));
  }
  return (JSON.parse(bytes.toString('utf8', start, end)) as { type: string }).type;
}

const switchboard: Dialect = {
  connect(port, token, side) {
    const role = side === 'admin' ? '&type=admin&role=admin' : '&type=user';
    return Peer.open({ port, path: `/chat?token=${token}${role}` });
  },
  message(session) {
    const data = { sessionId: session, content: CONTENT, messageType: 'text', clientMessageId: `b${ID_MARK}` };
    return JSON.stringify({ type: 'send_message', data });
  },
  acknowledged(bytes, start, end) {
    const type = typeOf(bytes, start, end);
    if (type === 'message_ack') return idIn(bytes, start, end);
    if (type === 'error') throw new Error(bytes.toString('utf8', start, end));
    return -1;
  },
  delivered: (bytes, start, end) => (typeOf(bytes, start, end) === 'new_user_message' ? idIn(bytes, start, end) : -1),
};

/** Engine.IO 4 and Socket.IO 5 by hand: `0` open, `2` ping, `3` pong, `40` connect, `42` event, `43` ack. */
const socketIo: Dialect = {
  async connect(port, token) {
    const peer = await Peer.open({ port, path: '/socket.io/?EIO=4&transport=websocket' });
    const open = await peer.next();
    if (!open.startsWith('0{')) throw new Error(`not an Engine.IO server: ${open}`);
    peer.send(`40${JSON.stringify({ token })}`);
    const connected = await peer.next();
    if (!connected.startsWith('40{')) throw new Error(`Socket.IO refused: ${connected}`);
    return peer;
  },
  message(session) {
    const data = { sessionId: session, content: CONTENT, messageType: 'text', clientMessageId: `b${ID_MARK}` };
    return `42${ID_MARK}${JSON.stringify(['send_message', data])}`;
  },
  acknowledged(bytes, start, end) {
    if (bytes[start] !== 0x34 || bytes[start + 1] !== 0x33) return -1;
    // 43<id>[{"error": … is what the program answers when it could not store a message.
    if (bytes[start + 2 + ID_DIGITS + 3] === 0x65) throw new Error(bytes.toString('utf8', start, end));
    return readId(bytes, start + 2, end);
  },
  delivered: (bytes, start, end) => (bytes[start] === 0x34 && bytes[start + 1] === 0x32 ? idIn(bytes, start, end) : -1),
};

export const dialects: Readonly<Record<DialectName, Dialect>> = { switchboard, 'socket.io': socketIo };
