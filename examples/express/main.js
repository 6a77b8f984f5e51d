import { createSwitchboard } from '@switchboard/server';
import express from 'express';
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

const app = express();
app.use(switchboard.handler);
app.use(express.json());
app.get('/hello', (request, response) => response.send('hello from the host'));
const server = app.listen(process.env.PORT ?? 3000, () => console.log(`http://127.0.0.1:${server.address().port}`));

// WebSockets do not pass Express: each upgrade goes to Switchboard, or else to your own.
const sockets = new WebSocketServer({ noServer: true });
sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`you said ${String(data)}`)));
server.on('upgrade', (request, socket, head) => {
  if (switchboard.upgrade(request, socket, head)) return;
  sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened));
});

process.once('SIGTERM', () => {
  server.close();
  for (const socket of sockets.clients) socket.close();
  void switchboard.close();
});
