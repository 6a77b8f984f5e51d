import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/domain/command.ts';
import { decide } from '../../src/domain/decide.ts';
import type { SessionEvent, SessionState } from '../../src/domain/session.ts';
import { admin, append, brokenRules, command, onEveryStore, user } from './open-store.ts';

const ID = 'states';
const owner = user(1);
const run = (commands: readonly Command[]): SessionState | null =>
  commands.reduce<SessionState | null>((session, next) => decide(session, next).session, null);
const says = command('message', ID, { by: owner });

const states = {
  none: run([]),
  waiting: run([says]),
  active: run([says, command('claim', ID, { by: admin(7) })]),
  closed: run([says, command('claim', ID, { by: admin(7) }), command('close', ID, { by: admin(7) })]),
};

/** What a command comes to in each state: the status and the holder after it, or the error. */
const table: readonly [name: string, what: Command, none: string, waiting: string, active: string, closed: string][] = [
  ["the user's message", says, 'waiting -', 'waiting -', 'active 7', 'waiting -'],
  ["a stranger's message", command('message', ID, { by: user(2) }), 'waiting -', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'],
  [
    "an admin's message",
    command('message', ID, { by: admin(8) }),
    'SESSION_NOT_FOUND',
    'active 8',
    'active 7',
    'active 8',
  ],
  ['claim', command('claim', ID, { by: admin(8) }), 'SESSION_NOT_FOUND', 'active 8', 'CONFLICT', 'CONFLICT'],
  [
    'claim by its holder',
    command('claim', ID, { by: admin(7) }),
    'SESSION_NOT_FOUND',
    'active 7',
    'CONFLICT',
    'CONFLICT',
  ],
  [
    'assign',
    command('assign', ID, { by: admin(8), adminId: 9 }),
    'SESSION_NOT_FOUND',
    'active 9',
    'CONFLICT',
    'CONFLICT',
  ],
  [
    'transfer',
    command('transfer', ID, { by: admin(8), adminId: 9 }),
    'SESSION_NOT_FOUND',
    'CONFLICT',
    'active 9',
    'CONFLICT',
  ],
  [
    'transfer to its holder',
    command('transfer', ID, { by: admin(8), adminId: 7 }),
    'SESSION_NOT_FOUND',
    'CONFLICT',
    'CONFLICT',
    'CONFLICT',
  ],
  [
    'close by an admin',
    command('close', ID, { by: admin(8) }),
    'SESSION_NOT_FOUND',
    'closed -',
    'closed 7',
    'CONFLICT',
  ],
  ['close by the user', command('close', ID, { by: owner }), 'SESSION_NOT_FOUND', 'closed -', 'closed 7', 'CONFLICT'],
  [
    'close by a stranger',
    command('close', ID, { by: user(2) }),
    'SESSION_NOT_FOUND',
    'FORBIDDEN',
    'FORBIDDEN',
    'FORBIDDEN',
  ],
  ['reopen', command('reopen', ID, { by: admin(8) }), 'SESSION_NOT_FOUND', 'CONFLICT', 'CONFLICT', 'waiting -'],
  [
    'rate',
    command('rate', ID, { by: owner, score: 5, comment: '' }),
    'SESSION_NOT_FOUND',
    'CONFLICT',
    'active 7',
    'closed 7',
  ],
  [
    'rate by a stranger',
    command('rate', ID, { by: user(2), score: 5, comment: '' }),
    'SESSION_NOT_FOUND',
    'FORBIDDEN',
    'FORBIDDEN',
    'FORBIDDEN',
  ],
  [
    'release of its holder',
    command('release', ID, { adminId: 7 }),
    'SESSION_NOT_FOUND',
    'waiting -',
    'waiting -',
    'closed 7',
  ],
  [
    'release of another',
    command('release', ID, { adminId: 8 }),
    'SESSION_NOT_FOUND',
    'waiting -',
    'active 7',
    'closed 7',
  ],
  ['auto-assign', command('auto_assign', ID), 'SESSION_NOT_FOUND', 'waiting -', 'active 7', 'closed 7'],
];

describe('decide', () => {
  const cells = table.flatMap(([name, what, ...expected]) =>
    (['none', 'waiting', 'active', 'closed'] as const).map((state, i) => ({
      name,
      what,
      state,
      expected: expected[i],
    })),
  );
  test.each(cells)('$name, in $state: $expected', ({ what, state, expected }) => {
    const before = states[state];
    let got: string;
    try {
      const { session, events } = decide(before, what);
      got = `${session.status} ${session.adminId ?? '-'}`;
      expect(session.lastSeq).toBe((before?.lastSeq ?? 0) + events.length);
      expect(events.map((e) => e.seq)).toEqual(events.map((_, n) => (before?.lastSeq ?? 0) + n + 1));
    } catch (error) {
      got = (error as { code: string }).code;
    }
    expect(got).toBe(expected);
  });

  test('a session that is reopened forgets neither who had it nor how it was rated', () => {
    const rated = decide(states.closed, command('rate', ID, { by: owner, score: 4, comment: 'ok' })).session;
    const reopened = decide(rated, command('reopen', ID, { by: admin(8) })).session;
    expect(reopened).toMatchObject({ adminId: null, lastAdminId: 7, ratingScore: 4, closedAt: null });
    expect(reopened.waitingSince).not.toBeNull();
  });

  test('the first reply is the first one after the user asked, and stays', () => {
    const at = 1_000;
    const asked = decide(null, { ...says, at }).session;
    const answered = decide(asked, command('message', ID, { by: admin(7), at: at + 5 })).session;
    const later = decide(answered, command('message', ID, { by: admin(7), at: at + 9 })).session;
    expect([later.firstUserMessageAt, later.firstReplyAt]).toEqual([at, at + 5]);
  });
});

/** Commands of few actors, so that they meet. */
const anyCommand = fc.record({
  kind: fc.constantFrom(
    'message',
    'message',
    'message',
    'claim',
    'assign',
    'transfer',
    'close',
    'reopen',
    'rate',
    'release',
    'auto_assign',
  ),
  session: fc.integer({ min: 0, max: 2 }),
  by: fc.constantFrom(user(1), user(2), admin(7), admin(8)),
  adminId: fc.constantFrom(7, 8),
  key: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null }),
});
const asCommand = (
  c: { kind: string; session: number; by: object; adminId: number; key: string | null },
  run: string,
): Command =>
  command(c.kind as never, `${run}-${c.session}`, {
    by: c.by,
    adminId: c.adminId,
    clientMessageId: c.key,
    score: 3,
    comment: '',
  } as never);

/** The state that the log alone tells. */
function replay(log: readonly SessionEvent[]): { status: string; adminId: number | null; messages: number } {
  const state = { status: 'waiting', adminId: null as number | null, messages: 0 };
  for (const event of log) {
    if (event.kind === 'message') state.messages++;
    if (event.kind === 'status') Object.assign(state, { status: event.status, adminId: event.adminId });
  }
  return state;
}

onEveryStore('random commands', (bench) => {
  test('keep the invariants: log without holes, row and log agree, waiting has no holder and active has one', async () => {
    const nodes = await bench.nodes(2);
    for (const id of [7, 8]) await nodes[0].roster.online({ id, nickname: '', avatar: '' }, 'n1');
    let runs = 0;
    const property = fc.asyncProperty(fc.array(anyCommand, { minLength: 5, maxLength: 40 }), async (drafts) => {
      const name = `r${runs++}`;
      const ids = [0, 1, 2].map((n) => `${name}-${n}`);
      await Promise.all(drafts.map((c, i) => append(nodes[i % 2 === 0 ? 0 : 1], asCommand(c, name))));
      for (const id of ids) {
        const found = await nodes[0].session(id);
        if (!found) continue;
        const { session } = found;
        const log = await nodes[1].log(id, 0, 500);
        expect(log.map((e) => e.seq)).toEqual(Array.from({ length: session.lastSeq }, (_, i) => i + 1));
        expect(replay(log)).toEqual({
          status: session.status,
          adminId: session.adminId,
          messages: session.messageCount,
        });
        if (session.status === 'waiting')
          expect([session.adminId, session.waitingSince === null]).toEqual([null, false]);
        if (session.status === 'active')
          expect([session.adminId === null, session.waitingSince]).toEqual([false, null]);
        expect(session.closedAt === null).toBe(session.status !== 'closed');
        const keys = log.flatMap((e) =>
          e.kind === 'message' && e.message.clientMessageId
            ? [`${e.message.senderType} ${e.message.senderId} ${e.message.clientMessageId}`]
            : [],
        );
        expect(new Set(keys).size).toBe(keys.length);
      }
    });
    await fc.assert(property, { numRuns: 25 });
    expect(await brokenRules(bench)).toEqual([]);
  });
});
