import websocket from '@fastify/websocket';
import { createSwitchboard } from '@switchboard/server';
import Fastify from 'fastify';

const app = Fastify();

// Your own check of tokens: whatever you have, here two made-up ones.
const accounts = {
  'token-of-li-lei': { userId: 31, roles: ['user'], nickname: '李雷' },
  'token-of-anna': { userId: 7, roles: ['admin'], nickname: 'Anna' },
};
const switchboard = await createSwitchboard({
  database: 'sqlite:./chat.db',
  authenticate: async (token) => accounts[token] ?? null,
  logger: app.log,
});

// In front of Fastify: what is Switchboard's never reaches your hooks, parsers and WebSockets.
switchboard.attach(app.server);
app.addHook('preClose', () => switchboard.close());

await app.register(websocket);
app.get('/hello', async () => 'hello from the host');
app.get('/live', { websocket: true }, (socket) => {
  socket.on('message', (data) => socket.send(`you said ${String(data)}`));
});
console.log(await app.listen({ port: Number(process.env.PORT ?? 3000) }));

process.once('SIGTERM', () => void app.close());
