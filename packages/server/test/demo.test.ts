/** What `npm start` with nothing set gives: a page with both sides, and tokens for it and for nobody else. */
import { request as httpRequest } from 'node:http';
import { chromium, type Browser, type Page, type Route } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { chromiumLaunch } from '../../../testing/chromium.ts';
import { describeWith } from '../../../testing/requires.ts';
import { startSwitchboard, type Switchboard } from '../../../testing/switchboard.ts';

let server: Switchboard;
beforeAll(async () => {
  server = await startSwitchboard({ env: { JWT_SECRET: undefined } });
});
afterAll(() => server.remove());

interface Tokens {
  readonly customers: { readonly userId: number; readonly nickname: string; readonly token: string }[];
  readonly admin: { readonly userId: number; readonly nickname: string; readonly token: string };
}

/** Headers that `fetch` would not let us set. */
function tokens(headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = httpRequest(`${server.url}/demo/tokens`, { headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asking.on('error', reject).end();
  });
}

test('says what to open', async () => {
  await expect.poll(() => server.output).toContain(`  open 打开   ${server.url}/\n`);
});

test('the page loads nothing from elsewhere, and no script may be written into it', async () => {
  const page = await fetch(`${server.url}/`);
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${server.port};`);
  expect(policy).not.toContain('unsafe');
  const files = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '');
  expect(files.sort()).toEqual(['/demo.css', '/demo.js', 'data:,']);
  for (const file of ['/demo.css', '/demo.js', '/demo-side.js', '/demo-words.js']) {
    const { status, headers } = await fetch(server.url + file);
    expect([status, headers.get('x-content-type-options')]).toEqual([200, 'nosniff']);
  }
  expect((await fetch(`${server.url}/demo/package.json`)).status).toBe(404);
});

test('the page gets tokens for its accounts, in its language', async () => {
  const { data } = JSON.parse((await tokens({ 'sec-fetch-site': 'same-origin', 'accept-language': 'en' })).text) as {
    data: Tokens;
  };
  expect(data.customers.map(({ nickname }) => nickname)).toEqual(['Ming', 'Rosa', 'Jack']);
  const ask = (token: string): Promise<Response> =>
    fetch(`${server.url}/api/admin/chat/sessions`, { headers: { authorization: `Bearer ${token}` } });
  expect((await ask(data.admin.token)).status).toBe(200);
  expect((await ask(data.customers[0]?.token ?? '')).status).toBe(403);
  expect((await tokens({ 'accept-language': 'zh-CN' })).text).toContain('小明');
});

test.for([
  [{ 'sec-fetch-site': 'cross-site' }],
  [{ 'sec-fetch-site': 'same-site' }],
  [{ 'sec-fetch-site': 'none' }],
  [{ origin: 'http://localhost:5173' }],
  [{ origin: 'null' }],
  // A name of somebody else's that was made to lead to this machine.
  [{ host: 'rebound.example:8787' }],
  [{ host: '127.0.0.1.example' }],
  [{ host: 'localhost.example:80' }],
  [{ 'x-forwarded-for': '203.0.113.9' }],
  [{ forwarded: 'for=203.0.113.9' }],
])('nobody else gets tokens: %j', async ([headers]) => {
  const { status, text } = await tokens(headers);
  expect(status).toBe(403);
  expect(text).not.toContain('eyJ');
});

test('with a key of its own a server has neither page nor tokens', async () => {
  const own = await startSwitchboard();
  onTestFinished(() => own.remove());
  expect(await (await fetch(`${own.url}/`)).json()).toMatchObject({ name: 'switchboard' });
  for (const path of ['/demo/tokens', '/demo.js']) expect((await fetch(own.url + path)).status).toBe(404);
  expect(own.output).not.toContain('demo');
});

describeWith('chromium', 'the demo page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch(chromiumLaunch());
  });
  afterAll(() => browser.close());

  async function open(locale: string, phone = false): Promise<Page> {
    const context = await browser.newContext({
      locale,
      viewport: phone ? { width: 390, height: 800 } : { width: 1360, height: 800 },
    });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (!message.text().includes('ERR_CONNECTION_REFUSED')) problems.push(message.text());
    });
    onTestFinished(async () => {
      await context.close();
      expect(problems).toEqual([]);
    });
    await page.goto(server.url);
    for (const side of ['customer', 'admin']) await page.waitForSelector(`#${side}-state.open`, { state: 'attached' });
    return page;
  }
  const say = async (page: Page, side: string, text: string): Promise<void> => {
    await page.fill(`#${side}-text`, text);
    await page.press(`#${side}-text`, 'Enter');
  };
  const bubble = (page: Page, side: string, text: string, mine = false): Promise<unknown> =>
    page.locator(`#${side}-log li${mine ? '.mine' : ':not(.mine)'} .bubble`, { hasText: text }).waitFor();

  test('carries a conversation both ways, through a restart too', async () => {
    const page = await open('en-US');
    const hard = '<img src=x onerror=alert(1)> &amp; 你好 👋';
    await say(page, 'customer', hard);
    await bubble(page, 'admin', hard);
    await say(page, 'admin', 'Hello Ming');
    await bubble(page, 'customer', 'Hello Ming');
    expect(await page.locator('#customer-log img, #admin-log img').count()).toBe(0);
    expect(await page.locator('#customer-strip').textContent()).toBe('Anna is with you');
    await page.locator('#customer-log .mine .meta', { hasText: /stored #\d/ }).waitFor();

    await server.restart();
    await say(page, 'customer', 'still there?');
    await bubble(page, 'admin', 'still there?');
    expect(await page.locator('#admin-log .bubble', { hasText: 'still there?' }).count()).toBe(1);

    await page.selectOption('#customer-name', '32');
    await say(page, 'customer', 'And I am Rosa');
    const row = page.locator('#sessions button', { hasText: 'Rosa' });
    await row.locator('.badge', { hasText: '1' }).waitFor();
    await row.click();
    await bubble(page, 'admin', 'And I am Rosa');
    await page.click('#actions button');
    await page.locator('#rate button').nth(4).click();
    await page.locator('#rate', { hasText: 'Thank you' }).waitFor();
    await page.reload();
    await page.locator('#sessions .status', { hasText: 'closed' }).waitFor();
  });

  test('speaks Chinese, and fits a telephone', async () => {
    const page = await open('zh-CN', true);
    await say(page, 'customer', '我是小明');
    await page.locator('#customer-log .mine .meta', { hasText: '已保存' }).last().waitFor();
    // That session is told late, when another customer is shown already.
    const told = new Promise<void>((resolve) => {
      const late = async (route: Route): Promise<void> => {
        const response = await route.fetch();
        await page.locator('#customer-log .bubble', { hasText: '在吗？' }).waitFor();
        await route.fulfill({ response });
        resolve();
      };
      void page.route('**/sessions/current', late, { times: 1 });
    });
    await page.reload();
    for (const side of ['customer', 'admin']) await page.waitForSelector(`#${side}-state.open`, { state: 'attached' });
    expect(await page.getAttribute('html', 'lang')).toBe('zh-CN');
    await page.selectOption('#customer-name', '33');
    await say(page, 'customer', '在吗？');
    await page.locator('#customer-strip', { hasText: '安娜正在为您服务' }).waitFor();
    await page.locator('#tab-unread', { hasText: '1' }).waitFor();
    await page.click('[data-show=admin]');
    await page.locator('#sessions button', { hasText: '阿杰' }).click();
    await say(page, 'admin', '在的');
    await bubble(page, 'admin', '在的', true);
    await page.click('[data-show=customer]');
    await bubble(page, 'customer', '在的');
    await told;
    await say(page, 'customer', '谢谢');
    await page.locator('#customer-log .mine', { hasText: '谢谢' }).locator('.meta', { hasText: '已保存' }).waitFor();
    expect(await page.locator('#customer-log .bubble').allTextContents()).toEqual(['在吗？', '在的', '谢谢']);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });

  test('shows what the server refuses, and who is off duty', async () => {
    const page = await open('en-US');
    await page.click('#shift');
    await page.locator('#admin-state', { hasText: 'off duty' }).waitFor();
    expect(await page.locator('#admin-text').isDisabled()).toBe(true);
    await page.evaluate("document.getElementById('customer-text').maxLength = 20000");
    await say(page, 'customer', 'x'.repeat(10_001));
    await page.locator('#customer-fault', { hasText: 'must have at most 10000 characters' }).waitFor();
    await page.locator('#customer-log .failed').waitFor();
  });
});
