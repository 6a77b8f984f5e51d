import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { invalid } from '@switchboard/protocol';

/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';
/** Sixteen bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
/** How long who is refused may take to read why, and to go. */
const REFUSED_MS = 1_000;

/**
 * Checks a client's opening handshake (RFC 6455 section 4.2.1).
 * @throws ChatError INVALID_PARAMETER that names the header
 */
export function checkHandshake({ method, httpVersion, headers }: IncomingMessage): void {
  if (method !== 'GET') throw invalid('method', 'must be GET', '必须是 GET');
  if (httpVersion !== '1.1') throw invalid('request', 'must be HTTP/1.1', '必须是 HTTP/1.1');
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw invalid('Upgrade', 'must be websocket', '必须是 websocket');
  if (headers['sec-websocket-version'] !== VERSION) {
    throw invalid('Sec-WebSocket-Version', `must be ${VERSION}`, `必须是 ${VERSION}`);
  }
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw invalid('Sec-WebSocket-Key', 'must be 16 bytes in base64', '必须是 16 字节的 base64');
  }
}

/**
 * The server's answer to a handshake that was checked. Of the protocols `bearer, <token>` only the first may be named;
 * no extension is ever agreed on: compression costs memory for each connection, and can be made to explode.
 */
export function acceptance({ headers }: IncomingMessage): string {
  const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${GUID}`).digest('base64');
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...(offered.includes('bearer') ? ['Sec-WebSocket-Protocol: bearer'] : []),
    '\r\n',
  ].join('\r\n');
}

/**
 * Answers an upgrade with a refusal, and ends the line whether the other end goes or not: an upgrade is out of the HTTP
 * server's hands, and whoever stays would be held for ever.
 */
export function turnAway(line: Duplex, answer: string): void {
  line.end(answer);
  setTimeout(() => line.destroy(), REFUSED_MS).unref();
}
