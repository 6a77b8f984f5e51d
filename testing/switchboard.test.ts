import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freshFolder } from './run-folder.ts';
import { runSwitchboard, signToken, startSwitchboard } from './switchboard.ts';
import type { Switchboard, SwitchboardOptions } from './switchboard.ts';

/** As much of a server as its operator sees of it. */
const standIn = join(freshFolder('stand-in'), 'main.js');
writeFileSync(
  standIn,
  `
  const { createServer } = require('node:http');
  if (process.env.TZ_BUSINESS === 'nowhere') {
    console.error('TZ_BUSINESS: no such zone');
    process.exit(2);
  }
  if (process.env.HANG !== undefined) setInterval(() => {}, 1000);
  else {
    const server = createServer((_, response) => response.end(JSON.stringify(process.env)));
    server.listen(process.env.PORT, process.env.HOST, () => {
      console.log('not JSON');
      console.log(JSON.stringify({ msg: 'listening', url: 'http://127.0.0.1:' + server.address().port }));
      setTimeout(() => console.log(JSON.stringify({ msg: 'later', args: process.argv.slice(2) })), 50);
      console.error('a canary');
    });
    process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
  }
`,
);

async function start(options: SwitchboardOptions = {}): Promise<Switchboard> {
  const server = await startSwitchboard({ entry: standIn, ...options });
  onTestFinished(() => server.remove());
  return server;
}

describe('a switchboard for tests', () => {
  test('is ready at its address, with these settings and no others', async () => {
    const server = await start({ env: { RATE_LIMIT: 'off' }, redisUrl: 'redis://127.0.0.1:1' });
    const env = (await (await fetch(server.url)).json()) as Record<string, string>;
    expect(env).toMatchObject({
      HOST: '127.0.0.1',
      PORT: String(server.port),
      JWT_SECRET: server.jwtSecret,
      DATABASE_URL: `sqlite:${server.folder}/data/switchboard.db`,
      REDIS_URL: 'redis://127.0.0.1:1',
      RATE_LIMIT: 'off',
    });
    expect(Object.keys(env).filter((name) => /^(HOME|USER|VITEST|NODE_ENV)/.test(name))).toEqual([]);
    expect(server.wsUrl).toBe(`ws://127.0.0.1:${server.port}`);
  });

  test('keeps all that it wrote, and finds log records', async () => {
    const server = await start({ args: ['--an-argument'] });
    expect(await server.logged(({ msg }) => msg === 'later')).toEqual({ msg: 'later', args: ['--an-argument'] });
    expect(await server.stop()).toBe(0);
    for (const text of ['not JSON', '"listening"', 'a canary', 'bye']) expect(server.output).toContain(text);
    await expect(server.logged(({ msg }) => msg === 'never', 50)).rejects.toThrow(/not logged in 50 ms/);
  });

  test('comes back on the same port after a kill', async () => {
    const server = await start();
    const { url, pid } = server;
    await server.kill();
    expect(await server.exit).toEqual({ code: null, signal: 'SIGKILL' });
    await expect(fetch(url)).rejects.toThrow();
    await server.start();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    expect((await fetch(url)).status).toBe(200);
    expect(server.records.filter(({ msg }) => msg === 'listening')).toHaveLength(2);
  });

  test('takes a port of the system’s with port 0, and drops settings that are undefined', async () => {
    const server = await start({ port: 0, env: { JWT_SECRET: undefined } });
    const env = (await (await fetch(server.url)).json()) as Record<string, string>;
    expect(env).toMatchObject({ PORT: '0' });
    expect(env).not.toHaveProperty('JWT_SECRET');
  });

  test('that does not start fails with what it said', async () => {
    await expect(start({ env: { TZ_BUSINESS: 'nowhere' } })).rejects.toThrow(
      /exit status 2\)\n.*TZ_BUSINESS: no such zone/,
    );
    await expect(start({ env: { HANG: '' }, readyTimeoutMs: 300 })).rejects.toThrow(/not ready after 300 ms/);
  });

  test('can be run to its end', async () => {
    const { code, output } = await runSwitchboard({ entry: standIn, env: { TZ_BUSINESS: 'nowhere' } });
    expect({ code, output }).toEqual({ code: 2, output: 'TZ_BUSINESS: no such zone\n' });
  });

  test('leaves nothing behind when removed', async () => {
    const server = await start();
    await server.remove();
    expect(server.pid).toBeUndefined();
    expect(existsSync(server.folder)).toBe(false);
  });
});

test('signToken makes the example of jwt.io', () => {
  const claims = { sub: '1234567890', name: 'John Doe', iat: 1516239022 };
  expect(signToken('your-256-bit-secret', claims)).toBe(
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c',
  );
});
