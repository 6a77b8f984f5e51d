/** Whatever one can throw at a TCP port, and every way to hang up on it. */
import { connect } from 'node:net';
import type { Chance } from '../../testing/chance.ts';
import type { Budget } from './budget.ts';
import type { Switchboard } from '../../testing/switchboard.ts';
import { handshake, request } from '../rfc6455/raw-peer.ts';
import { frame, TEXT } from '../rfc6455/wire.ts';
import { damaged } from './damaged.ts';

const AT_ONCE = 64;

/** Makes connections. @returns what went wrong on the way */
export async function fuzzTcp(server: Switchboard, chance: Chance, budget: Budget): Promise<string[]> {
  const wrong: string[] = [];
  const token = server.token({ userId: 8_001 });
  const line = async (): Promise<void> => {
    while (wrong.length < 20 && budget.take()) {
      const fault = await once(server.url, chance, token);
      if (fault) wrong.push(fault);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  return wrong;
}

/** One connection: something is sent, then it hangs up, or waits to be answered, or both at once. */
function once(url: string, chance: Chance, token: string): Promise<string | null> {
  const { hostname, port } = new URL(url);
  const segments = thrown(chance, new URL(url).host, token);
  const manner = chance.below(4);
  // One address has too few ports for so many connections; all of 127/8 is this machine on Linux.
  const from = process.platform === 'linux' ? { localAddress: `127.0.0.${2 + chance.below(250)}` } : {};
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, ...from });
    let heard = '';
    const end = (fault: string | null): void => {
      clearTimeout(late);
      socket.resetAndDestroy();
      resolve(fault);
    };
    // A head that never ends is cut off after 5 seconds; whoever waits longer is not answered at all.
    const late = setTimeout(
      () => end(`no end after 45 s of ${JSON.stringify(segments.join('').slice(0, 300))}`),
      45_000,
    );
    socket.on('error', () => end(faultIn(heard)));
    socket.on('close', () => end(faultIn(heard)));
    socket.on('data', (bytes) => {
      heard += (bytes as Buffer).toString('latin1');
      // It is let in, or may ask again on the same connection: it has been answered, and goes.
      if (/^HTTP\/1\.1 101|keep-alive/i.test(heard)) end(faultIn(heard));
    });
    socket.on('connect', () => {
      for (const segment of segments) socket.write(segment);
      if (manner === 0) end(null);
      else if (manner === 1) socket.end();
      else if (manner === 2) socket.write('\r\n\r\n', () => socket.end('\r\n\r\n'));
      else socket.write('\r\n\r\n', () => setImmediate(() => end(faultIn(heard))));
    });
  });
}

function faultIn(heard: string): string | null {
  if (heard === '') return null;
  if (!/^HTTP\/1\.1 [1-5]\d\d /.test(heard)) return `not HTTP: ${JSON.stringify(heard.slice(0, 300))}`;
  if (heard.startsWith('HTTP/1.1 5') && !heard.startsWith('HTTP/1.1 501')) return heard.slice(0, 600);
  if (/node_modules|\n\s+at |<html|<!doctype/i.test(heard)) return heard.slice(0, 600);
  return null;
}

const tls = Buffer.from('16030100f4010000f00303', 'hex');

function thrown(chance: Chance, host: string, token: string): Buffer[] {
  const upgrade = request('GET', `/chat?token=${token}`, handshake(host));
  const get = Buffer.from(`GET /chat/sessions/current?token=${token} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const post = Buffer.from(
    `POST /chat/sessions/x/close HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  );
  switch (chance.below(9)) {
    case 0:
      return [];
    case 1:
      return [chance.bytes(chance.below(300))];
    case 2:
      return [Buffer.concat([tls, chance.bytes(200)])];
    case 3:
      return [damaged(chance, upgrade)];
    case 4:
      return [upgrade, chance.bytes(chance.below(100))];
    case 5:
      return [upgrade, damaged(chance, frame(TEXT, '{"type":"hello"}'))];
    case 6:
      return [damaged(chance, get)];
    case 7:
      return [damaged(chance, post)];
    default: {
      const whole = chance.pick([upgrade, get, post]);
      const at = chance.below(whole.length);
      return [whole.subarray(0, at), whole.subarray(at)];
    }
  }
}
