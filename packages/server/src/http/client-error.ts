import type { Socket } from 'node:net';
import { ChatError, errorBody, invalid, preferredLanguage } from '@switchboard/protocol';

/** Answers what cannot be read as an HTTP request at all, and closes. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) socket.write(answer(error.code));
  socket.destroy();
}

function answer(code: string | undefined): string {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return response('431 Request Header Fields Too Large', new ChatError('PAYLOAD_TOO_LARGE'));
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return response('408 Request Timeout', invalid('request', 'did not arrive in time', '未能及时送达'));
    default:
      return response('400 Bad Request', invalid('request', 'is not valid HTTP', '不是有效的 HTTP 请求'));
  }
}

function response(status: string, error: ChatError): string {
  // No header was read, so no language is known.
  const body = JSON.stringify({ success: false, error: errorBody(error, preferredLanguage(undefined)) });
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
