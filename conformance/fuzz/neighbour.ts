import { WebSocket } from 'ws';
import type { Switchboard } from '../../testing/switchboard.ts';

/** Long: on a busy machine it is the figure that tells, not the limit. */
const WITHIN_MS = 60_000;

/** Somebody who is well-behaved, and is to be served whatever the others do. */
export class Neighbour {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, () => void>();
  #count = 0;

  static async open(server: Switchboard): Promise<Neighbour> {
    const socket = new WebSocket(`${server.wsUrl}/chat?token=${server.token({ userId: 900_001 })}`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return new Neighbour(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const { requestId } = (JSON.parse((data as Buffer).toString('utf8')) as { data: { requestId?: string } }).data;
      this.#waiting.get(requestId ?? '')?.();
    });
  }

  /** Says something and waits for the ack. */
  async say(): Promise<void> {
    const requestId = `n-${++this.#count}`;
    const answered = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer within ${WITHIN_MS} ms`)), WITHIN_MS);
      this.#waiting.set(requestId, () => {
        clearTimeout(late);
        this.#waiting.delete(requestId);
        resolve();
      });
    });
    this.#socket.send(JSON.stringify({ type: 'send_message', requestId, data: { content: 'still here' } }));
    return answered;
  }

  leave(): void {
    this.#socket.terminate();
  }
}
