import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { bundle } from '../bundle.mjs';

/** What the SDK may weigh on the wire. */
const MOST_BYTES = 8 * 1024;

describe.for(['global', 'min'] as const)('the bundle %s', async (kind) => {
  const { text, gzipped, sources } = await bundle(kind);

  test('weighs at most 8 KiB gzipped', () => {
    expect(gzipped).toBeLessThanOrEqual(MOST_BYTES);
  });

  test('is made of the SDK alone: no schema library, nothing of Node', () => {
    expect(sources.filter((file) => !/packages\/client\/src\/[a-z-]+\.ts$/.test(file.replaceAll('\\', '/')))).toEqual(
      [],
    );
    expect(text).not.toMatch(/typebox|\bimport\b|\brequire\b|node:|process\./i);
  });
});

test('the script sets one global, and makes clients with what a browser has and nothing more', async () => {
  const { text } = await bundle('global');
  const opened: string[] = [];
  class Socket {
    constructor(url: string) {
      opened.push(url);
    }
    close(): void {}
  }
  const page = { URL, TextEncoder, crypto, performance, setTimeout, clearTimeout, WebSocket: Socket };
  const context = createContext({ ...page });
  runInContext(text, context);
  expect(Object.keys(context).filter((name) => !(name in page))).toEqual(['Switchboard']);
  expect(runInContext('Object.keys(Switchboard).sort().join()', context)).toBe('SwitchboardError,createClient');
  const script = `
    const client = Switchboard.createClient({ url: 'https://chat.example.com', type: 'user', auth: () => 'T' });
    client.connect();
    client.send({ content: 'hello' });
  `;
  runInContext(script, context);
  await Promise.resolve();
  expect(opened).toEqual(['wss://chat.example.com/chat?token=T&type=user']);
  expect(runInContext('client.session().messages[0].content', context)).toBe('hello');
  runInContext('client.close()', context);
});
