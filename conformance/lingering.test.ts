/** Whoever was answered and does not go: their line is cut, or a few thousand of them would be all that a server can hold. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { eventually, newId } from './house.ts';
import { handshake, request } from './rfc6455/raw-peer.ts';

const { house } = useServer();
const upgrade = (path: string): Buffer => request('GET', path, handshake(new URL(house.url).host));

/** Sends this, is answered until the server ends its side, and stays. Resolves when the line is cut from over there. */
async function staysOn(bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(house.url);
  const line = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
  let heard = '';
  let cut = false;
  line.on('error', () => (cut = true));
  line.on('data', (part) => (heard += (part as Buffer).toString('latin1')));
  line.write(bytes);
  await once(line, 'end');
  // A line that is gone over there answers whatever comes with a reset.
  await eventually(() => {
    if (!cut) line.write('x');
    return cut;
  }, 'the line to be cut');
  return heard;
}

test.concurrent.each<[string, () => Buffer, RegExp]>([
  ['with no good token', () => upgrade('/chat?token=x'), /^HTTP\/1\.1 401 /],
  ['with bytes behind the handshake', () => Buffer.concat([upgrade('/chat'), Buffer.alloc(99)]), /^HTTP\/1\.1 401 /],
  ['at another address', () => upgrade('/elsewhere'), /^HTTP\/1\.1 404 /],
  ['with another type', () => upgrade(`/chat?token=${house.userToken(newId())}&type=x`), /^HTTP\/1\.1 400 /],
  ['with what is no HTTP', () => Buffer.from('HELO example.com\r\n\r\n'), /^HTTP\/1\.1 400 /],
  ['with headers that never end', () => Buffer.from('GET /chat HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1\.1 4\d\d /],
])('R2.9 a peer that was refused %s and does not go is cut off', async (_what, bytes, answer) => {
  expect(await staysOn(bytes())).toMatch(answer);
});
