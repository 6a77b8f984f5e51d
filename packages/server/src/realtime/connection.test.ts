/** A connection's outbox, over a real line. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Connection } from './connection.ts';
import { TurnEnd } from './turn-end.ts';

const server = createServer({ pauseOnConnect: true });
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

interface Pair {
  readonly connection: Connection;
  readonly reader: Socket;
  /** Resolves with the code that the connection ended with. */
  readonly gone: Promise<number>;
}

async function pair(): Promise<Pair> {
  const { port } = server.address() as { port: number };
  const arrival = once(server, 'connection') as Promise<[Socket]>;
  const reader = connect(port, '127.0.0.1');
  const [line] = await arrival;
  let over: (code: number) => void = () => undefined;
  const gone = new Promise<number>((resolve) => (over = resolve));
  const connection = new Connection({
    caller: {
      actor: { type: 'admin', id: 1 },
      identity: { id: 1, nickname: '', avatar: '' },
      connection: 'c',
      address: '',
    },
    language: 'en',
    expiresAt: null,
    bucket: null,
    now: 0,
    owner: { receive: () => undefined, heard: () => undefined, gone: (_connection, code) => over(code) },
  });
  connection.open(line, new TurnEnd(), '', Buffer.alloc(0));
  return { connection, reader, gone };
}

const frame = 'x'.repeat(50_000);
const endOfTurn = (): Promise<void> => new Promise(setImmediate);

test('R4.24 what one turn brings a reader who is up to date does not end it, be it megabytes', async () => {
  const { connection, reader } = await pair();
  let read = 0;
  reader.on('data', (chunk) => (read += chunk.length));
  for (let burst = 1; burst <= 3; burst++) {
    for (let i = 0; i < 200; i++) connection.send(frame);
    while (read < burst * 200 * frame.length) await endOfTurn();
  }
  expect(connection.closing).toBe(false);
  reader.destroy();
});

test('R4.24 nor may more than that wait', async () => {
  const { connection, reader, gone } = await pair();
  reader.pause();
  const burst = 200 * frame.length;
  for (let sent = 0; sent < burst; sent += frame.length) connection.send(frame);
  await endOfTurn();
  // As much again as the network has taken.
  for (let more = 0; !connection.closing && more < burst; more += frame.length) {
    connection.send(frame);
    await endOfTurn();
  }
  expect(connection.closing).toBe(true);
  reader.resume();
  expect(await gone).toBe(4008);
});

test('R4.24 a reader who stops before anything was written to them has a megabyte, too', async () => {
  const { connection, reader, gone } = await pair();
  reader.pause();
  let sent = 0;
  // What the network takes is not ours any more: a few megabytes here.
  for (; !connection.closing && sent < 64 * 1024 * 1024; sent += frame.length) {
    connection.send(frame);
    await endOfTurn();
  }
  expect(connection.closing).toBe(true);
  reader.resume();
  expect(await gone).toBe(4008);
});
