/**
 * The packages as people get them: packed, installed from the tarballs into an empty folder, and spoken to inside each of
 * the examples. Needs the npm registry, or npm's cache.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { freshFolder } from '../../../testing/run-folder.ts';
import { ServerProcess } from '../../../testing/server-process.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
const examples = readdirSync(join(root, 'examples'));
const OFFLINE =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E40[34])\b/;

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

describe.each(examples)('the example %s', (name) => {
  const folder = join(root, 'examples', name);
  const source = readdirSync(folder).find((file) => file.startsWith('main.')) as string;
  const text = readFileSync(join(folder, source), 'utf8');

  test('is short, and needs nothing but what it says, in versions that do not move', () => {
    expect(text.split('\n').length - 1).toBeLessThan(40);
    const { dependencies } = manifestOf(folder);
    for (const [, imported = ''] of text.matchAll(/(?:from|^import) '([^.'][^']*)'/gm)) {
      if (!imported.startsWith('node:')) expect(Object.keys(dependencies)).toContain(imported);
    }
    for (const version of Object.values(dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('installed from the tarballs', () => {
  const folder = freshFolder('installed');
  let missing: string | undefined;

  beforeAll(async () => {
    const tarballs = freshFolder('tarballs');
    const packages = ['protocol', 'server'].map((name) => join(root, 'packages', name));
    for (const place of packages) await npm(place, ['pack', '--pack-destination', tarballs]);
    // One installation serves all examples; that each names what it imports is checked above.
    const dependencies = Object.assign(
      {},
      ...examples.map((name) => manifestOf(join(root, 'examples', name)).dependencies),
    );
    for (const file of readdirSync(tarballs)) {
      const name = /^switchboard-([a-z]+)-/.exec(file)?.[1];
      dependencies[`@switchboard/${name}`] = `file:${join(tarballs, file)}`;
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
    try {
      await npm(folder, [
        'install',
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--no-package-lock',
      ]);
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      if (!OFFLINE.test(stderr) || process.env['REQUIRE_SERVICES'] === '1') throw error;
      missing = `no npm registry in reach (${OFFLINE.exec(stderr)?.[0]})`;
    }
    for (const name of examples) cpSync(join(root, 'examples', name), join(folder, name), { recursive: true });
  }, 120_000);

  test.for(examples)(
    '%s: routes and WebSockets of both sides answer, and it ends by itself',
    async (name, { skip }) => {
      if (missing) skip(missing);
      const host = new Example(join(folder, name), folder);
      onTestFinished(async () => void (await host.kill()));
      await host.start();

      expect(await (await fetch(`${host.url}/hello`)).text()).toContain('hello from the host');
      expect((await host.sessions('token-of-anna')).status).toBe(200);
      expect((await host.sessions('nobody')).status).toBe(401);

      const live = await host.connect('/live');
      live.send(name === 'nestjs' ? JSON.stringify({ event: 'say', data: 'x' }) : 'x');
      expect(await heard(live)).toContain('you said x');
      const admin = await host.connect('/chat?token=token-of-anna&type=admin&role=admin');
      const user = await host.connect('/chat?token=token-of-li-lei');
      const atAdmin = heard(admin);
      user.send(JSON.stringify({ type: 'send_message', data: { content: '你好' } }));
      const ack = JSON.parse(await heard(user)) as { type: string; data: { sessionId: string } };
      expect(ack.type).toBe('message_ack');
      expect(JSON.parse(await atAdmin)).toMatchObject({
        type: 'new_user_message',
        data: { userInfo: { nickname: '李雷' } },
      });
      const atUser = heard(user);
      const reply = await fetch(`${host.url}/api/admin/chat/sessions/${ack.data.sessionId}/messages`, {
        method: 'POST',
        headers: { authorization: 'Bearer token-of-anna', 'content-type': 'application/json' },
        body: JSON.stringify({ content: '您好' }),
      });
      expect(reply.status).toBe(200);
      expect(await atUser).toMatch(/new_admin_message|session_status_changed/);

      const closed = new Promise((resolve) => user.once('close', resolve));
      // All its sockets are still open: nobody but the host ends it, and nothing of ours keeps it.
      expect(await host.terminate(5_000)).toEqual({ code: 0, signal: null });
      expect(await closed).toBe(1012);
    },
  );

  test('what is packed is what is needed', async ({ skip }) => {
    if (missing) skip(missing);
    for (const name of ['protocol', 'server']) {
      const files = readdirSync(join(folder, 'node_modules/@switchboard', name), { recursive: true, encoding: 'utf8' });
      const strange = files.filter(
        (file) =>
          /\.(test|map|ts(?<!d\.ts)|tsbuildinfo)\b|(^|\/)(src|test)(\/|$)/.test(file) && !file.endsWith('.d.ts'),
      );
      expect(strange).toEqual([]);
      for (const file of ['README.md', 'LICENSE', 'package.json']) expect(files).toContain(file);
      if (name === 'server') expect(files).toContain(join('dist', 'main-licenses.txt'));
    }
    const { stdout } = await execute(join(folder, 'node_modules/.bin/switchboard'), ['--version'], { cwd: folder });
    expect(stdout.trim()).toBe('0.1.0');
  });

  test('types resolve, and a program that still says require gets the package too', async ({ skip }) => {
    if (missing) skip(missing);
    const typed = `
      import { createServer } from 'node:http';
      import mysql from 'mysql2';
      import { createSwitchboard, type SwitchboardEvents } from '@switchboard/server';
      import type { ServerFrame } from '@switchboard/protocol';
      const switchboard = await createSwitchboard({ database: mysql.createPool('x'), JWT_SECRET: process.env['X'] });
      const score = ({ score }: SwitchboardEvents['rated']): number => score;
      const off: () => void = switchboard.on('rated', (event) => console.log(score(event)));
      switchboard.attach(createServer(switchboard.handler));
      const name = (frame: ServerFrame): string => (frame.type === 'message_ack' ? frame.data.messageId : frame.type);
      const { seq } = await switchboard.as({ side: 'user', userId: 31 }).send({ content: 'x' });
      console.log(off, name, seq.toFixed());
      // @ts-expect-error no such setting
      await createSwitchboard({ DATABSE_URL: 'x' });
      // @ts-expect-error no such event
      switchboard.on('other', () => undefined);
    `;
    writeFileSync(join(folder, 'typed.mts'), typed);
    writeFileSync(
      join(folder, 'typed.cts'),
      `import { createSwitchboard } from '@switchboard/server'; export const made = createSwitchboard({});`,
    );
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--types', 'node'];
    const args = [compiler, ...strict, '--module', 'nodenext', 'typed.mts', 'typed.cts'];
    await execute(process.execPath, args, { cwd: folder }).catch((error: unknown) =>
      expect.fail(String((error as { stdout?: string }).stdout)),
    );

    const script = `
      const { createSwitchboard } = require('@switchboard/server');
      createSwitchboard({ authenticate: () => null, database: 'sqlite::memory:' }).then((made) => made.close());
    `;
    writeFileSync(join(folder, 'required.cjs'), script);
    expect(await execute(process.execPath, ['required.cjs'], { cwd: folder })).toMatchObject({ stdout: '' });
  });
});

function npm(cwd: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  // What `npm test` tells its scripts is about this repository, not about the folder in question.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|config_local_prefix)/.test(name),
  );
  const own = process.env['npm_execpath'];
  const [command, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  return execute(command, [...first, ...args], { cwd, env: Object.fromEntries(inherited), timeout: 110_000 });
}

/** A next text that a socket hears. */
function heard(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('nothing heard')), 10_000);
    socket.once('message', (data) => {
      clearTimeout(late);
      resolve((data as Buffer).toString());
    });
  });
}

class Example extends ServerProcess {
  constructor(folder: string, installed: string) {
    const [program = '', file = ''] = manifestOf(folder).scripts['start']?.split(' ') ?? [];
    const bin = join(installed, 'node_modules/.bin', program);
    super({
      name: folder,
      command: existsSync(bin) ? bin : process.execPath,
      args: [file],
      cwd: folder,
      env: { PATH: process.env['PATH'], PORT: '0' },
      ready: (stdout) => /:\d{4,5}\b/.test(stdout),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${/:(\d{4,5})\b/.exec(this.stdout)?.[1]}`;
  }

  sessions(token: string): Promise<Response> {
    return fetch(`${this.url}/api/admin/chat/sessions`, { headers: { authorization: `Bearer ${token}` } });
  }

  connect(path: string): Promise<WebSocket> {
    const socket = new WebSocket(this.url.replace('http', 'ws') + path);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.once('error', reject);
    });
  }
}
