import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freshPath } from './run-folder.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** Both ends of a proxied connection, and all that each has received. */
let echo: Server;
let proxy: TcpProxy;
let atTarget = '';
let targetEnds = 0;
let targetErrors = 0;
let clients: Socket[] = [];

beforeEach(async () => {
  [atTarget, targetEnds, targetErrors, clients] = ['', 0, 0, []];
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.setEncoding('utf8').on('data', (text: string) => {
      atTarget += text;
      socket.write(text);
    });
    socket.on('end', () => {
      targetEnds += 1;
      socket.end('bye');
    });
    socket.on('error', () => (targetErrors += 1));
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startTcpProxy({ port: (echo.address() as AddressInfo).port });
});

afterEach(async () => {
  proxy.close();
  for (const client of clients) client.destroy();
  echo.close();
  await once(echo, 'close');
});

interface Client {
  readonly socket: Socket;
  received: string;
  ended: boolean;
  error: string;
}

async function open(): Promise<Client> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  clients.push(socket);
  const client: Client = { socket, received: '', ended: false, error: '' };
  socket.setEncoding('utf8').on('data', (text: string) => (client.received += text));
  socket.on('end', () => (client.ended = true));
  socket.on('error', (error: NodeJS.ErrnoException) => (client.error = error.code ?? ''));
  await once(socket, 'connect');
  await vi.waitFor(() => expect(proxy.connections).toBeGreaterThan(0));
  return client;
}

async function say(client: Client, text: string): Promise<void> {
  const expected = client.received + text;
  client.socket.write(text);
  await vi.waitFor(() => expect(client.received).toBe(expected));
}

describe('the proxy without faults', () => {
  test('passes bytes and ends in both directions', async () => {
    const client = await open();
    await say(client, 'hello');
    client.socket.end();
    await vi.waitFor(() => expect(client).toMatchObject({ received: 'hellobye', ended: true, error: '' }));
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
    expect(proxy.accepted).toBe(1);
  });

  test('passes a megabyte unchanged', async () => {
    const client = await open();
    const long = Array.from({ length: 1 << 16 }, (_, index) => index.toString(16).padStart(16, '.')).join('');
    client.socket.write(long);
    await vi.waitFor(() => expect(client.received.length).toBe(long.length), 5_000);
    expect(client.received === long).toBe(true);
  });

  test('reaches a unix socket', async () => {
    const path = freshPath('sock');
    const server = createServer((socket) => socket.pipe(socket)).listen(path);
    await once(server, 'listening');
    const toSocket = await startTcpProxy({ socketPath: path });
    const socket = connect(toSocket.port, '127.0.0.1');
    socket.write('hi');
    expect(String((await once(socket, 'data'))[0])).toBe('hi');
    const failed = once(socket, 'error');
    toSocket.close();
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    server.close();
  });

  test('rewrites URLs', () => {
    expect(proxy.url('mysql://root@localhost/db?socketPath=%2Ftmp%2Fa.sock')).toBe(
      `mysql://root@127.0.0.1:${proxy.port}/db`,
    );
    expect(proxy.url('redis://127.0.0.1:6379')).toBe(`redis://127.0.0.1:${proxy.port}`);
  });
});

describe('the proxy with faults', () => {
  test('stall holds back what comes from one side, and resume delivers it', async () => {
    const client = await open();
    proxy.stall('down');
    client.socket.write('up');
    await vi.waitFor(() => expect(atTarget).toBe('up'));
    await sleep(50);
    expect(client.received).toBe('');
    proxy.resume();
    await vi.waitFor(() => expect(client.received).toBe('up'));
    await say(client, '-on');
  });

  test('stall takes new connections and passes nothing on them', async () => {
    proxy.stall();
    const client = await open();
    client.socket.write('early');
    await sleep(50);
    expect(atTarget).toBe('');
    proxy.resume();
    await vi.waitFor(() => expect(client.received).toBe('early'));
  });

  test('stall pushes back on a sender', async () => {
    const client = await open();
    proxy.stall('up');
    const chunk = Buffer.alloc(1 << 20);
    for (let n = 0; n < 64; n += 1) client.socket.write(chunk);
    await sleep(200);
    expect(client.socket.writableLength).toBeGreaterThan(32 << 20);
  });

  test('blackhole loses bytes and ends unnoticed, and resume resets what has a hole', async () => {
    const [broken, idle] = [await open(), await open()];
    await say(idle, 'whole');
    proxy.blackhole('up');
    broken.socket.write('lost');
    broken.socket.end();
    await sleep(50);
    expect({ atTarget, targetEnds, error: broken.error }).toEqual({ atTarget: 'whole', targetEnds: 0, error: '' });
    proxy.resume();
    await vi.waitFor(() => expect(targetErrors).toBe(1));
    await say(idle, '-still');
  });

  test('blackhole of one direction leaves the other open', async () => {
    const client = await open();
    proxy.blackhole('down');
    client.socket.write('one way');
    await vi.waitFor(() => expect(atTarget).toBe('one way'));
    await sleep(50);
    expect(client).toMatchObject({ received: '', ended: false, error: '' });
  });

  test('resetAll breaks every connection at both ends, and new ones work', async () => {
    const both = [await open(), await open()];
    for (const client of both) await say(client, 'x');
    proxy.resetAll();
    await vi.waitFor(() => expect(both.map(({ error }) => error)).toEqual(['ECONNRESET', 'ECONNRESET']));
    await vi.waitFor(() => expect(targetErrors).toBe(2));
    await say(await open(), 'again');
  });

  test.for([0, 1, 4])('cutAfter passes exactly %i bytes', async (bytes) => {
    const client = await open();
    await say(client, 'before');
    const cut = proxy.cutAfter(bytes, 'up');
    client.socket.write('12345');
    await cut;
    await vi.waitFor(() => expect(client.error).toBe('ECONNRESET'));
    await vi.waitFor(() => expect(atTarget).toBe(`before${'12345'.slice(0, bytes)}`));
    await say(await open(), 'after');
  });

  test('cutAfter counts what comes back', async () => {
    const client = await open();
    const cut = proxy.cutAfter(3, 'down');
    client.socket.write('12345');
    await cut;
    // A reset that comes together with the last bytes is an end to libuv.
    await vi.waitFor(() => expect(client.ended || client.error === 'ECONNRESET').toBe(true));
    expect(client.received).toBe('123');
    expect(atTarget).toBe('12345');
  });

  test('loseAnswer lets the last text pass up, and nothing down after it, on the connection that said all of them', async () => {
    const [other, client] = [await open(), await open()];
    const lost = proxy.loseAnswer(['INSERT', 'COMMIT']);
    await say(other, 'COMMIT');
    await say(client, 'INSERT');
    await say(other, 'COMMIT');
    client.socket.write('COMMIT');
    await lost;
    expect(atTarget).toBe('COMMITINSERTCOMMITCOMMIT');
    await say(other, 'INSERT COMMIT');
    expect(client).toMatchObject({ received: 'INSERT', ended: false, error: '' });
  });

  test('refuse turns new connections away and keeps open ones; accept takes the same port again', async () => {
    const client = await open();
    const { port } = proxy;
    proxy.refuse();
    const refused = connect(port, '127.0.0.1');
    expect(await once(refused, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }]);
    await say(client, 'still here');
    await proxy.accept();
    expect(proxy.port).toBe(port);
    await say(await open(), 'new');
  });

  test('latency delays each way, in order, ends included', async () => {
    proxy.latency(60);
    const client = await open();
    const start = performance.now();
    client.socket.write('a');
    client.socket.end('b');
    await vi.waitFor(() => expect(client).toMatchObject({ received: 'abbye', ended: true }), { interval: 5 });
    expect(performance.now() - start).toBeGreaterThanOrEqual(119);
  });

  test('a target that is not there resets the client', async () => {
    const empty = await startTcpProxy({ port: await freedPort() });
    const socket = connect(empty.port, '127.0.0.1');
    expect(await once(socket, 'error')).toMatchObject([{ code: 'ECONNRESET' }]);
    empty.close();
  });
});

async function freedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
