import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { chromiumLaunch } from '../../../testing/chromium.ts';
import { freePort } from '../../../testing/free-port.ts';
import { describeWith } from '../../../testing/requires.ts';
import { startTcpProxy } from '../../../testing/tcp-proxy.ts';
import type { TcpProxy } from '../../../testing/tcp-proxy.ts';
import { bundle } from '../bundle.mjs';
import { boot, type Chat, newId } from './support/chat.ts';

/** A page as a customer's site has it: a script, a box to write in, a list of what was said. */
const html = (script: string): string => `<!doctype html><meta charset="utf-8">
<form><input id="text"></form><ol id="messages"></ol><p id="state"></p>
${script}`;

const app = `
  const { url, token, account } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const client = Switchboard.createClient({ url, type: 'user', auth: () => token, ...(account && { account }) });
  const show = () => {
    const items = client.session().messages.map(({ content, status }) => {
      const item = document.createElement('li');
      item.textContent = content + ' ' + status;
      return item;
    });
    document.querySelector('#messages').replaceChildren(...items);
  };
  client.on('change', show);
  client.on('state', ({ state }) => (document.querySelector('#state').textContent = state));
  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    client.send({ content: document.querySelector('#text').value });
    document.querySelector('#text').value = '';
  };
  client.connect();
  window.client = client;
`;

interface Scene {
  /** Between the page and the chat; the page itself comes another way. */
  readonly line: TcpProxy;
  readonly context: BrowserContext;
  open(id: number, options?: { path?: string; account?: boolean }): Promise<Page>;
}

describeWith('chromium', 'the SDK in a page', () => {
  let browser: Browser;
  let pages: Server;
  let site = '';
  let chat: Chat;

  beforeAll(async () => {
    browser = await chromium.launch(chromiumLaunch());
    const [script, module] = [await bundle('global'), await bundle('min')];
    const answers: Record<string, [string, string]> = {
      '/': ['text/html', html(`<script src="/client.js"></script><script>${app}</script>`)],
      '/module': [
        'text/html',
        html(`<script type="module">import * as Switchboard from '/client.mjs'; ${app}</script>`),
      ],
      '/client.js': ['text/javascript', script.text],
      '/client.mjs': ['text/javascript', module.text],
    };
    pages = createServer((request, response) => {
      const [type, text] = answers[request.url ?? ''] ?? ['text/plain', ''];
      response.writeHead(text === '' ? 404 : 200, { 'Content-Type': type }).end(text);
    });
    pages.listen(await freePort(), '127.0.0.1');
    await once(pages, 'listening');
    site = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    chat = await boot({ env: { ALLOWED_ORIGINS: site } });
  });

  afterAll(async () => {
    await chat.server.remove();
    await browser.close();
    pages.closeAllConnections();
    pages.close();
  });

  async function set(house = chat): Promise<Scene> {
    const line = await startTcpProxy({ port: house.server.port });
    const context = await browser.newContext();
    onTestFinished(async () => {
      await context.close();
      line.close();
    });
    return {
      line,
      context,
      async open(id, { path = '/', account = true } = {}) {
        const page = await context.newPage();
        const settings = {
          url: `http://127.0.0.1:${line.port}`,
          token: house.userToken(id),
          ...(account && { account: id }),
        };
        await page.goto(`${site}${path}#${encodeURIComponent(JSON.stringify(settings))}`);
        return page;
      },
    };
  }

  const write = async (page: Page, ...texts: string[]): Promise<void> => {
    for (const text of texts) {
      await page.fill('#text', text);
      await page.press('#text', 'Enter');
    }
  };
  const shown = (page: Page): Promise<string[]> => page.locator('#messages li').allTextContents();
  const state = (page: Page): Promise<string | null> => page.textContent('#state');
  const stored = async (id: number, house = chat): Promise<string[]> => {
    const { session } = await house.rest('GET', '/api/chat/sessions/current', undefined, house.userToken(id));
    const history = await house.history((session as { sessionId: string }).sessionId);
    return history.map(({ content }) => content);
  };
  const cut = (scene: Scene): void => {
    scene.line.refuse();
    scene.line.resetAll();
  };
  const within = { timeout: 20_000 };

  test('typed offline, the page reloaded, back online: sent once, in order', async () => {
    const scene = await set();
    const id = newId();
    const page = await scene.open(id);
    await write(page, 'online');
    await expect.poll(() => shown(page), within).toEqual(['online sent']);
    cut(scene);
    await expect.poll(() => state(page), within).not.toBe('online');
    await write(page, 'one', 'two', 'three');
    expect(await shown(page)).toEqual(['online sent', 'one sending', 'two sending', 'three sending']);
    await page.reload();
    await expect.poll(() => shown(page), within).toEqual(['one sending', 'two sending', 'three sending']);
    await write(page, 'four');
    await page.reload();
    await scene.line.accept();
    await expect
      .poll(() => shown(page), within)
      .toEqual(['online', 'one', 'two', 'three', 'four'].map((text) => `${text} sent`));
    expect(await stored(id)).toEqual(['online', 'one', 'two', 'three', 'four']);
    expect(await page.evaluate('Object.values(localStorage)')).toEqual([expect.stringContaining('"entries":[]')]);
  });

  test('typed offline, the server killed, the page reloaded, the server back: sent once, in order', async () => {
    // A server of its own, as it is to be killed.
    const mortal = await boot({ env: { ALLOWED_ORIGINS: site } });
    onTestFinished(() => mortal.server.remove());
    const scene = await set(mortal);
    const id = newId();
    const page = await scene.open(id);
    await write(page, 'online');
    await expect.poll(() => shown(page), within).toEqual(['online sent']);
    // Some of these are on their way when it dies, with or without an ack.
    await write(page, 'one', 'two', 'three');
    await mortal.server.kill();
    await expect.poll(() => state(page), within).not.toBe('online');
    await write(page, 'four');
    await page.reload();
    await expect.poll(async () => (await shown(page)).at(-1), within).toBe('four sending');
    await write(page, 'five');
    await mortal.server.start();
    const texts = ['online', 'one', 'two', 'three', 'four', 'five'];
    await expect.poll(async () => (await shown(page)).at(-1), { timeout: 40_000 }).toBe('five sent');
    await expect.poll(() => stored(id, mortal), within).toEqual(texts);
    const seen = texts.map((text) => `${text} sent`);
    // What was acknowledged before the reload is seen again with whatever comes next of that session.
    expect(seen.slice(-(await shown(page)).length)).toEqual(await shown(page));
    expect(await page.evaluate('Object.values(localStorage)')).toEqual([expect.stringContaining('"entries":[]')]);
  });

  test('typed before there ever was a connection, the page closed: sent by the next one', async () => {
    const scene = await set();
    const id = newId();
    cut(scene);
    const page = await scene.open(id);
    await write(page, 'first', 'second');
    await page.close();
    await scene.line.accept();
    const next = await scene.open(id, { path: '/module' });
    await expect.poll(() => shown(next), within).toEqual(['first sent', 'second sent']);
    expect(await stored(id)).toEqual(['first', 'second']);
  });

  test('without a given account, kept from the first connection on', async () => {
    const scene = await set();
    const id = newId();
    const page = await scene.open(id, { account: false });
    await write(page, 'online');
    await expect.poll(() => shown(page), within).toEqual(['online sent']);
    cut(scene);
    await write(page, 'offline');
    await page.reload();
    await scene.line.accept();
    await expect.poll(() => shown(page), within).toEqual(['online sent', 'offline sent']);
    expect(await stored(id)).toEqual(['online', 'offline']);
  });

  test('the browser goes offline and comes back: the page knows at once', async () => {
    const scene = await set();
    const id = newId();
    const page = await scene.open(id);
    await expect.poll(() => state(page), within).toBe('online');
    await scene.context.setOffline(true);
    cut(scene);
    await expect.poll(() => state(page), within).toBe('waiting');
    await write(page, 'one', 'two');
    await scene.line.accept();
    const since = performance.now();
    await scene.context.setOffline(false);
    await expect.poll(() => shown(page), within).toEqual(['one sent', 'two sent']);
    // Without the browser's news it would be half a minute.
    expect(performance.now() - since).toBeLessThan(20_000);
    expect(await stored(id)).toEqual(['one', 'two']);
  });

  test.for([{ locks: true }, { locks: false }])(
    'two tabs write while offline, one dies: sent once each (locks: $locks)',
    async ({ locks }) => {
      const scene = await set();
      const id = newId();
      // As on a page that was not served securely.
      if (!locks) await scene.context.addInitScript("Object.defineProperty(navigator, 'locks', { value: undefined })");
      const [one, two] = [await scene.open(id), await scene.open(id)];
      await expect.poll(async () => [await state(one), await state(two)], within).toEqual(['online', 'online']);
      cut(scene);
      await write(one, 'a1', 'a2');
      await write(two, 'b1', 'b2');
      await one.close({ runBeforeUnload: false });
      await scene.line.accept();
      await expect.poll(() => shown(two), { timeout: 40_000 }).toHaveLength(4);
      await expect.poll(async () => (await shown(two)).every((text) => text.endsWith(' sent')), within).toBe(true);
      const all = await stored(id);
      expect(all.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2']);
      expect([all.indexOf('a1') < all.indexOf('a2'), all.indexOf('b1') < all.indexOf('b2')]).toEqual([true, true]);
    },
  );

  test('a page that is killed loses nothing that was typed', async () => {
    const scene = await set();
    const id = newId();
    const page = await scene.open(id);
    await expect.poll(() => state(page), within).toBe('online');
    cut(scene);
    await write(page, 'last words');
    await page.goto('chrome://crash').catch(() => undefined);
    await scene.line.accept();
    const next = await scene.open(id);
    await expect.poll(() => shown(next), within).toEqual(['last words sent']);
    expect(await stored(id)).toEqual(['last words']);
  });
});
