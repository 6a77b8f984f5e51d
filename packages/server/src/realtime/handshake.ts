import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { invalid } from '@switchboard/protocol';

/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';
/** Sixteen bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Checks a client's opening handshake (RFC 6455 section 4.2.1).
 * @throws ChatError INVALID_PARAMETER that names the header
 */
export function checkHandshake({ method, headers }: IncomingMessage): void {
  if (method !== 'GET') throw invalid('method', 'must be GET', '必须是 GET');
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
