import { createServer } from 'node:http';
import { createSwitchboard } from '@switchboard/server';
import { WebSocketServer } from 'ws';

// Your own check of tokens: whatever you have, here two made-up ones.
const accounts = {
  'token-of-li-lei': { userId: 31, roles: ['user'], nickname: '李雷' },
  'token-of-anna': { userId: 7, roles: ['admin'], nickname: 'Anna' },
};
const switchboard = await createSwitchboard({
  database: 'sqlite:./chat.db',
  authenticate: async (token) => accounts[token] ?? null,
});
switchboard.on('message', ({ message }) => console.log('stored:', message.content));

// Your own routes and WebSockets, for whatever is not Switchboard's.
const sockets = new WebSocketServer({ noServer: true });
sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`you said ${String(data)}`)));
const server = createServer((request, response) => {
  if (!switchboard.handler(request, response)) response.end('hello from the host');
});
server.on('upgrade', (request, socket, head) => {
  if (switchboard.upgrade(request, socket, head)) return;
  sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened));
});
server.listen(process.env.PORT ?? 3000, () => console.log(`http://127.0.0.1:${server.address().port}`));

process.once('SIGTERM', () => {
  server.close();
  for (const socket of sockets.clients) socket.close();
  void switchboard.close();
});
