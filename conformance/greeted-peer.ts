/** A connection that said hello, as an up-to-date client has it: it hears every frame that the server may send. */
import { checker, type LogEvent, type ServerFrame, type ServerFrameType, serverFrames } from '@switchboard/protocol';
import { WebSocket } from 'ws';
import { faults, timeFaults } from './faults.ts';

type FrameOf<T extends ServerFrameType> = Extract<ServerFrame, { type: T }>;
type DataOf<T extends ServerFrameType> = FrameOf<T>['data'];

const checks = new Map(Object.entries(serverFrames).map(([type, schema]) => [type, checker(schema)]));
const WAIT_MS = 8_000;

export class GreetedPeer {
  readonly frames: ServerFrame[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly #looks = new Set<() => void>();
  readonly #taken = new Set<ServerFrame>();

  static async open(url: string, token: string, type: 'user' | 'admin' = 'user'): Promise<GreetedPeer> {
    const peer = new GreetedPeer(`${url.replace(/^http/, 'ws')}/chat?token=${token}&type=${type}`);
    await new Promise((resolve, reject) => peer.socket.once('open', resolve).once('error', reject));
    peer.send('hello', {});
    await peer.expect('welcome');
    return peer;
  }

  private constructor(address: string) {
    this.socket = new WebSocket(address);
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data) => this.#hear((data as Buffer).toString('utf8')));
  }

  send(type: string, data: unknown, requestId?: string): void {
    this.socket.send(JSON.stringify({ type, data, ...(requestId === undefined ? {} : { requestId }) }));
  }

  /** The first frame of this type that fits and was not given before. */
  expect<T extends ServerFrameType>(
    type: T,
    fits: (data: DataOf<T>) => boolean = () => true,
    waitMs = WAIT_MS,
  ): Promise<DataOf<T>> {
    const heard = new Promise<unknown>((resolve, reject) => {
      const isWanted = (frame: ServerFrame): frame is FrameOf<T> & ServerFrame =>
        !this.#taken.has(frame) && frame.type === type && fits(frame.data as unknown as DataOf<T>);
      const look = (): void => {
        const found = this.frames.find(isWanted);
        if (!found) return;
        this.#taken.add(found);
        this.#looks.delete(look);
        clearTimeout(late);
        resolve(found.data);
      };
      const late = setTimeout(() => {
        this.#looks.delete(look);
        reject(new Error(`no ${type} in ${waitMs} ms; heard ${JSON.stringify(this.frames).slice(0, 2_000)}`));
      }, waitMs);
      this.#looks.add(look);
      look();
    });
    return heard as Promise<DataOf<T>>;
  }

  /** Sends a message and gives its ack. */
  async say(data: object): Promise<FrameOf<'message_ack'>['data']> {
    const clientMessageId = `say-${Math.trunc(performance.now() * 1000)}-${this.frames.length}`;
    this.send('send_message', { clientMessageId, ...data });
    return this.expect('message_ack', (ack) => ack.clientMessageId === clientMessageId);
  }

  /** Follows a session from a place and gives what `resumed` says. */
  async resume(sessionId: string, afterSeq: number): Promise<FrameOf<'resumed'>['data']> {
    this.send('resume', { sessions: [{ sessionId, afterSeq }] });
    return this.expect('resumed', (data) => data.sessionId === sessionId);
  }

  /** Behind this, everything that the server had to say so far has been heard. */
  async fence(): Promise<void> {
    const t = performance.now();
    this.send('ping', { t });
    await this.expect('pong', (data) => data.t === t);
  }

  /** Every event of a session that any frame has told, in the order of arrival; `from` the first frame of a type on. */
  told(sessionId: string, from?: ServerFrameType): LogEvent['seq'][] {
    const begin = from === undefined ? 0 : this.frames.findIndex((frame) => frame.type === from);
    return this.frames.slice(begin).flatMap((frame): number[] => {
      if (!('sessionId' in frame.data) || frame.data.sessionId !== sessionId) return [];
      switch (frame.type) {
        case 'session_events':
          return frame.data.events.map((event) => event.seq);
        case 'session_event':
          return [frame.data.event.seq];
        case 'new_user_message':
        case 'new_admin_message':
          return [frame.data.message.seq];
        case 'session_status_changed':
        case 'message_ack':
          return [frame.data.seq];
        default:
          return [];
      }
    });
  }

  async leave(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  #hear(text: string): void {
    const frame = JSON.parse(text) as ServerFrame;
    try {
      const check = checks.get(frame.type);
      if (!check) throw new Error('an unknown type');
      check(frame, frame.type);
      const late = timeFaults(frame);
      if (late.length > 0) throw new Error(late.join(', '));
    } catch (error) {
      faults.push(`frame ${text}: ${(error as Error).message}`);
    }
    this.frames.push(frame);
    for (const look of this.#looks) look();
  }
}
