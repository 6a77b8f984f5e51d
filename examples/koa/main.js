import { createSwitchboard } from '@switchboard/server';
import Koa from 'koa';
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

const app = new Koa();
app.use((context) => {
  if (context.path === '/hello') context.body = 'hello from the host';
});
const server = app.listen(process.env.PORT ?? 3000, () => console.log(`http://127.0.0.1:${server.address().port}`));

// Your own WebSockets: this library refuses every path but its own, so Switchboard goes in front of it.
const sockets = new WebSocketServer({ server, path: '/live' });
sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`you said ${String(data)}`)));
switchboard.attach(server);

process.once('SIGTERM', () => {
  server.close();
  for (const socket of sockets.clients) socket.close();
  void switchboard.close();
});
