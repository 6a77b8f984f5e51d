import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { clientFrames, serverFrames } from '@switchboard/protocol';
import { bundle, inner } from '../bundle.mjs';

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

test('what gets a short name in the bundles is known to nobody outside', () => {
  const known = new Set<string>();
  const collect = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return;
    for (const [key, part] of Object.entries(schema)) {
      if (key === 'properties') for (const name of Object.keys(part as object)) known.add(name);
      collect(part);
    }
  };
  collect({ clientFrames, serverFrames });
  for (const file of ['api', 'host', 'inbox', 'session-view', 'shelf', 'outbox']) {
    const text = readFileSync(new URL(`./${file}.ts`, import.meta.url), 'utf8');
    const open = /^(?:export )?interface (?!Writable|Outbox|Lane|\w+Parts|Shelf)\w+ (?:extends .*)?\{\n([^]*?)^\}/gm;
    for (const [, body = ''] of text.matchAll(open))
      for (const [, name = ''] of body.matchAll(/^ {2}(?:readonly )?(\w+)[?:(]/gm)) known.add(name);
  }
  expect(known.size).toBeGreaterThan(80);
  expect(inner.filter((name) => known.has(name))).toEqual([]);
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
