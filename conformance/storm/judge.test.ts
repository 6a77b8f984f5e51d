import { expect, test } from 'vitest';
import { History, type Line } from './history.ts';
import { faultless, judge, type Verdict } from './judge.ts';

const sent = (id: string): Line => ({ what: 'sent', sessionId: 's', clientMessageId: id, content: `text ${id}` });
const acked = (id: string, seq: number, messageId = `m-${id}`): Line => ({
  what: 'acked',
  sessionId: 's',
  clientMessageId: id,
  messageId,
  seq,
});
const stored = (id: string, seq: number, messageId = `m-${id}`, content = `text ${id}`, status = 'read'): Line => ({
  what: 'stored',
  sessionId: 's',
  seq,
  messageId,
  clientMessageId: id,
  senderType: 'user',
  status,
  content,
});
const seen = (id: string | null, seq: number, observer = 'admin', connection = 1): Line => ({
  what: 'seen',
  observer,
  connection,
  sessionId: 's',
  seq,
  messageId: id === null ? null : `m-${id}`,
});
const head = (seq: number): Line => ({ what: 'head', sessionId: 's', seq });
const receipt = (upToSeq: number, live = true): Line => ({
  what: 'receipt',
  observer: 'tab',
  sessionId: 's',
  reader: 'admin 7',
  kind: 'read',
  upToSeq,
  live,
});
const asked: Line = { what: 'asked', observer: 'tab', sessionId: 's' };

function verdictOf(lines: Line[]): Verdict {
  const history = new History();
  for (const line of lines) history.add(line);
  return judge(history, { complete: { admin: ['s'] } });
}

const good = [
  sent('a'),
  sent('b'),
  acked('a', 1),
  acked('b', 3),
  seen('a', 1),
  seen(null, 2),
  seen('b', 3),
  stored('a', 1),
  stored('b', 3),
  head(3),
  receipt(1),
  asked,
  receipt(3),
  receipt(1, false),
  { what: 'figure', name: 'n', told: 3, found: 3 } as const,
];

test('a history without fault is found faultless, an answer older than what came live meanwhile included', () => {
  expect(faultless(verdictOf(good))).toBe(true);
});

test.each<[string, keyof Verdict, Line[]]>([
  ['acknowledged, not stored', 'lost', [...good, sent('c'), acked('c', 4)]],
  [
    'stored with another content',
    'lost',
    [...good.filter((l) => l.what !== 'stored'), stored('a', 1, 'm-a', 'x'), stored('b', 3)],
  ],
  ['acknowledged as two messages', 'doubled', [...good, acked('a', 4, 'm-other'), stored('z', 4, 'm-other')]],
  ['stored twice', 'doubled', [...good, stored('a', 4, 'm-twin')]],
  [
    'stored twice, once without its id',
    'doubled',
    [...good, { ...stored('a', 4, 'm-twin'), clientMessageId: null } as Line],
  ],
  ['shown twice on one connection', 'doubled', [...good, seen('b', 3)]],
  ['shown twice, on two connections, to one who resumes', 'doubled', [...good, seen('b', 3, 'admin', 2)]],
  ['acknowledged at another place than stored', 'disordered', [...good, acked('a', 2)]],
  ['two observers disagree', 'disordered', [...good, seen('b', 1, 'tab')]],
  ['shown out of order', 'disordered', [...good, seen('b', 3, 'tab'), seen('a', 1, 'tab')]],
  ['a receipt goes back', 'disordered', [...good, receipt(2)]],
  ['a receipt is forgotten between two connections', 'disordered', [...good, asked, receipt(2, false)]],
  [
    'a message is less read than a receipt said',
    'lost',
    good.map((l) => (l.what === 'stored' ? { ...l, status: 'delivered' } : l)),
  ],
  ['a total is not what there is', 'miscounted', [...good, { what: 'figure', name: 'n', told: 2, found: 3 }]],
  ['a complete observer misses an event', 'holes', good.filter((l) => !(l.what === 'seen' && l.seq === 2))],
  ['a complete observer misses the last event', 'holes', [...good, head(4)]],
])('%s is found', (_name, kind, lines) => {
  expect(verdictOf(lines)[kind]).not.toEqual([]);
});
