import { connect, type Socket } from 'node:net';
import { type FrameListener, FrameReader, pongFrame, textFrame } from './codec.ts';

/** One for all sockets: what is read is handled before the next read. */
const shared = Buffer.allocUnsafeSlow(512 * 1024);
const HANDSHAKE_MS = 60_000;

export interface Address {
  readonly port: number;
  /** With the query. */
  readonly path: string;
}

/** One WebSocket connection, or a plain TCP one where there is no path. What it hears goes to `text`. */
export class Peer implements FrameListener {
  /** Set by whoever wants to hear; replaced as the conversation goes on. */
  onText: (bytes: Buffer, start: number, end: number) => void = () => undefined;
  /** After all frames of one read. */
  onRead: () => void = () => undefined;
  onGone: (why: string) => void = () => undefined;
  readonly socket: Socket;
  readonly #reader = new FrameReader(this);
  #expectedEnd = false;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Connects, and shakes hands if there is a path. */
  static open({ port, path }: Address, localAddress?: string): Promise<Peer> {
    return new Promise((resolve, reject) => {
      let peer: Peer | undefined;
      let head = '';
      const onBytes = (count: number): boolean => {
        const bytes = shared.subarray(0, count);
        if (peer) {
          peer.#read(bytes);
          return true;
        }
        head += bytes.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return true;
        if (!head.startsWith('HTTP/1.1 101')) {
          socket.destroy();
          reject(new Error(`the upgrade was refused: ${head.slice(0, 300)}`));
          return true;
        }
        peer = new Peer(socket);
        opened(peer);
        const rest = Buffer.from(head.slice(end + 4), 'latin1');
        const open = peer;
        if (rest.length > 0) queueMicrotask(() => open.#read(rest));
        return true;
      };
      const socket = connect({
        port,
        host: '127.0.0.1',
        ...(localAddress === undefined ? {} : { localAddress }),
        noDelay: true,
        onread: { buffer: shared, callback: onBytes },
      });
      const late = setTimeout(() => socket.destroy(new Error('no answer to the handshake')), HANDSHAKE_MS);
      const opened = (it: Peer): void => {
        clearTimeout(late);
        resolve(it);
      };
      socket.once('connect', () => {
        if (path === '') {
          peer = new Peer(socket);
          opened(peer);
          return;
        }
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            'Sec-WebSocket-Key: c3dpdGNoYm9hcmRiZW5jaA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
        );
      });
      socket.on('error', (error) => {
        if (peer) peer.#gone(error.message);
        else reject(error);
      });
      socket.on('close', () => {
        clearTimeout(late);
        if (peer) peer.#gone('the server closed the connection');
        else reject(new Error('the server closed the connection before it was open'));
      });
    });
  }

  send(text: string): void {
    this.socket.write(textFrame(text));
  }

  /** The next text frame; for conversations before the measuring. */
  next(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.onGone = (why) => reject(new Error(why));
      this.onText = (bytes, start, end) => {
        this.onText = () => undefined;
        resolve(bytes.toString('utf8', start, end));
      };
    });
  }

  /** Ends it without a word. */
  drop(): void {
    this.#expectedEnd = true;
    this.socket.destroy();
  }

  text(bytes: Buffer, start: number, end: number): void {
    this.onText(bytes, start, end);
  }

  ping(payload: Buffer): void {
    this.socket.write(pongFrame(payload));
  }

  closed(code: number, reason: string): void {
    this.#gone(`closed with ${code} ${reason}`);
  }

  #read(bytes: Buffer): void {
    this.#reader.read(bytes);
    this.onRead();
  }

  #gone(why: string): void {
    if (this.#expectedEnd) return;
    this.#expectedEnd = true;
    this.onGone(why);
  }
}

/** Opens many connections, a bounded number at a time, so that no server's backlog overflows. */
export async function openMany<T>(count: number, atOnce: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = Array.from({ length: count });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      opened[index] = await open(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  return opened;
}

/**
 * Loopback has many addresses, each with ports of its own: one alone has about 28,000. The first is left to the kernel: a
 * socket that is bound before it connects may use no port that any other has, and finding one among ten thousand taken
 * ones costs milliseconds, many times what a server does for it.
 */
export function sourceAddress(index: number): string | undefined {
  return index < 20_000 ? undefined : `127.0.0.${1 + Math.floor(index / 20_000)}`;
}
