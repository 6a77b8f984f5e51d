/** One connection that asks and is answered, by requestId; what else it hears it hands on. */
import { WebSocket } from 'ws';

export interface Heard {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Long: on a busy machine an answer may take its time, but it comes. */
const WITHIN_MS = 300_000;

export class Line {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, (heard: Heard | Error) => void>();
  readonly #news: (heard: Heard) => void;
  #count = 0;

  /** @param news is told every frame that answers nothing */
  static async open(address: string, news: (heard: Heard) => void = () => undefined): Promise<Line> {
    const line = new Line(new WebSocket(address), news);
    await new Promise((resolve, reject) => line.#socket.once('open', resolve).once('error', reject));
    return line;
  }

  private constructor(socket: WebSocket, news: (heard: Heard) => void) {
    this.#socket = socket;
    this.#news = news;
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      for (const answered of this.#waiting.values()) answered(new Error(`closed with ${code} instead of an answer`));
    });
    socket.on('message', (bytes) => {
      const heard = JSON.parse((bytes as Buffer).toString('utf8')) as Heard;
      const answered = this.#waiting.get(heard.data['requestId'] as string);
      if (answered) answered(heard);
      else this.#news(heard);
    });
  }

  ask(type: string, data: object): Promise<Heard> {
    const requestId = `q${++this.#count}`;
    this.#socket.send(JSON.stringify({ type, requestId, data }));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(data)}`)), WITHIN_MS);
      this.#waiting.set(requestId, (heard) => {
        clearTimeout(late);
        this.#waiting.delete(requestId);
        if (heard instanceof Error) reject(heard);
        else resolve(heard);
      });
    });
  }

  leave(): void {
    this.#socket.terminate();
  }
}
