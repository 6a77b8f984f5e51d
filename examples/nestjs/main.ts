import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { createSwitchboard, type HostAccount } from '@switchboard/server';

@Controller()
class Hello {
  @Get('hello') hello() {
    return 'hello from the host';
  }
}
@WebSocketGateway({ path: '/live' })
class Live {
  @SubscribeMessage('say') say(@MessageBody() text: string) {
    return { event: 'said', data: `you said ${text}` };
  }
}
@Module({ controllers: [Hello], providers: [Live] })
class App {}

// Your own check of tokens: whatever you have, here two made-up ones.
const accounts: Record<string, HostAccount> = {
  'token-of-li-lei': { userId: 31, roles: ['user'], nickname: '李雷' },
  'token-of-anna': { userId: 7, roles: ['admin'], nickname: 'Anna' },
};
const switchboard = await createSwitchboard({
  database: 'sqlite:./chat.db',
  authenticate: async (token) => accounts[token] ?? null,
});
const app = await NestFactory.create(App, { logger: ['error', 'warn'] });
app.useWebSocketAdapter(new WsAdapter(app));
// Nest's adapter cuts off every WebSocket but its own, so Switchboard goes in front of it.
switchboard.attach(app.getHttpServer());
await app.listen(process.env.PORT ?? 3000);
console.log(await app.getUrl());

process.once('SIGTERM', () => void switchboard.close().then(() => app.close()));
