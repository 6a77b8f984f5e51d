import Type, { type TSchema } from 'typebox';
import { describe, expect, test } from 'vitest';
import { ChatError } from './errors.ts';
import { checker, checkMessageTexts, checkText, parseJson } from './faults.ts';
import { limits } from './limits.ts';

/** The fault that `work` throws, as [field, en, zh]; null when it throws none. */
function faultOf(work: () => void): readonly [field: string, en: string, zh: string] | null {
  try {
    work();
    return null;
  } catch (error) {
    if (!(error instanceof ChatError) || !error.fault) throw error;
    expect(error.code).toBe('INVALID_PARAMETER');
    return [error.fault.field, error.fault.fault.en, error.fault.fault.zh];
  }
}

describe('what a checker says, for every kind of fault', () => {
  const text = Type.String({ minLength: 2, maxLength: 3 });
  const closed = Type.Object({ a: Type.Optional(Type.Integer()) }, { additionalProperties: false });

  test.for<[keyword: string, schema: TSchema, value: unknown, field: string, en: string, zh: string]>([
    ['required', Type.Object({ a: Type.Integer() }), {}, 'a', 'is required', '不能缺少'],
    [
      'required, deep',
      Type.Object({ a: Type.Array(Type.Object({ b: Type.Integer() })) }),
      { a: [{ b: 1 }, {}] },
      'a.1.b',
      'is required',
      '不能缺少',
    ],
    [
      'required, two of them',
      Type.Object({ a: Type.Integer(), b: Type.Integer() }),
      {},
      'a',
      'is required',
      '不能缺少',
    ],
    ['type', Type.Object({ a: Type.Integer() }), { a: 'x' }, 'a', 'must be of type integer', '类型必须是 integer'],
    ['type of a text', Type.Object({ a: Type.String() }), { a: 1 }, 'a', 'must be of type string', '类型必须是 string'],
    ['type of the whole', Type.Object({}), [], 'body', 'must be of type object', '类型必须是 object'],
    ['type of a fraction', Type.Integer(), 1.5, 'body', 'must be of type integer', '类型必须是 integer'],
    ['minimum', Type.Object({ a: Type.Integer({ minimum: 1 }) }), { a: 0 }, 'a', 'must be at least 1', '不能小于 1'],
    ['maximum', Type.Object({ a: Type.Integer({ maximum: 9 }) }), { a: 10 }, 'a', 'must be at most 9', '不能大于 9'],
    ['minLength', Type.Object({ a: text }), { a: 'x' }, 'a', 'must have at least 2 characters', '不能少于 2 个字符'],
    ['maxLength', Type.Object({ a: text }), { a: 'xxxx' }, 'a', 'must have at most 3 characters', '不能超过 3 个字符'],
    [
      'maxLength in code points',
      Type.Object({ a: text }),
      { a: '😀😀😀😀' },
      'a',
      'must have at most 3 characters',
      '不能超过 3 个字符',
    ],
    [
      'minItems',
      Type.Object({ a: Type.Array(Type.Integer(), { minItems: 1 }) }),
      { a: [] },
      'a',
      'must have at least 1 entries',
      '不能少于 1 项',
    ],
    [
      'maxItems',
      Type.Object({ a: Type.Array(Type.Integer(), { maxItems: 1 }) }),
      { a: [1, 2] },
      'a',
      'must have at most 1 entries',
      '不能超过 1 项',
    ],
    [
      'pattern',
      Type.Object({ a: Type.String({ pattern: '^x+$' }) }),
      { a: 'y' },
      'a',
      'must match ^x+$',
      '必须符合 ^x+$',
    ],
    ['additionalProperties', closed, { b: 1 }, 'b', 'has a field that is not known', '含有未知字段'],
    ['const', Type.Object({ a: Type.Literal('x') }), { a: 'y' }, 'a', 'must be x', '必须是 x'],
    [
      'anyOf constants',
      Type.Object({ a: Type.Union([Type.Literal('x'), Type.Literal('y')]) }),
      { a: 'z' },
      'a',
      'must be one of: x, y',
      '必须是其中之一：x、y',
    ],
    [
      'anyOf types',
      Type.Object({ a: Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Integer()]) }),
      { a: {} },
      'a',
      'must be one of: string (1–64), integer',
      '必须是其中之一：string (1–64)、integer',
    ],
    [
      'anyOf ranges',
      Type.Object({ a: Type.Union([Type.Integer({ minimum: 1, maximum: 5 }), Type.Null()]) }),
      { a: 9 },
      'a',
      'must be one of: integer (1–5), null',
      '必须是其中之一：integer (1–5)、null',
    ],
    [
      'anyOf patterns',
      Type.Object({ a: Type.Union([Type.String({ pattern: '^x$' }), Type.Null()]) }),
      { a: 'y' },
      'a',
      'must be one of: string ^x$, null',
      '必须是其中之一：string ^x$、null',
    ],
    [
      'a keyword that has no words of its own',
      Type.Object({ a: Type.Integer({ multipleOf: 2 }) }),
      { a: 3 },
      'a',
      'is wrong',
      '有误',
    ],
  ])('%s', ([, schema, value, field, en, zh]) => {
    const check = checker(schema);
    expect(faultOf(() => check(value))).toEqual([field, en, zh]);
    const below = field === 'body' ? 'query' : `query.${field}`;
    expect(faultOf(() => check(value, 'query'))).toEqual([below, en, zh]);
  });

  test('nothing, of what fits', () => {
    const check = checker(closed);
    for (const value of [{}, { a: 1 }]) expect(faultOf(() => check(value))).toBeNull();
    expect(faultOf(() => checker(text)('😀😀😀'))).toBeNull();
  });
});

describe('JSON from outside', () => {
  const faultIn = (json: string): string | undefined => faultOf(() => parseJson(json, 'body'))?.[1];

  test('is parsed as it is', () => {
    const value = { a: [1, 'x', null, { b: true }], c: '\ud83d' };
    expect(parseJson(JSON.stringify(value), 'body')).toEqual(value);
    expect(parseJson('1', 'body')).toBe(1);
  });

  test('has its limits, inclusive', () => {
    const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    const wide = (count: number): string =>
      JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [i, 0])));
    expect(faultIn(deep(limits.jsonDepth))).toBeUndefined();
    expect(faultIn(deep(limits.jsonDepth + 1))).toBe('is nested deeper than 16 levels');
    expect(faultIn(wide(limits.jsonKeys))).toBeUndefined();
    expect(faultIn(wide(limits.jsonKeys + 1))).toBe('has an object of more than 256 keys');
    expect(faultIn(`[${wide(200)},${wide(200)}]`)).toBeUndefined();
  });

  test('names the field that it was told', () => {
    expect(faultOf(() => parseJson('{', 'frame'))).toEqual(['frame', 'is not valid JSON', '不是有效的 JSON']);
    expect(faultOf(() => parseJson('{"__proto__":1}', 'frame'))).toEqual([
      'frame',
      'has a key that is not allowed: __proto__',
      '含有不允许的键：__proto__',
    ]);
  });
});

describe('texts that people read', () => {
  test.for<[text: string, en: string | undefined]>([
    ['', undefined],
    ['😀👩‍👩‍👧\u202E\u200B\uFEFF\n\t\u0007\u0085\uFFFD\uFFFF', undefined],
    ['é é', undefined],
    ['\ud83d', 'has half of a surrogate pair (not valid Unicode)'],
    ['\ude00\ud83d', 'has half of a surrogate pair (not valid Unicode)'],
    ['a\udfffb', 'has half of a surrogate pair (not valid Unicode)'],
    ['\ud83d\ud83d\ude00', 'has half of a surrogate pair (not valid Unicode)'],
    ['a\0', 'has a NUL character'],
  ])('%j', ([text, en]) => {
    expect(faultOf(() => checkText(text, 'name'))?.[1]).toBe(en);
  });

  const most = limits.contentCharacters;
  const empty = ['must not be empty', '不能为空'];
  const long = ['must have at most 10000 characters', '不能超过 10000 个字符'];
  test.for<[what: string, message: Parameters<typeof checkMessageTexts>[0], field: string | null, words?: string[]]>([
    ['one character', { content: 'x' }, null],
    ['one emoji', { content: '😀' }, null],
    ['10,000 characters', { content: 'x'.repeat(most) }, null],
    ['10,000 emoji', { content: '😀'.repeat(most) }, null],
    ['10,000 and spaces around', { content: ` \n${'x'.repeat(most)}\u3000` }, null],
    ['10,001 characters', { content: 'x'.repeat(most + 1) }, 'content', long],
    ['10,001 emoji', { content: '😀'.repeat(most + 1) }, 'content', long],
    ['9,999 emoji and two letters', { content: `${'😀'.repeat(most - 1)}xy` }, 'content', long],
    ['65,535 bytes', { content: `x${' '.repeat(65_534)}` }, null],
    [
      '65,536 bytes',
      { content: `x${' '.repeat(65_535)}` },
      'content',
      ['must have at most 65535 bytes', '不能超过 65535 字节'],
    ],
    ['65,535 bytes of wide spaces', { content: `${'\u3000'.repeat(21_844)}xyz` }, null],
    ['65,536 bytes of wide spaces', { content: `${'\u3000'.repeat(21_844)}wxyz` }, 'content'],
    ['65,537 bytes of letters, emoji and spaces', { content: `ä😀${' '.repeat(65_531)}` }, 'content'],
    ['65,535 bytes of letters, emoji and spaces', { content: `ä😀${' '.repeat(65_529)}` }, null],
    ['nothing', { content: '' }, 'content', empty],
    ['spaces alone', { content: ' \t\r\n\u00A0\u3000\u2028\uFEFF' }, 'content', empty],
    [
      'nothing, as text with an attachment',
      { content: '', messageType: 'text', attachments: [{ url: '/a' }] },
      'content',
      empty,
    ],
    ['nothing, with an attachment and no type', { content: '', attachments: [{ url: '/a' }] }, 'content', empty],
    ['nothing, as an image without one', { content: '', messageType: 'image', attachments: [] }, 'content', empty],
    ['nothing, as an image with one', { content: ' ', messageType: 'image', attachments: [{ url: '/a' }] }, null],
    ['a NUL', { content: 'a\0b' }, 'content'],
    ['a NUL at the end, where trimming might hide it', { content: 'ab\0' }, 'content'],
    ['a lone surrogate', { content: 'a\ud800' }, 'content'],
    ['a NUL in an attachment', { content: 'x', attachments: [{ url: '/a' }, { name: 'a\0' }] }, 'attachments.1.name'],
    ['a lone surrogate in an attachment', { content: 'x', attachments: [{ url: '\udc00' }] }, 'attachments.0.url'],
  ])('content: %s', ([, message, field, words]) => {
    const fault = faultOf(() => checkMessageTexts(message));
    expect(fault?.[0] ?? null).toBe(field);
    if (words) expect(fault?.slice(1)).toEqual(words);
    expect(faultOf(() => checkMessageTexts(message, 'data'))?.[0] ?? null).toBe(
      field === null ? null : `data.${field}`,
    );
  });
});
