/** What a storm breaks of the world that an SDK lives in: chance, pages, lines. */
import { WebSocket } from 'ws';
import type { Clock, SocketConstructor } from '../../src/index.ts';

/** Repeatable chance: the same numbers for the same seed, from 0 to 1, 1 excluded (Mulberry32). */
export function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A page: what runs in it ends with it, at whatever moment, and nothing in it is told. */
export class Page {
  readonly WebSocket: SocketConstructor;
  readonly clock: Clock;
  /** Of so many frames from the server one is lost, one comes twice, and one comes late; Infinity: none. */
  spoilt: number;
  readonly #sockets = new Set<WebSocket>();
  #dead = false;

  constructor(clock: Clock, chance: () => number, spoilt: number) {
    this.spoilt = spoilt;
    const dead = (): boolean => this.#dead;
    const luckOf = (): number => (this.spoilt === Infinity ? Infinity : Math.floor(chance() * this.spoilt));
    const sockets = this.#sockets;
    this.clock = {
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, () => !dead() && run()),
    };
    this.WebSocket = class extends WebSocket {
      #late: unknown[][] = [];

      constructor(url: string) {
        super(url);
        sockets.add(this);
        this.once('close', () => sockets.delete(this));
      }

      override emit(name: string | symbol, ...details: unknown[]): boolean {
        if (dead()) return true;
        if (name !== 'message') return super.emit(name, ...details);
        const luck = luckOf();
        if (luck === 0) return true;
        if (luck === 1) super.emit(name, ...details);
        if (luck === 2) {
          this.#late.push(details);
          return true;
        }
        const heard = super.emit(name, ...details);
        for (const late of this.#late.splice(0)) super.emit(name, ...late);
        return heard;
      }
    } as SocketConstructor;
  }

  /** As a browser that crashes: no goodbye to anybody, to the storage neither. */
  crash(): void {
    this.#dead = true;
    for (const socket of this.#sockets) {
      socket.on('error', () => undefined);
      socket.terminate();
    }
  }
}
