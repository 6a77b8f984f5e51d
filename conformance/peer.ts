/** One WebSocket connection as a front end that was written against the requirements document has it. */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { checker, serverFrames } from '@switchboard/protocol';
import type { ServerFrame } from '@switchboard/protocol';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { faults, timeFaults } from './faults.ts';

/** All that a connection which never said hello may ever hear. */
export const frameTypes = [
  'new_user_message',
  'new_admin_message',
  'session_status_changed',
  'message_ack',
  'error',
] as const;
export type FrameType = (typeof frameTypes)[number];
export type FrameOf<T extends FrameType> = Extract<ServerFrame, { type: T }>;
export type Frame = FrameOf<FrameType>;
export type DataOf<T extends FrameType> = FrameOf<T>['data'];

const checks = new Map<string, (value: unknown, root?: string) => void>(
  frameTypes.map((type) => [type, checker(serverFrames[type])]),
);

export interface PeerOptions extends ClientOptions {
  /** What the query holds besides the token. */
  readonly query?: Readonly<Record<string, string>>;
  /** How the token travels. */
  readonly by?: 'query' | 'header' | 'subprotocol' | 'nothing';
  /** Default `/chat`. */
  readonly path?: string;
  /** Names that this server was told to use: the document's own name by the one on the wire. */
  readonly names?: Readonly<Record<string, FrameType>>;
}

/** The answer to a handshake that was not let in. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

class RefusedError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(`the handshake was answered with ${refusal.status}: ${refusal.text}`);
    this.refusal = refusal;
  }
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const WAIT_MS = 8_000;
let requests = 0;

export class Peer {
  /** Every frame, in the order of arrival. */
  readonly frames: Frame[] = [];
  /** The same as they stood on the wire. */
  readonly texts: string[] = [];
  readonly closed: Promise<Closing>;
  readonly socket: WebSocket;
  readonly #taken = new Set<Frame>();
  readonly #names: Readonly<Record<string, FrameType>>;
  readonly #waiting = new Set<() => void>();
  #closing: Closing | null = null;

  /** Connects. @throws RefusedError when the handshake is answered with something else than 101 */
  static async open(url: string, token: string, options: PeerOptions = {}): Promise<Peer> {
    const { query = {}, by = 'query', path = '/chat', names = {}, headers = {}, ...more } = options;
    const address = new URL(path, url.replace(/^http/, 'ws'));
    if (by === 'query') address.searchParams.set('token', token);
    for (const [name, value] of Object.entries(query)) address.searchParams.append(name, value);
    const socket = new WebSocket(address, by === 'subprotocol' ? ['bearer', token] : [], {
      ...more,
      headers: by === 'header' ? { ...headers, Authorization: `Bearer ${token}` } : headers,
    });
    // Listening from the first moment: a frame may come together with the answer to the handshake.
    const peer = new Peer(socket, names);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', reject);
      socket.once('unexpected-response', (_request, response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('error', reject);
        response.once('end', () => {
          reject(new RefusedError({ status: response.statusCode ?? 0, headers: response.headers, text }));
          socket.terminate();
        });
      });
    });
    return peer;
  }

  private constructor(socket: WebSocket, names: Readonly<Record<string, FrameType>>) {
    this.socket = socket;
    this.#names = names;
    socket.on('message', (data, isBinary) => this.#hear((data as Buffer).toString('utf8'), isBinary));
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#closing = { code, reason: reason.toString('utf8') };
        resolve(this.#closing);
        this.#wake();
      });
    });
  }

  /** Sends a frame as it is. */
  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** Sends a frame under a new requestId and gives the reply to it, an ack or an error. */
  async ask(type: string, data: unknown, more: object = {}): Promise<FrameOf<'message_ack'> | FrameOf<'error'>> {
    const requestId = `r${++requests}`;
    this.send({ type, requestId, data, ...more });
    return this.reply(requestId);
  }

  /** The ack or error that carries this requestId. */
  reply(requestId: string | number): Promise<FrameOf<'message_ack'> | FrameOf<'error'>> {
    return this.#take(
      (frame): frame is FrameOf<'message_ack'> | FrameOf<'error'> =>
        (frame.type === 'message_ack' && frame.requestId === requestId) ||
        (frame.type === 'error' && frame.data.requestId === requestId),
      `the reply to ${requestId}`,
    );
  }

  /** Sends a message and gives its ack. */
  async say(content: string, data: object = {}): Promise<DataOf<'message_ack'>> {
    const reply = await this.ask('send_message', { content, ...data });
    if (reply.type === 'error') throw new Error(`the message was refused: ${JSON.stringify(reply.data)}`);
    return reply.data;
  }

  /** Sends a message that is to be refused and gives the error. */
  async sayRefused(data: object): Promise<DataOf<'error'>> {
    const reply = await this.ask('send_message', data);
    if (reply.type !== 'error') throw new Error(`the message was taken: ${JSON.stringify(reply.data)}`);
    return reply.data;
  }

  /** The first frame of this type that fits and was not asked for before. */
  expectFrame<T extends FrameType>(type: T, fits: (data: DataOf<T>) => boolean = () => true): Promise<FrameOf<T>> {
    return this.#take((frame): frame is FrameOf<T> => frame.type === type && fits(frame.data as DataOf<T>), type);
  }

  /** The news that a session now stands so. */
  expectStatus(sessionId: string, status: string, adminId: number | null): Promise<FrameOf<'session_status_changed'>> {
    return this.expectFrame(
      'session_status_changed',
      (data) => data.sessionId === sessionId && data.status === status && data.adminId === adminId,
    );
  }

  /**
   * Waits until everything that the server has sent on this connection so far is here: what it sends next, the answer
   * to a frame that it must refuse, has arrived.
   */
  async fence(): Promise<void> {
    const reply = await this.ask('fence', {});
    assert.equal(reply.type, 'error');
    this.frames.splice(this.frames.indexOf(reply), 1);
  }

  /** Behind a fence: every frame that nobody has asked for. */
  async rest(): Promise<Frame[]> {
    await this.fence();
    return this.untaken;
  }

  get untaken(): Frame[] {
    return this.frames.filter((frame) => !this.#taken.has(frame));
  }

  /** All frames so far of one type. */
  of<T extends FrameType>(type: T): FrameOf<T>[] {
    return this.frames.filter((frame): frame is FrameOf<T> => frame.type === type);
  }

  /** Closes and waits for the end. */
  async close(): Promise<Closing> {
    this.socket.close();
    return this.closed;
  }

  /** Vanishes without a word. */
  async vanish(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  #hear(text: string, isBinary: boolean): void {
    this.texts.push(text);
    try {
      assert.equal(isBinary, false, 'a binary frame');
      const said = JSON.parse(text) as { type: string };
      const frame = { ...said, type: this.#names[said.type] ?? said.type } as Frame;
      const check = checks.get(frame.type);
      if (check === undefined) throw new Error('a type that no connection may hear which did not say hello');
      check(frame, frame.type);
      assert.deepEqual(timeFaults(frame), []);
      this.frames.push(frame);
    } catch (error) {
      faults.push(`frame ${text}: ${(error as Error).message}`);
    }
    this.#wake();
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #take<F extends Frame>(fits: (frame: Frame) => frame is F, what: string): Promise<F> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(late);
        this.#waiting.delete(look);
      };
      const fail = (why: string): void => {
        end();
        reject(new Error(`${what} did not come (${why}); heard: ${this.texts.join('\n') || 'nothing'}`));
      };
      const look = (): void => {
        const found = this.frames.find((frame) => !this.#taken.has(frame) && fits(frame));
        if (found !== undefined) {
          end();
          this.#taken.add(found);
          resolve(found as F);
        } else if (this.#closing !== null) fail(`closed with ${this.#closing.code} ${this.#closing.reason}`);
      };
      const late = setTimeout(() => fail(`in ${WAIT_MS} ms`), WAIT_MS);
      this.#waiting.add(look);
      look();
    });
  }
}

/** The refusal of a handshake that must not be let in. */
export async function refusalOf(opening: Promise<Peer>): Promise<Refusal> {
  let peer: Peer;
  try {
    peer = await opening;
  } catch (error) {
    if (error instanceof RefusedError) return error.refusal;
    throw error;
  }
  await peer.vanish();
  throw new Error('the handshake was let in');
}
