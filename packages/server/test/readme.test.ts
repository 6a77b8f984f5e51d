/** What the READMEs show to type is typed here, as it stands there. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startSwitchboard, type Switchboard } from '../../../testing/switchboard.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
let server: Switchboard;
beforeAll(async () => {
  server = await startSwitchboard();
});
afterAll(() => server.remove());

/** The block of code that holds a text. */
function block(readme: string, text: string): string {
  const blocks = [...readme.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(([, code]) => code as string);
  const found = blocks.find((code) => code.includes(text));
  if (found === undefined) throw new Error(`no block with ${text}`);
  return found;
}

async function bash(script: string): Promise<string> {
  const env = { ...process.env, JWT_SECRET: server.jwtSecret };
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd: root, env });
  return stdout;
}

function connect(
  url: string,
): Promise<{ socket: WebSocket; frames: { type: string; data: Record<string, unknown> }[] }> {
  const socket = new WebSocket(url);
  const frames: { type: string; data: Record<string, unknown> }[] = [];
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString('utf8')) as never));
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ socket, frames }));
    socket.once('error', reject);
  });
}

test.for(['README.md', 'README.zh-CN.md'])(
  '%s: tokens, a message, its repeat, and the answers by REST',
  async (file) => {
    const readme = readFileSync(root + file, 'utf8');
    const tokens = block(readme, 'npx switchboard token');
    const [admin = '', user = ''] = (await bash(`${tokens}\necho "$ADMIN"; echo "$USER_TOKEN"`))
      .trim()
      .split('\n')
      .slice(-2);
    const wscat = block(readme, 'npx wscat').replaceAll('ws://127.0.0.1:8787', server.wsUrl);
    const [adminUrl = '', userUrl = ''] = [...wscat.matchAll(/"(ws:[^"]+)"/g)].map(([, url]) =>
      (url as string).replace('$ADMIN', admin).replace('$USER_TOKEN', user),
    );
    const [a, u] = [await connect(adminUrl), await connect(userUrl)];
    const line = block(readme, '"clientMessageId"').trim();
    u.socket.send(line);
    await expect.poll(() => u.frames.map((f) => f.type), { timeout: 10_000 }).toContain('message_ack');
    await expect.poll(() => a.frames.map((f) => f.type), { timeout: 10_000 }).toContain('new_user_message');
    u.socket.send(line);
    await expect.poll(() => u.frames.some((f) => f.data['duplicate'] === true), { timeout: 10_000 }).toBe(true);
    const sessionId = u.frames.find((f) => f.type === 'message_ack')?.data['sessionId'] as string;
    const curl = block(readme, 'Idempotency-Key')
      .replaceAll('http://127.0.0.1:8787', server.url)
      .replace('SESSION_ID', sessionId);
    // curl prints its answers one after the other.
    const answers = (await bash(`ADMIN=${admin}\n${curl.replaceAll('curl ', 'curl -s ')}`)).split('}{').length;
    expect(answers).toBe(3);
    await expect.poll(() => u.frames.map((f) => f.type), { timeout: 10_000 }).toContain('new_admin_message');
    a.socket.terminate();
    u.socket.terminate();
    // The other language's reader begins with a session of their own.
    await fetch(`${server.url}/admin/chat/sessions/${sessionId}/close`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}` },
    });
  },
);
