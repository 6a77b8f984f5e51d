import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ChatError, conflict, errorBody, errorKinds, invalid, type Language, preferredLanguage } from './errors.ts';
import { closeCodes } from './frames.ts';

const docs = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

describe('docs/errors.md', () => {
  test('has every error code as the code has it', () => {
    const rows = Object.entries(errorKinds).map(([code, { status, retryable, text }]) => [
      `\`${code}\``,
      status,
      retryable ? 'yes 是' : 'no 否',
      text.en,
      text.zh,
    ]);
    expect(docs).toContain(table(['code 错误码', 'HTTP', 'retryable 可重试', 'meaning', '含义'], rows));
  });

  test('has every close code as the code has it', () => {
    const rows = Object.values(closeCodes).map(({ code, reason }) => [code, reason]);
    expect(docs).toContain(table(['close code', 'reason'], rows));
  });

  test('and docs/protocol.md have the same codes, statuses and reasons', () => {
    const rules = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
    for (const [code, { status, retryable }] of Object.entries(errorKinds)) {
      expect(rules).toContain(`| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} |`);
    }
    for (const { code, reason } of Object.values(closeCodes)) expect(rules).toContain(`| ${code} | ${reason} |`);
  });
});

describe('error codes', () => {
  test('fit HTTP', () => {
    for (const { status, retryable } of Object.values(errorKinds)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
      // What the caller did wrong stays wrong; what we cannot do now may go later.
      expect(retryable).toBe(status === 429 || status >= 500);
    }
  });

  test('close reasons fit a close frame, and say whether to come back', () => {
    const codes = Object.values(closeCodes).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { code, reason } of Object.values(closeCodes)) {
      expect([1009, 1011, 1012].includes(code) || (code >= 4000 && code <= 4999)).toBe(true);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
      expect(reason).toMatch(/come|coming back/);
    }
  });
});

describe('what a caller is told', () => {
  test.for<Language>(['en', 'zh'])('in %s, of every code', (language) => {
    for (const code of Object.keys(errorKinds) as (keyof typeof errorKinds)[]) {
      const { retryable, text } = errorKinds[code];
      expect(errorBody(new ChatError(code), language)).toEqual({ code, message: text[language], retryable });
    }
  });

  test('the field at fault and how long to wait', () => {
    const wrong = invalid('data.content', 'is required', '不能缺少');
    expect(errorBody(wrong, 'en')).toEqual({
      code: 'INVALID_PARAMETER',
      message: 'A parameter is missing or wrong: data.content is required',
      retryable: false,
      details: { field: 'data.content', fault: 'is required' },
    });
    expect(errorBody(wrong, 'zh')).toEqual({
      code: 'INVALID_PARAMETER',
      message: '参数缺失或有误：data.content 不能缺少',
      retryable: false,
      details: { field: 'data.content', fault: '不能缺少' },
    });
    expect(errorBody(new ChatError('RATE_LIMITED', { retryAfterMs: 0 }), 'en').retryAfterMs).toBe(0);
    expect(conflict('status', 'is closed', '已关闭')).toMatchObject({
      code: 'CONFLICT',
      message: 'CONFLICT: status is closed',
    });
  });

  test('not a word of what is none of their business', () => {
    const secrets = [
      new Error('SELECT password FROM users'),
      new TypeError('at /srv/app/main.js:1'),
      'a text',
      null,
      undefined,
      42,
      { code: 'UNAUTHORIZED', message: 'forged' },
      Object.assign(new Error('x'), { code: 'FORBIDDEN', fault: { field: 'a', fault: { en: 'b', zh: 'c' } } }),
    ];
    for (const thrown of secrets) {
      expect(errorBody(thrown, 'en')).toEqual({
        code: 'INTERNAL',
        message: errorKinds.INTERNAL.text.en,
        retryable: true,
      });
    }
    const cause = new Error('SELECT password FROM users');
    expect(JSON.stringify(errorBody(new ChatError('UNAVAILABLE', { cause }), 'en'))).not.toContain('password');
  });
});

test.for<[header: string | undefined, language: Language]>([
  [undefined, 'zh'],
  ['', 'zh'],
  ['*', 'zh'],
  ['en', 'en'],
  ['EN', 'en'],
  ['en-US', 'en'],
  ['en-US,en;q=0.9', 'en'],
  ['zh', 'zh'],
  ['zh-CN,zh;q=0.9,en;q=0.8', 'zh'],
  ['zh-Hant-TW', 'zh'],
  ['en;q=0.5,zh;q=0.4', 'en'],
  ['en;q=0.4,zh;q=0.5', 'zh'],
  ['en;q=0.4, zh ; q=0.5', 'zh'],
  ['en,zh', 'en'],
  ['zh,en', 'zh'],
  ['en;q=0', 'zh'],
  ['zh;q=0,en;q=0.1', 'en'],
  ['zh;q=0', 'zh'],
  ['fr', 'zh'],
  ['fr,en;q=0.1', 'en'],
  ['fr,*;q=0.1', 'zh'],
  ['english', 'zh'],
  ['enm', 'zh'],
  ['zhx,en', 'en'],
  ['en;q=abc', 'zh'],
  ['en;q=', 'zh'],
  ['en;Q=1', 'en'],
  ['en;level=1;q=0.3,zh;q=0.2', 'en'],
  [',,;;q=1,en', 'en'],
  ['en;q=1e999', 'en'],
  ['en\u0000', 'en'],
  [`${'x,'.repeat(10_000)}en`, 'en'],
])('Accept-Language %j: %s', ([header, language]) => {
  expect(preferredLanguage(header)).toBe(language);
});
