/**
 * The ceilings of the transport, none of which stores anything: `ws` relays that answer each message with one ack and hand it
 * to the admin, plain or with all frames for a socket gathered into one write; the same with nothing but a token check and
 * a made-up log to resume from; and plain TCP that only holds connections.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

const port = Number(process.env['PORT']);
const kind = process.env['RELAY'];
const secret = process.env['JWT_SECRET'] ?? '';

interface Claims {
  readonly userId: number;
  readonly nickname: string;
  readonly exp: number;
}

if (kind === 'tcp') createTcpServer((socket) => socket.on('error', () => undefined)).listen(port, '127.0.0.1', 4096);
else relay(kind === 'corked');

function relay(corked: boolean): void {
  const http = createServer((_request, response) => response.end('ready'));
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: 65_536,
  });
  let admin: { ws: WebSocket; socket: Socket } | undefined;
  const write = corked ? corkedWrites() : undefined;
  http.on('upgrade', (request, socket, head) => {
    const query = new URL(request.url ?? '/', 'ws://localhost').searchParams;
    const claims = verified(query.get('token') ?? '');
    if (!claims) {
      socket.destroy();
      return;
    }
    server.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => undefined);
      if (query.get('type') === 'admin') admin = { ws, socket: socket as Socket };
      // What a connection is known by, as any server would keep it.
      const known = { claims, ws, socket: socket as Socket };
      ws.on('message', (data) => received(known, data as Buffer));
    });
  });
  let count = 0;
  function send(to: { ws: WebSocket; socket: Socket } | undefined, frame: object): void {
    if (!to) return;
    write?.(to.socket);
    to.ws.send(JSON.stringify(frame));
  }
  function received(from: { claims: Claims; ws: WebSocket; socket: Socket }, bytes: Buffer): void {
    const { type, data } = JSON.parse(bytes.toString('utf8')) as { type: string; data: Record<string, never> };
    const timestamp = new Date().toISOString();
    if (type === 'send_message') {
      const { sessionId, content, messageType, clientMessageId } = data;
      const { userId, nickname } = from.claims;
      const messageId = `msg_${(++count).toString(36).padStart(26, '0')}`;
      send(from, {
        type: 'message_ack',
        data: { sessionId, messageId, clientMessageId, seq: count, status: 'sent', timestamp },
      });
      const message = {
        messageId,
        senderId: userId,
        senderType: 'user',
        content,
        messageType,
        createdAt: timestamp,
        seq: count,
        status: 'sent',
        attachments: [],
        clientMessageId,
      };
      send(admin, {
        type: 'new_user_message',
        data: { sessionId, message, userInfo: { userId, nickname, avatar: '' } },
      });
    } else if (type === 'hello') {
      const actor = { type: 'user', id: from.claims.userId };
      send(from, { type: 'welcome', data: { protocol: 2, connectionId: 'c', actor, serverTime: timestamp } });
    } else if (type === 'resume') {
      const [place] = (data as unknown as { sessions: { sessionId: string; afterSeq: number }[] }).sessions;
      const { sessionId, afterSeq } = place as { sessionId: string; afterSeq: number };
      const seq = afterSeq + 1;
      const event = { kind: 'message', seq, at: timestamp, message: { messageId: 'm', content: 'Hello', seq } };
      send(from, { type: 'session_events', data: { sessionId, events: [event] } });
      send(from, { type: 'resumed', data: { sessionId, complete: true, upToSeq: seq } });
    }
  }
  http.listen(port, '127.0.0.1', 4096);
}

function verified(token: string): Claims | undefined {
  const [head, body, signature = ''] = token.split('.');
  const expected = createHmac('sha256', secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const claims = JSON.parse(Buffer.from(body as string, 'base64url').toString()) as Claims;
  return claims.exp * 1000 > Date.now() ? claims : undefined;
}

/** Gathers what a socket gets in one turn of the event loop into one write. */
function corkedWrites(): (socket: Socket) => void {
  let corked = new Set<Socket>();
  const flush = (): void => {
    const all = corked;
    corked = new Set();
    for (const socket of all) socket.uncork();
  };
  return (socket) => {
    if (corked.has(socket)) return;
    if (corked.size === 0) setImmediate(flush);
    corked.add(socket);
    socket.cork();
  };
}
