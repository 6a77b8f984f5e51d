/** What a storm breaks of the world that an SDK lives in: its page, and what reaches it. */
import { WebSocket } from 'ws';
import type { Chance } from '../../../../testing/chance.ts';
import type { Clock, SocketConstructor } from '../../src/index.ts';

/** A page: what runs in it ends with it, at whatever moment, and nothing in it is told. */
export class Page {
  readonly WebSocket: SocketConstructor;
  readonly clock: Clock;
  /** Of so many frames from the server one is lost, one comes twice, and one comes late; Infinity: none. */
  spoilt: number;
  readonly #sockets = new Set<WebSocket>();
  #dead = false;

  constructor(clock: Clock, chance: Chance, spoilt: number) {
    this.spoilt = spoilt;
    const dead = (): boolean => this.#dead;
    const luckOf = (): number => (this.spoilt === Infinity ? Infinity : chance.below(this.spoilt));
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
