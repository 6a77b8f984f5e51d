/**
 * A TCP proxy that breaks on command, to put between a client and a server: delay, stalls, half-open connections,
 * resets, cuts in the middle of a message, a port that nobody listens on.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** `up` is from the client to the target, `down` is back. */
export type Direction = 'up' | 'down' | 'both';

export type Target = { readonly host?: string; readonly port: number } | { readonly socketPath: string };

/** How much may be on its way in one direction of one connection; then its source is not read for a while. */
const maxHeldBytes = 4 * 1024 * 1024;

/** Starts one on 127.0.0.1. */
export async function startTcpProxy(target: Target, port = 0): Promise<TcpProxy> {
  const proxy = new TcpProxy(target, port);
  await proxy.accept();
  return proxy;
}

/** The present faults of one direction, of all connections. */
class Faults {
  stalled = false;
  blackholed = false;
  latencyMs = 0;
  /** How many more bytes pass before the connection that carries the last of them is reset. */
  bytesUntilCut = Number.POSITIVE_INFINITY;
  onCut: () => void = () => {};
  /** Texts that are looked for in what passes up one connection, one after the other; null when none are. */
  script: readonly string[] | null = null;
  onLost: () => void = () => {};
}

type OneWay = Exclude<Direction, 'both'>;

export class TcpProxy {
  readonly #target: Target;
  readonly #faults: Readonly<Record<OneWay, Faults>> = { up: new Faults(), down: new Faults() };
  readonly #connections = new Set<Connection>();
  #port: number;
  #server: Server | undefined;
  #accepted = 0;

  constructor(target: Target, port: number) {
    this.#target = target;
    this.#port = port;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Connections taken so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** The same URL, by way of this proxy. */
  url(original: string): string {
    const url = new URL(original);
    url.searchParams.delete('socketPath');
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  /** Nothing passes, nothing is lost: what was sent comes through after `resume()`. As a network that is away for a while. */
  stall(direction: Direction = 'both'): void {
    for (const faults of this.#of(direction)) faults.stalled = true;
  }

  /**
   * What is sent vanishes, ends included, and the sender notices nothing: the half-open connection.
   * Connections that lost something this way are reset at `resume()`, since their stream has a hole.
   */
  blackhole(direction: Direction = 'both'): void {
    for (const faults of this.#of(direction)) faults.blackholed = true;
  }

  /** Ends every `stall` and `blackhole`. */
  resume(): void {
    for (const faults of this.#of('both')) {
      faults.stalled = false;
      faults.blackholed = false;
    }
    for (const connection of this.#connections) connection.resume();
  }

  /** From now on bytes arrive this much later. */
  latency(milliseconds: number, direction: Direction = 'both'): void {
    for (const faults of this.#of(direction)) faults.latencyMs = milliseconds;
  }

  /** Lets this many more bytes pass in one direction, then resets the connection which carried the last one. */
  cutAfter(bytes: number, direction: OneWay): Promise<void> {
    return new Promise((resolve) => {
      const faults = this.#faults[direction];
      faults.bytesUntilCut = bytes;
      faults.onCut = resolve;
    });
  }

  /**
   * Waits for a connection on which these texts pass up, one after the other. What comes down on it afterwards vanishes:
   * the client never learns what the server answered. Resolves when the first of the answer has been lost.
   */
  loseAnswer(script: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const { up, down } = this.#faults;
      up.script = script;
      down.onLost = resolve;
    });
  }

  /** RST to both ends of every connection. */
  resetAll(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /** New connections are refused, as where nobody listens. Open ones go on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Takes new connections again, on the same port. */
  accept(): Promise<void> {
    if (this.#server !== undefined) return Promise.resolve();
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#take(client));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  close(): void {
    this.refuse();
    this.resetAll();
  }

  #take(client: Socket): void {
    const target =
      'port' in this.#target
        ? connect({
            host: this.#target.host ?? '127.0.0.1',
            port: this.#target.port,
            allowHalfOpen: true,
            noDelay: true,
          })
        : connect({ path: this.#target.socketPath, allowHalfOpen: true });
    const connection = new Connection(client, target, this.#faults, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    this.#accepted += 1;
  }

  #of(direction: Direction): Faults[] {
    return direction === 'both' ? [this.#faults.up, this.#faults.down] : [this.#faults[direction]];
  }
}

class Connection {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #ways: readonly Way[];
  readonly #closed: () => void;

  constructor(client: Socket, target: Socket, faults: Readonly<Record<OneWay, Faults>>, closed: () => void) {
    this.#client = client;
    this.#target = target;
    this.#closed = closed;
    const reset = (): void => this.reset();
    const down = new Way(target, client, faults.down, reset);
    const up = new Way(client, target, faults.up, reset, () => (down.loses = true));
    this.#ways = [up, down];
    for (const socket of [client, target]) {
      socket.on('close', () => {
        if (client.destroyed && target.destroyed) closed();
      });
    }
  }

  resume(): void {
    if (this.#ways.some((way) => way.lostBytes)) this.reset();
    else for (const way of this.#ways) way.flush();
  }

  reset(): void {
    for (const socket of [this.#client, this.#target]) abort(socket);
    this.#closed();
  }
}

/** What is on its way, with the time when it is due. */
interface Held {
  readonly what: Buffer | 'end' | 'reset';
  readonly due: number;
}

/** One direction of one connection. */
class Way {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #faults: Faults;
  readonly #reset: () => void;
  readonly #held: Held[] = [];
  readonly #scriptEnded: () => void;
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  #script: readonly string[] | null = null;
  /** How many texts of the script have passed. */
  #passed = 0;
  lostBytes = false;
  /** Everything of this way vanishes from now on. */
  loses = false;

  constructor(source: Socket, sink: Socket, faults: Faults, reset: () => void, scriptEnded: () => void = () => {}) {
    this.#source = source;
    this.#sink = sink;
    this.#faults = faults;
    this.#reset = reset;
    this.#scriptEnded = scriptEnded;
    source.on('data', (bytes) => this.#hold(bytes as Buffer));
    source.on('end', () => this.#hold('end'));
    // A 'close' without an 'end' before it follows.
    source.on('error', () => {});
    source.on('close', (hadError) => {
      if (hadError) this.#hold('reset');
    });
    sink.on('close', () => clearTimeout(this.#timer));
    sink.on('drain', () => {
      this.#full = false;
      this.flush();
    });
  }

  /** Passes on what may pass now. */
  flush(): void {
    clearTimeout(this.#timer);
    while (!this.#faults.stalled && !this.#full && !this.#sink.destroyed) {
      const next = this.#held[0];
      if (next === undefined) break;
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.flush(), Math.ceil(wait));
        break;
      }
      this.#held.shift();
      this.#pass(next.what);
    }
    if (this.#faults.stalled || this.#heldBytes >= maxHeldBytes) this.#source.pause();
    else this.#source.resume();
  }

  #hold(what: Held['what']): void {
    if (this.#faults.blackholed || this.loses) {
      this.lostBytes = true;
      if (this.loses) this.#faults.onLost();
      return;
    }
    if (typeof what !== 'string') this.#follow(what);
    this.#held.push({ what, due: performance.now() + this.#faults.latencyMs });
    if (typeof what !== 'string') this.#heldBytes += what.length;
    this.flush();
  }

  /** Looks for the script's texts. One that is cut in two by the network is not seen; another time it will be. */
  #follow(bytes: Buffer): void {
    const { script } = this.#faults;
    if (this.#script !== script) {
      this.#script = script;
      this.#passed = 0;
    }
    if (script === null) return;
    for (let from = 0; this.#passed < script.length; this.#passed++) {
      const text = script[this.#passed] as string;
      const at = bytes.indexOf(text, from);
      if (at < 0) return;
      from = at + text.length;
    }
    this.#faults.script = null;
    this.#scriptEnded();
  }

  #pass(what: Held['what']): void {
    if (what === 'end') {
      this.#sink.end();
    } else if (what === 'reset') {
      abort(this.#sink);
    } else {
      this.#heldBytes -= what.length;
      if (what.length >= this.#faults.bytesUntilCut) this.#cut(what);
      else {
        this.#faults.bytesUntilCut -= what.length;
        this.#full = !this.#sink.write(what);
      }
    }
  }

  #cut(bytes: Buffer): void {
    const { bytesUntilCut, onCut } = this.#faults;
    this.#faults.bytesUntilCut = Number.POSITIVE_INFINITY;
    this.#faults.onCut = () => {};
    this.#held.length = 0;
    this.#sink.write(bytes.subarray(0, bytesUntilCut), () => {
      this.#reset();
      onCut();
    });
    this.#full = true;
  }
}

/** RST where the protocol has one; a unix socket is just closed. */
function abort(socket: Socket): void {
  if (socket.destroyed) return;
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
