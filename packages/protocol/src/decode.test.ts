import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, type FrameMarks } from './decode.ts';
import { ChatError } from './errors.ts';
import { clientFrames } from './frame-table.ts';
import { limits } from './limits.ts';

/** What decoding ends in: the frame, or the field at fault. */
function outcome(text: string, marks: FrameMarks = {}): { frame?: unknown; field?: string; en?: string } {
  try {
    return { frame: decodeFrame(text, marks) };
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    expect(error.code).toBe('INVALID_PARAMETER');
    expect(error.fault?.fault.zh).toMatch(/\p{Script=Han}/u);
    return { field: error.fault?.field ?? '', en: error.fault?.fault.en ?? '' };
  }
}

const sent = (data: object, more: object = {}): string =>
  JSON.stringify({ type: 'send_message', data: { content: 'hi', ...data }, ...more });
const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const keys = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));

describe('frames that are taken', () => {
  test.for<[what: string, text: string]>([
    [
      'the requirements document’s own',
      '{"type":"send_message","data":{"sessionId":"session_abc123","content":"用户消息内容","messageType":"text","senderInfo":{"userId":31,"userType":"user"}}}',
    ],
    ['the least there can be', '{"type":"send_message","data":{"content":""}}'],
    ['white space around', ' \r\n\t{"type":"ping"}\n'],
    ['no session yet', sent({ sessionId: null })],
    ['a session id of 100', sent({ sessionId: 'x'.repeat(100) })],
    ['a userId as text', sent({ senderInfo: { userId: '31' } })],
    ['an empty senderInfo', sent({ senderInfo: {} })],
    [
      'an image',
      sent({
        messageType: 'image',
        attachments: [{ url: '/a.png', width: 1, height: 1, size: 0, mimeType: 'image/png', name: '图.png' }],
      }),
    ],
    ['ten attachments', sent({ attachments: Array(10).fill({}) })],
    ['names of 255 emoji', sent({ attachments: [{ name: '😀'.repeat(255) }] })],
    ['a requestId of 64', sent({}, { requestId: 'x'.repeat(64) })],
    ['a requestId that is a number', sent({}, { requestId: -7 })],
    ['a clientMessageId of 64', sent({ clientMessageId: '-_'.repeat(32) })],
    ['fields that nobody knows', sent({ seq: 1, status: 'read', more: { a: [1] } }, { extra: null })],
    ['an object of 256 keys', sent({ more: keys(256) })],
    ['16 levels', `{"type":"ping","a":${nested(15)}}`],
    [
      'keys that only look dangerous',
      sent({ more: { proto: 1, __proto: 1, constructors: 1, toString: 1, hasOwnProperty: 1 } }),
    ],
    ['hello', '{"type":"hello"}'],
    ['hello with a clientId', '{"type":"hello","data":{"clientId":"tab-1"}}'],
    ['inbox', '{"type":"inbox","data":{"since":"2025-08-13T00:30:00.000Z"}}'],
    ['receipt', '{"type":"receipt","data":{"sessionId":"s","kind":"read","upToSeq":1}}'],
    ['auth_refresh', `{"type":"auth_refresh","data":{"token":"${'x'.repeat(8_192)}"}}`],
  ])('%s', ([, text]) => {
    expect(outcome(text).frame).toEqual(JSON.parse(text));
  });

  test('resume and unfollow of as many sessions as the limit says', () => {
    const ids = Array.from({ length: limits.resumeSessions }, (_, i) => `session_${i}`);
    const resume = {
      type: 'resume',
      requestId: 1,
      data: { sessions: ids.map((sessionId) => ({ sessionId, afterSeq: Number.MAX_SAFE_INTEGER })) },
    };
    expect(outcome(JSON.stringify(resume)).frame).toEqual(resume);
    const unfollow = { type: 'unfollow', data: { sessions: ids } };
    expect(outcome(JSON.stringify(unfollow)).frame).toEqual(unfollow);
  });
});

describe('frames that are refused', () => {
  const whole = [0, '1', 1.5, null, true, [1], {}];
  const table: Record<string, readonly string[]> = {
    frame: [
      '',
      ' ',
      '{',
      '}',
      '{}{}',
      'hello',
      "{'type':'ping'}",
      '{"type":"ping",}',
      '{type:"ping"}',
      '\u0000',
      '\uFEFF{"type":"ping"}',
      'NaN',
      'undefined',
      '{"type":"ping"}x',
      '"\\ud800',
      '{"type":"ping","a":01}',
      '{"type":"ping","a":.5}',
      '{"type":"ping","a":\u0007}',
      'null',
      'true',
      '1',
      '-0',
      '1e309',
      '"send_message"',
      '[]',
      '[{"type":"ping"}]',
      nested(17),
      nested(10_000),
      '['.repeat(10_000),
      `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
      `{"type":"ping","a":${nested(16)}}`,
      `{"type":"ping","data":${nested(10_000)}}`,
      sent({ more: keys(257) }),
      sent(keys(256)),
      sent({}, keys(255)),
      sent({ more: [[{ a: keys(257) }]] }),
      ...['__proto__', 'constructor', 'prototype'].flatMap((key) => [
        `{"${key}":{"type":"ping"}}`,
        `{"type":"ping","${key}":1}`,
        `{"type":"send_message","data":{"content":"x","${key}":{"isAdmin":true}}}`,
        `{"type":"ping","a":[[{"${key}":null}]]}`,
        `{"type":"send_message","data":{"content":"x","attachments":[{"${key}":{}}]}}`,
      ]),
      '{"type":"ping","\\u005f_proto__":{}}',
    ],
    type: [
      '{}',
      '{"data":{}}',
      ...[
        null,
        1,
        true,
        '',
        [],
        ['ping'],
        {},
        'PING',
        'ping ',
        ' ping',
        'unknown',
        'toString',
        'new_user_message',
        'message_ack',
        'welcome',
        'error',
      ].map((type) => JSON.stringify({ type, data: { content: 'x' } })),
    ],
    data: [
      '{"type":"send_message"}',
      ...[null, 1, 'x', true, []].map((data) => JSON.stringify({ type: 'send_message', data })),
      '{"type":"hello","data":[]}',
      '{"type":"ping","data":null}',
      '{"type":"resume"}',
      '{"type":"auth_refresh"}',
    ],
    requestId: ['', 'x'.repeat(65), '😀'.repeat(65), 1.5, true, null, [], {}].map((requestId) =>
      sent({}, { requestId }),
    ),
    'data.content': [
      '{"type":"send_message","data":{}}',
      ...[null, 0, 1, true, [], ['x'], {}].map((content) => sent({ content })),
    ],
    'data.sessionId': [
      '',
      ' ',
      'a b',
      'a/b',
      "a'--",
      'ä',
      '会话',
      'x'.repeat(101),
      'a\n',
      0,
      31,
      -0,
      1e300,
      true,
      false,
      [],
      ['session_1'],
      {},
      { $ne: null },
    ].map((sessionId) => sent({ sessionId })),
    'data.messageType': ['system', 'video', 'TEXT', '', null, 1, ['text'], {}].map((messageType) =>
      sent({ messageType }),
    ),
    'data.clientMessageId': ['', ' ', 'a b', 'x'.repeat(65), 'ä', 'a\0', 7, null, true, [], {}].map((clientMessageId) =>
      sent({ clientMessageId }),
    ),
    'data.senderInfo': [null, 1, 'x', true, []].map((senderInfo) => sent({ senderInfo })),
    'data.senderInfo.userId': [
      0,
      -1,
      1.5,
      2_147_483_648,
      1e300,
      null,
      true,
      [31],
      {},
      '',
      '0',
      '031',
      ' 31',
      '3e1',
      'x',
      '12345678901',
    ].map((userId) => sent({ senderInfo: { userId } })),
    'data.senderInfo.userType': ['system', 'USER', '', null, 1, ['user']].map((userType) =>
      sent({ senderInfo: { userType } }),
    ),
    'data.attachments': [null, 1, 'x', {}, Array(11).fill({})].map((attachments) => sent({ attachments })),
    'data.attachments.0': [null, 1, 'x', []].map((attachment) => sent({ attachments: [attachment] })),
    'data.attachments.0.url': ['', 'x'.repeat(2_001), 1, null, {}].map((url) => sent({ attachments: [{ url }] })),
    'data.attachments.1.attachmentId': ['', 'a b', '../x', 'x'.repeat(101), 7].map((attachmentId) =>
      sent({ attachments: [{}, { attachmentId }] }),
    ),
    'data.attachments.0.name': ['x'.repeat(256), '😀'.repeat(256), 1, null].map((name) =>
      sent({ attachments: [{ name }] }),
    ),
    'data.attachments.0.mimeType': ['x'.repeat(128), 1].map((mimeType) => sent({ attachments: [{ mimeType }] })),
    'data.attachments.0.size': [-1, 1.5, 2 ** 53, '1', null].map((size) => sent({ attachments: [{ size }] })),
    'data.attachments.0.width': [-1, 100_001, 0.5, '1'].map((width) => sent({ attachments: [{ width }] })),
    'data.attachments.0.script': [sent({ attachments: [{ script: 1 }] })],
    'data.sessions': [[], 'x', null, {}, Array(201).fill('a')].map((sessions) =>
      JSON.stringify({ type: 'unfollow', data: { sessions } }),
    ),
    'data.sessions.0.sessionId': [1, '', null].map((sessionId) =>
      JSON.stringify({ type: 'resume', data: { sessions: [{ sessionId, afterSeq: 0 }] } }),
    ),
    'data.sessions.0.afterSeq': [-1, 0.5, 2 ** 53, '0', null].map((afterSeq) =>
      JSON.stringify({ type: 'resume', data: { sessions: [{ sessionId: 'a', afterSeq }] } }),
    ),
    'data.kind': ['seen', '', null, 1].map((kind) =>
      JSON.stringify({ type: 'receipt', data: { sessionId: 'a', kind, upToSeq: 1 } }),
    ),
    'data.upToSeq': whole.map((upToSeq) =>
      JSON.stringify({ type: 'receipt', data: { sessionId: 'a', kind: 'read', upToSeq } }),
    ),
    'data.token': ['', 'x'.repeat(8_193), 1, null].map((token) =>
      JSON.stringify({ type: 'auth_refresh', data: { token } }),
    ),
    'data.clientId': ['x'.repeat(65), 1].map((clientId) => JSON.stringify({ type: 'hello', data: { clientId } })),
    'data.since': ['x'.repeat(31), 1].map((since) => JSON.stringify({ type: 'inbox', data: { since } })),
    'data.t': [
      '{"type":"ping","data":{"t":"1"}}',
      '{"type":"ping","data":{"t":null}}',
      '{"type":"ping","data":{"t":1e999}}',
    ],
  };

  test.for(Object.entries(table))('field %s', ([field, texts]) => {
    for (const text of texts) expect([text.slice(0, 200), outcome(text).field]).toEqual([text.slice(0, 200), field]);
  });

  test('an unknown type is answered with the known ones', () => {
    const { en } = outcome('{"type":"x"}');
    for (const type of Object.keys(clientFrames)) expect(en).toContain(type);
  });

  test('bombs are refused in less than 25 ms', () => {
    for (const text of [
      nested(32_000),
      `{"a":${'9'.repeat(65_000)}}`,
      `{${Array.from({ length: 8_000 }, (_, i) => `"${i}":1`).join(',')}}`,
      `{"type":"ping","requestId":"${'é'.repeat(30_000)}"}`,
      sent({ sessionId: '-'.repeat(60_000) }),
      sent({ attachments: Array.from({ length: 10_000 }, () => 0) }),
    ]) {
      // The best of five: others may be at work on this machine.
      const took = Array.from({ length: 5 }, () => {
        const began = performance.now();
        expect(outcome(text).field).toBeDefined();
        return performance.now() - began;
      });
      expect(Math.min(...took)).toBeLessThan(25);
    }
  });
});

describe('marks of a refused frame', () => {
  test.for<[text: string, marks: FrameMarks]>([
    [
      sent({ content: 1, sessionId: 's', clientMessageId: 'c' }, { requestId: 'r' }),
      { requestId: 'r', clientMessageId: 'c', sessionId: 's' },
    ],
    ['{"type":"x","requestId":7}', { requestId: 7 }],
    ['{"type":"send_message","requestId":7,"data":null}', { requestId: 7 }],
    ['{"requestId":1.5,"data":{"sessionId":1,"clientMessageId":[]}}', {}],
    ['{"requestId":""}', {}],
    [`{"requestId":"${'x'.repeat(65)}"}`, {}],
    [`{"requestId":"${'😀'.repeat(50)}"}`, { requestId: '😀'.repeat(50) }],
    ['{"requestId":1e300}', {}],
    [`{"requestId":"${'x'.repeat(101)}","data":{"sessionId":"${'x'.repeat(101)}"}}`, {}],
    [
      `{"requestId":"deep","data":{"clientMessageId":"c","x":${'['.repeat(20)}${']'.repeat(20)}}}`,
      { requestId: 'deep', clientMessageId: 'c' },
    ],
    ['{"requestId":"keys","data":{"sessionId":"s","__proto__":1}}', { requestId: 'keys', sessionId: 's' }],
    ['{"requestId":"proto","__proto__":{"data":{"sessionId":"s"}}}', { requestId: 'proto' }],
    ['{"requestId":"\\ud800","data":{"sessionId":"\\udc00"}}', {}],
    ['[{"requestId":7}]', {}],
    ['{"requestId":7', {}],
  ])('%s', ([text, wanted]) => {
    const marks: FrameMarks = {};
    expect(outcome(text, marks).field).toBeDefined();
    expect(marks).toEqual(wanted);
  });
});

/** Cases of each property: `FUZZ_RUNS=1000000 npm test -- decode` for a night. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 1_000);
const timeout = 10_000 + numRuns * 5;

describe('whatever comes', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const key = fc.oneof(
    fc.constantFrom(
      '__proto__',
      'constructor',
      'prototype',
      'type',
      'data',
      'content',
      'attachments',
      'toString',
      'length',
    ),
    text,
  );
  const leaf = fc.oneof(
    text,
    fc.double(),
    fc.integer(),
    fc.constantFrom(null, true, '', '\ud800', '\0', -0, 2 ** 53, 1e308),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  }));
  /** A field that is mostly good, sometimes anything, and sometimes not there. */
  const mostly = (good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof(
      { arbitrary: good, weight: 12 },
      { arbitrary: tree, weight: 1 },
      { arbitrary: fc.constant(undefined), weight: 3 },
    );
  const fields = (record: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
    fc
      .tuple(...Object.entries(record).map(([name, good]) => mostly(good).map((value) => [name, value] as const)))
      .map((entries) => new Map<string, unknown>(entries.filter(([, value]) => value !== undefined)));
  const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
  const seq = fc.nat({ max: 2 ** 31 });
  const frame = fields({
    type: fc.constantFrom('send_message', ...Object.keys(clientFrames)),
    requestId: fc.oneof(id, fc.integer()),
    data: fields({
      content: text,
      sessionId: fc.oneof(id, fc.constant(null)),
      messageType: fc.constantFrom('text', 'image', 'file'),
      clientMessageId: id,
      senderInfo: fields({ userId: fc.integer({ min: 1 }), userType: fc.constantFrom('user', 'admin') }),
      attachments: fc.array(fields({ url: id, name: text, size: seq }), { maxLength: 3 }),
      sessions: fc.array(fc.oneof(id, fields({ sessionId: id, afterSeq: seq })), { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom('delivered', 'read'),
      upToSeq: seq,
      token: id,
      t: fc.double(),
    }),
  });
  /** JSON of Maps, so that `__proto__` is a key like any other, and may come twice. */
  const json = (value: unknown): string => {
    if (value instanceof Map) return `{${[...value].map(([k, v]) => `${JSON.stringify(k)}:${json(v)}`).join(',')}}`;
    return Array.isArray(value) ? `[${value.map(json).join(',')}]` : JSON.stringify(value);
  };
  const common = Object.getOwnPropertyNames(Object.prototype).join(' ');

  /** Never anything but a ChatError of the caller's fault; never a change to what all objects have. */
  function decoded(given: string): unknown {
    let frameOrNothing: unknown;
    try {
      frameOrNothing = decodeFrame(given);
    } catch (error) {
      if (!(error instanceof ChatError) || error.code !== 'INVALID_PARAMETER' || !error.fault) throw error;
    }
    if (Object.getOwnPropertyNames(Object.prototype).join(' ') !== common) throw new Error('a prototype was changed');
    return frameOrNothing;
  }
  const isSound = (given: string): void => void decoded(given);

  test('any text', () => fc.assert(fc.property(fc.string({ unit: 'binary' }), isSound), { numRuns }), timeout);

  test('any JSON', () => fc.assert(fc.property(tree.map(json), isSound), { numRuns }), timeout);

  test(
    'a good frame with something cut out, doubled or put in',
    () => {
      const good = sent(
        {
          sessionId: 'session_1',
          messageType: 'image',
          senderInfo: { userId: 31, userType: 'user' },
          attachments: [{ url: '/a', size: 1 }],
        },
        { requestId: 'r' },
      );
      const at = fc.nat({ max: good.length });
      const tokens = ['"', '{', '}', '[', ']', ',', ':', '\\', '\\ud800', '"__proto__":{},', 'null', '1e999', '\0'];
      const piece = fc.oneof(fc.constantFrom(...tokens), text);
      const broken = fc.tuple(at, at, piece).map(([from, to, put]) => good.slice(0, from) + put + good.slice(to));
      fc.assert(fc.property(broken, isSound), { numRuns });
    },
    timeout,
  );

  test(
    'of frames that are nearly good some are taken, just as they were sent',
    () => {
      let taken = 0;
      const isKept = (given: string): void => {
        const found = decoded(given);
        if (found === undefined) return;
        taken++;
        const again = JSON.stringify(found);
        if (again !== JSON.stringify(JSON.parse(given))) throw new Error('something was changed');
        if (JSON.stringify(decoded(again)) !== again) throw new Error('not taken again');
      };
      fc.assert(fc.property(frame.map(json), isKept), { numRuns });
      expect(taken).toBeGreaterThan(numRuns / 20);
    },
    timeout,
  );
});
