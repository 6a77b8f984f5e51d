/** How the process starts and ends: by exit status, by what it says, and by what it does not say. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { freshFolder } from '../../../testing/run-folder.ts';
import { ServerProcess } from '../../../testing/server-process.ts';
import { runSwitchboard, startSwitchboard, type SwitchboardOptions } from '../../../testing/switchboard.ts';

const PASSWORD = 'hunter22-never-shown';

/** Runs it to its end: its status, and the one line it says to people. Its log may say more, but never a password. */
async function end(options: SwitchboardOptions): Promise<{ code: number | null; line: string }> {
  const { code, output } = await runSwitchboard(options);
  expect(output).not.toContain(PASSWORD);
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  expect(lines).toHaveLength(1);
  return { code, line: lines[0] ?? '' };
}

/** A server that does the same to everybody who comes. @returns its port */
async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A database that refuses everybody with one of MySQL's errors. */
function refusingMysql(errno: number): Promise<number> {
  return listen((socket) => {
    const body = Buffer.concat([Buffer.from([0xff, errno & 0xff, errno >> 8]), Buffer.from(`#28000refused ${errno}`)]);
    socket.end(Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]));
  });
}

test('a port that is taken and a host that is not here are one line each, with the status of a setting', async () => {
  const port = await listen(() => undefined);
  const hosts = ['192.0.2.1', 'no-such-host.invalid', '2001:db8::1'];
  const ends = await Promise.all([end({ port }), ...hosts.map((HOST) => end({ env: { HOST } }))]);
  expect(ends.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  expect(ends.map(({ line }) => line)).toEqual([
    `PORT ${port} on 127.0.0.1 is taken by another program. Example: PORT=8788`,
    ...hosts.map((host) => `HOST ${host} is no address of this machine. Example: HOST=127.0.0.1`),
  ]);
});

test('IPv6 is listened on, and the ready line is an address to open', async () => {
  const server = await startSwitchboard({ env: { HOST: '[::1]' } });
  onTestFinished(() => server.remove());
  expect(new URL(server.url).hostname).toBe('[::1]');
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

test('a SQLite file that cannot be one is named', async () => {
  const folder = freshFolder('cli');
  mkdirSync(join(folder, 'folder.db'));
  writeFileSync(join(folder, 'text.db'), 'this is no database, and long enough to be looked at as one'.repeat(100));
  const files = [join(folder, 'folder.db'), join(folder, 'text.db'), join(folder, 'text.db', 'below.db')];
  const ends = await Promise.all(files.map((file) => end({ databaseUrl: `sqlite:${file}` })));
  for (const [i, { code, line }] of ends.entries()) {
    expect(code).toBe(2);
    expect(line).toMatch(/^DATABASE_URL: the file .*\.db cannot be used \(.+\)$/);
    expect(line).toContain(files[i]);
  }
});

test('what MySQL says at the door is told in words of the setting, without the password', async () => {
  const kinds: Record<number, readonly [status: number, line: RegExp]> = {
    1045: [2, /^DATABASE_URL: user or password are refused/],
    1049: [2, /^DATABASE_URL: there is no such database/],
    1040: [1, /^DATABASE_URL: the database cannot be used \(/],
  };
  const ends = Object.entries(kinds).map(async ([errno, [status, wanted]]) => {
    const databaseUrl = `mysql://chat:${PASSWORD}@127.0.0.1:${await refusingMysql(Number(errno))}/shop`;
    const { code, line } = await end({ databaseUrl, env: { DATABASE_WAIT_SECONDS: '0' } });
    expect([errno, code]).toEqual([errno, status]);
    expect(line).toMatch(wanted);
  });
  await Promise.all(ends);
});

test('a database that stays away ends the start after the wait, and is asked for meanwhile', async () => {
  const began = performance.now();
  const databaseUrl = `mysql://chat:${PASSWORD}@127.0.0.1:1/shop`;
  const { code, line } = await end({ databaseUrl, env: { DATABASE_WAIT_SECONDS: '2' } });
  expect([code, line]).toEqual([1, 'DATABASE_URL: the database cannot be used (ECONNREFUSED)']);
  expect(performance.now() - began).toBeGreaterThan(2_000);
});

test('a signal ends a start that waits for its database, and does not wait on', async () => {
  const folder = freshFolder('cli');
  const server = new ServerProcess({
    name: 'switchboard',
    command: process.execPath,
    args: [fileURLToPath(new URL('../dist/main.js', import.meta.url))],
    cwd: folder,
    env: {
      JWT_SECRET: randomBytes(32).toString('hex'),
      DATABASE_URL: 'mysql://u@127.0.0.1:1/d',
      DATABASE_WAIT_SECONDS: '300',
    },
    ready: (stdout) => stdout.includes('the database cannot be reached yet'),
  });
  await server.start();
  process.kill(server.pid ?? 0, 'SIGTERM');
  expect(await server.exit).toEqual({ code: 0, signal: null });
  expect(server.output).not.toContain('not everything could be ended in time');
});

test('a .env file in the working folder is read, and one with a bad setting ends the start', async () => {
  const server = await startSwitchboard();
  onTestFinished(() => server.remove());
  await server.stop();
  writeFileSync(join(server.folder, '.env'), 'LOG_LEVEL=loud\n');
  server.spawn();
  expect(await server.exit).toEqual({ code: 2, signal: null });
  expect(server.tail()).toContain('LOG_LEVEL is "loud"');
  writeFileSync(join(server.folder, '.env'), 'LOG_LEVEL=error\n');
  await server.start();
  expect(await server.stop()).toBe(0);
});

test('servers that start first at once in one folder are demos with one secret', async () => {
  const folder = freshFolder('demo');
  const starts = [1, 2, 3].map(() => startSwitchboard({ env: { JWT_SECRET: undefined, DATA_DIR: folder } }));
  const servers = await Promise.all(starts);
  onTestFinished(async () => {
    for (const server of servers) await server.remove();
  });
  expect(readdirSync(folder)).toEqual(['demo-secret']);
  const [one, ...others] = servers;
  // What people are told goes to stderr, which may come after the ready line of stdout.
  const told = (): string | undefined => /Bearer (\S+)"/.exec(one?.output ?? '')?.[1];
  await expect.poll(told).toBeDefined();
  for (const { url } of others) {
    const answer = await fetch(`${url}/api/admin/chat/sessions`, { headers: { authorization: `Bearer ${told()}` } });
    expect(answer.status).toBe(200);
  }
});

test('--help, --version, and arguments that there are not', async () => {
  const run = async (...args: string[]): Promise<readonly [number | null, string]> => {
    const { code, output } = await runSwitchboard({ args });
    return [code, output];
  };
  expect(await Promise.all([run('--help'), run('--version'), run('--port=1'), run('stop')])).toEqual([
    [0, expect.stringContaining('JWT_ADMIN_WHEN')],
    [0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)],
    [1, expect.stringContaining("unknown option '--port=1'")],
    [1, expect.any(String)],
  ]);
});

/** Code that runs inside the server's process. */
const inside = (code: string): readonly string[] => ['--import', `data:text/javascript,${encodeURIComponent(code)}`];

test('a rejection that nobody handles is logged, and cuts nobody off', async () => {
  const server = await startSwitchboard({
    nodeArgs: inside(`process.once('SIGUSR2', () => { Promise.reject(new Error('nobody listens')); })`),
  });
  onTestFinished(() => server.remove());
  process.kill(server.pid ?? 0, 'SIGUSR2');
  const { level, err } = await server.logged(({ msg }) => msg === 'unhandled rejection');
  expect([level, err]).toEqual(['error', expect.objectContaining({ message: 'nobody listens' })]);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

test('an error that nobody catches is logged, and ends it in good order with status 1', async () => {
  const server = await startSwitchboard({
    nodeArgs: inside(`process.once('SIGUSR2', () => { throw new Error('thrown where nobody catches'); })`),
  });
  onTestFinished(() => server.remove());
  process.kill(server.pid ?? 0, 'SIGUSR2');
  expect(await server.exit).toEqual({ code: 1, signal: null });
  expect(server.records.map(({ level, msg }) => [level, msg])).toEqual(
    expect.arrayContaining([
      ['fatal', 'uncaught error; stopping'],
      ['info', 'stopped'],
    ]),
  );
});
