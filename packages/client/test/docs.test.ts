/** Every example of docs/client.md runs, against a real server. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { chromiumLaunch } from '../../../testing/chromium.ts';
import { freePort } from '../../../testing/free-port.ts';
import { describeWith } from '../../../testing/requires.ts';
import { freshFolder, tie } from '../../../testing/run-folder.ts';
import { bundle } from '../bundle.mjs';
import { boot, type Chat, newId } from './support/chat.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const doc = readFileSync(here('../../../docs/client.md'), 'utf8');
const examples = new Map(
  [...doc.matchAll(/<!-- example: (\w+) -->\n```(?:js|html)\n([^]*?)\n```/g)].map(([, name, text]) => [
    name as string,
    text as string,
  ]),
);
const run = new Set<string>();

let chat: Chat;
/** The host application: gives tokens, and the page of the first example. */
let shop: Server;
let shopUrl = '';
/** Whose tokens it gives: a user of their own for each example. */
let userId = 0;
const adminId = newId();
let page = '';

beforeAll(async () => {
  const script = await bundle('global');
  shop = createServer((request, response) => {
    const answers: Record<string, [string, string]> = {
      '/chat-token': ['text/plain', chat.userToken(userId)],
      '/admin-token': ['text/plain', chat.adminToken(adminId)],
      '/': ['text/html', page],
      '/switchboard-client.global.js': ['text/javascript', script.text],
    };
    const [type, text] = answers[request.url ?? ''] ?? ['text/plain', ''];
    response.writeHead(text === '' ? 404 : 200, { 'Content-Type': type }).end(text);
  });
  shop.listen(await freePort(), '127.0.0.1');
  await once(shop, 'listening');
  shopUrl = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
  chat = await boot({ env: { ALLOWED_ORIGINS: shopUrl } });
});

beforeEach(() => {
  userId = newId();
});

afterAll(async () => {
  await chat.server.remove();
  shop.closeAllConnections();
  shop.close();
});

/** An example as it stands, but for the addresses. */
function example(name: string): string {
  run.add(name);
  const text = examples.get(name);
  if (text === undefined) throw new Error(`docs/client.md has no example ${name}`);
  return text
    .replaceAll('https://chat.example.com', chat.server.url)
    .replaceAll('https://shop.example.com', shopUrl)
    .replace("'@switchboard/client'", JSON.stringify(pathToFileURL(here('../dist/index.js')).href))
    .replace("'ws'", JSON.stringify(pathToFileURL(here('../../../node_modules/ws/wrapper.mjs')).href));
}

interface Program {
  readonly child: ChildProcess;
  readonly lines: () => string[];
  readonly end: Promise<number | null>;
}

function start(name: string, folder = freshFolder('example'), ...args: string[]): Program {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, example(name));
  const child = spawn(process.execPath, [file, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  tie(child);
  onTestFinished(() => void child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const end = once(child, 'close').then(([code]) => code as number | null);
  return { child, lines: () => output.split('\n').slice(0, -1), end };
}

async function linesOf(name: string, ...args: string[]): Promise<string[]> {
  const program = start(name, freshFolder('example'), ...args);
  const code = await program.end;
  expect([code, program.lines()]).toEqual([0, program.lines()]);
  return program.lines();
}

describe('the examples of docs/client.md', () => {
  test('send', async () => {
    expect(await linesOf('send')).toEqual(['stored as number 1 of its session']);
  });

  test('send, with the WebSocket that Node.js has from 22 on', async () => {
    const folder = freshFolder('example');
    const file = join(folder, 'send.mjs');
    const text = example('send')
      .replace(/^import \{ WebSocket \}.*\n/m, '')
      .replace(/^ {2}WebSocket,.*\n/m, '');
    expect(text).not.toContain('WebSocket');
    writeFileSync(file, text);
    // Node.js 20 has it too, behind a flag.
    const flags = Number(process.versions.node.split('.')[0]) < 22 ? ['--experimental-websocket', '--no-warnings'] : [];
    const child = spawn(process.execPath, [...flags, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    tie(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
    expect([(await once(child, 'close'))[0], output]).toEqual([0, 'stored as number 1 of its session\n']);
  });

  test('refused', async () => {
    expect(await linesOf('refused')).toEqual([
      'failed: INVALID_PARAMETER',
      'refused: INVALID_PARAMETER',
      'failed INVALID_PARAMETER',
      '0',
    ]);
  });

  test('events', async () => {
    expect(await linesOf('events')).toEqual(['connecting', 'greeting', 'online', 'me: Hello!']);
  });

  test('storage', async () => {
    const folder = freshFolder('example');
    const write = start('storage', folder, 'write');
    expect([await write.end, write.lines()]).toEqual([0, []]);
    const send = start('storage', folder);
    expect([await send.end, send.lines()]).toEqual([0, ['sent: 1']]);
  });

  test('open', async () => {
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'one' });
    await user.client.send({ content: 'two' });
    expect(await linesOf('open', sessionId)).toEqual(['1 user: one', '2 user: two', 'SESSION_NOT_FOUND']);
  });

  test('admin', async () => {
    const admin = start('admin');
    const user = await chat.user().online();
    const { sessionId } = await user.client.send({ content: 'is anybody there?' });
    await user.until('the admin', () => user.client.session(sessionId).adminId === adminId);
    await user.client.send({ content: 'are you a machine?' });
    await user.until('the answer', () => user.texts().includes('You said: are you a machine?'));
    await expect.poll(() => admin.lines().join('\n')).toMatch(/^session_\w+ is active, at \d+$/m);
    await expect.poll(() => admin.lines().join('\n')).toMatch(/^answered; \d+ open$/m);
    await user.until('read', () => user.client.session(sessionId).messages[0]?.status === 'read');
  });
});

describeWith('chromium', 'the page of docs/client.md', () => {
  test('page', async () => {
    page = example('page');
    const browser = await chromium.launch(chromiumLaunch());
    onTestFinished(() => browser.close());
    const tab = await browser.newPage();
    await tab.goto(shopUrl);
    await tab.fill('#text', 'from the page');
    await tab.press('#text', 'Enter');
    await expect
      .poll(() => tab.locator('#messages li.sent', { hasText: 'from the page' }).count(), { timeout: 20_000 })
      .toBe(1);
  });
});

test('the files for pages are there as soon as the clone is set up, and as the sources are', async () => {
  const kinds = ['global', 'min'] as const;
  const fileOf = (kind: string): string => here(`../dist/switchboard-client.${kind}.js`);
  for (const kind of kinds) rmSync(fileOf(kind), { force: true });
  const child = spawn(process.execPath, [here('../../../scripts/setup.mjs')], { stdio: 'ignore' });
  expect((await once(child, 'close'))[0]).toBe(0);
  for (const kind of kinds) expect(readFileSync(fileOf(kind), 'utf8')).toBe((await bundle(kind)).text);
});

test('there is no example that nothing runs', () => {
  expect(doc.match(/```(js|html)/g)?.length).toBe(examples.size);
  const chromiumRan = run.has('page') ? [] : ['page'];
  expect([...run, ...chromiumRan].toSorted()).toEqual([...examples.keys()].toSorted());
});
