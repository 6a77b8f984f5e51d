import type { ServerFrame } from '@switchboard/protocol';
import { WebSocket } from 'ws';
import type { SocketConstructor } from '../../src/index.ts';

/** A WebSocket that loses the frames from the server that it is told to lose. */
export function leaky(lost: (frame: ServerFrame) => boolean): SocketConstructor {
  return class extends WebSocket {
    override emit(name: string | symbol, ...details: unknown[]): boolean {
      if (name === 'message' && lost(JSON.parse(String(details[0])) as ServerFrame)) return true;
      return super.emit(name, ...details);
    }
  } as SocketConstructor;
}
