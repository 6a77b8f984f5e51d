import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ANSWER_MS, createFollowing, type Following, HOLD_MS, RETRY_MS, TOGETHER } from './following.ts';
import { createView, type SessionView, type ViewEvent } from './session-view.ts';

const at = '2025-08-13T00:30:00.000Z';

function event(seq: number): ViewEvent {
  const message = {
    messageId: `m${seq}`,
    senderId: 7,
    senderType: 'admin',
    messageType: 'text',
    status: 'sent',
    content: `${seq}`,
    createdAt: at,
    seq,
    attachments: [],
  } as const;
  return { kind: 'message', seq, at, message: { ...message, attachments: [] } };
}

interface Asked {
  readonly requestId: string;
  readonly data: { readonly sessions: readonly { sessionId: string; afterSeq: number }[] };
}

/** A client's side, with what it was told. */
class Client {
  readonly applied: { sessionId: string; seq: number; live: boolean }[] = [];
  readonly told: [string, unknown][] = [];
  readonly following: Following = createFollowing({
    createView: (sessionId) => createView(sessionId, 'user', () => []),
    random: () => 0.5,
    onEvent: (view, { seq }, live) => this.applied.push({ sessionId: view.sessionId as string, seq, live }),
    tell: (name, detail) => this.told.push([name, detail]),
  });

  ask(now: number): Asked[] {
    return this.following.next(now).send as Asked[];
  }

  resumed(asked: Asked, upToSeq: number, more: { reset?: boolean } = {}): void {
    for (const { sessionId } of asked.data.sessions) {
      this.following.resumed({ sessionId, complete: true, reset: false, upToSeq, ...more }, asked.requestId);
    }
  }
}

const later = { code: 'UNAVAILABLE', retryable: true, retryAfterMs: 1_000 };

describe('a session that is followed', () => {
  test('is asked for on every connection, from where its view stands', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    const [first] = client.ask(1_000);
    expect(first?.data.sessions).toEqual([{ sessionId: 'S', afterSeq: 0 }]);
    client.following.add('S', [event(1), event(2)], 1_000);
    client.resumed(first as Asked, 2);
    expect(client.ask(2_000)).toEqual([]);
    client.following.disconnected();
    expect(client.ask(3_000)[0]?.data.sessions).toEqual([{ sessionId: 'S', afterSeq: 2 }]);
  });

  test('is asked for in frames of 200', () => {
    const client = new Client();
    for (let i = 0; i < TOGETHER * 2 + 1; i += 1) client.following.follow(`S${i}`, 'heard', 0);
    expect(client.ask(1).map(({ data }) => data.sessions.length)).toEqual([TOGETHER, TOGETHER, 1]);
  });

  test('is asked for again when no answer comes, but not while a long log comes in', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    client.ask(1_000);
    expect(client.following.next(1_001)).toEqual({ send: [], wakeAt: 1_000 + ANSWER_MS });
    client.following.add('S', [event(1)], 10_000);
    expect(client.following.next(10_001).wakeAt).toBe(10_000 + ANSWER_MS);
    expect(client.ask(10_000 + ANSWER_MS)).toHaveLength(1);
  });

  test('with a gap is asked for after a moment, unless what is missing comes by itself', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    client.resumed(client.ask(1)[0] as Asked, 0);
    client.following.add('S', [event(2)], 1_000);
    expect(client.following.next(1_000)).toEqual({ send: [], wakeAt: 1_000 + HOLD_MS });
    client.following.add('S', [event(1)], 1_200);
    expect(client.following.next(1_200)).toEqual({ send: [], wakeAt: Infinity });
    client.following.noteHeads({ S: 3, other: 9 });
    client.following.next(2_000);
    expect(client.ask(2_000 + HOLD_MS)[0]?.data.sessions).toEqual([{ sessionId: 'S', afterSeq: 2 }]);
  });

  test('of another log begins anew', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    client.following.add('S', [event(1), event(2)], 1);
    client.resumed(client.ask(2)[0] as Asked, 1, { reset: true });
    expect(client.told.map(([name]) => name)).toEqual(['reset']);
    expect(client.ask(3)[0]?.data.sessions).toEqual([{ sessionId: 'S', afterSeq: 0 }]);
  });

  test('that is refused for a while is asked for later', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    const [asked] = client.ask(1_000) as [Asked];
    client.following.refused(asked.requestId, 'S', later, 1_000);
    const { wakeAt } = client.following.next(1_000);
    expect(wakeAt).toBe(1_000 + 1_000 + RETRY_MS / 2);
    expect(client.ask(wakeAt)).toHaveLength(1);
  });

  test('that is refused for good is told to whoever opened it, else as an error', async () => {
    const client = new Client();
    const opened = client.following.open('S', 0);
    client.following.follow('T', 'heard', 0);
    const [asked] = client.ask(1_000) as [Asked];
    client.following.refused(asked.requestId, undefined, { code: 'FORBIDDEN', retryable: false }, 1_000);
    await expect(opened).rejects.toMatchObject({ code: 'FORBIDDEN', message: 'S' });
    expect(client.told).toMatchObject([['error', { code: 'FORBIDDEN', message: 'T' }]]);
    expect(client.ask(60_000)).toEqual([]);
  });

  test('is left when nobody opened it, or when that is asked for', async () => {
    const client = new Client();
    const opened = client.following.open('S', 0);
    client.following.follow('T', 'heard', 0);
    expect([client.following.leave('S', false), client.following.leave('T', false)]).toEqual([false, true]);
    expect(client.following.leave('S', true)).toBe(true);
    await expect(opened).rejects.toMatchObject({ code: 'LEFT' });
    client.following.add('T', [event(1)], 1);
    expect([client.applied, client.following.look('T').lastSeq]).toEqual([[], 0]);
  });
});

describe('open', () => {
  test('resolves when everything up to now is there', async () => {
    const client = new Client();
    let view: SessionView | undefined;
    void client.following.open('S', 0).then((opened) => (view = opened));
    const [asked] = client.ask(1) as [Asked];
    client.following.add('S', [event(1)], 2);
    await Promise.resolve();
    expect(view).toBeUndefined();
    client.resumed(asked, 1);
    await Promise.resolve();
    expect(view?.lastSeq).toBe(1);
    await expect(client.following.open('S', 0)).resolves.toBe(view);
  });

  test('waits for what was lost on the way', async () => {
    const client = new Client();
    let done = false;
    void client.following.open('S', 0).then(() => (done = true));
    client.resumed(client.ask(1)[0] as Asked, 2);
    await Promise.resolve();
    expect(done).toBe(false);
    client.following.add('S', [event(1), event(2)], 2);
    await Promise.resolve();
    expect(done).toBe(true);
  });

  test('further back than before reads again from there', () => {
    const client = new Client();
    client.following.follow('S', 'heard', 5, 6);
    client.following.add('S', [event(6)], 1);
    client.resumed(client.ask(2)[0] as Asked, 6);
    void client.following.open('S', 2);
    expect(client.told.map(([name]) => name)).toEqual(['reset']);
    expect(client.ask(3)[0]?.data.sessions).toEqual([{ sessionId: 'S', afterSeq: 2 }]);
    // What came up by itself further back does not.
    client.following.follow('S', 'heard', 0);
    expect(client.following.look('S').base).toBe(2);
  });
});

describe('what is live', () => {
  test('is what happens after the first catching up', () => {
    const client = new Client();
    client.following.follow('S', 'opened', 0);
    const [asked] = client.ask(1) as [Asked];
    client.following.add('S', [event(1), event(2)], 1);
    client.resumed(asked, 2);
    client.following.add('S', [event(3)], 2);
    client.following.disconnected();
    client.following.add('S', [event(4)], 3);
    expect(client.applied.map(({ live }) => live)).toEqual([false, false, true, true]);
  });

  test('is the event that told of the session, but not what it brought along', () => {
    const client = new Client();
    client.following.follow('S', 'heard', 0, 3);
    client.following.add('S', [event(3)], 1);
    client.following.add('S', [event(1), event(2)], 1);
    expect(client.applied.map(({ seq, live }) => [seq, live])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ]);
  });
});

/** Sessions' logs, and one follower who is told live what is not lost on the way, in no particular order. */
class Server {
  readonly logs = new Map<string, number>([
    ['A', 0],
    ['B', 0],
    ['C', 0],
  ]);
  readonly followed = new Set<string>();
  /** On the way to the client. */
  frames: ((client: Client, now: number) => void)[] = [];

  happen(sessionId: string): void {
    const seq = (this.logs.get(sessionId) as number) + 1;
    this.logs.set(sessionId, seq);
    if (this.followed.has(sessionId))
      this.frames.push((client, now) => client.following.add(sessionId, [event(seq)], now));
  }

  resume({ requestId, data }: Asked): void {
    for (const { sessionId, afterSeq } of data.sessions) {
      this.followed.add(sessionId);
      const head = this.logs.get(sessionId) as number;
      const events = Array.from({ length: head - afterSeq }, (_, i) => event(afterSeq + i + 1));
      this.frames.push((client, now) => client.following.add(sessionId, events, now));
      this.frames.push((client) => {
        client.following.resumed({ sessionId, complete: true, reset: false, upToSeq: head }, requestId);
      });
    }
  }

  refuse({ requestId }: Asked): void {
    this.frames.push((client, now) => client.following.refused(requestId, undefined, later, now));
  }

  beat(): void {
    const heads = Object.fromEntries([...this.logs].filter(([id]) => this.followed.has(id)));
    this.frames.push((client) => client.following.noteHeads(heads));
  }
}

const deed = fc.oneof(
  { weight: 5, arbitrary: fc.record({ happen: fc.constantFrom('A', 'B', 'C') }) },
  { weight: 5, arbitrary: fc.record({ deliver: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ lose: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ repeat: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ beat: 1 }, { reconnect: 1 }, { refuse: 1 }) },
);

test('frames lost, repeated and reordered, connections broken, answers refused: the views equal the logs', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 120, size: 'max' }), (deeds) => {
      const [client, server] = [new Client(), new Server()];
      let now = 1;
      let refuse = false;
      const pump = (): void => {
        for (const asked of client.ask(now)) {
          if (refuse) server.refuse(asked);
          else server.resume(asked);
          refuse = false;
        }
      };
      const deliver = (frame: ((c: Client, n: number) => void) | undefined): void => {
        frame?.(client, now);
        pump();
      };
      for (const id of server.logs.keys()) client.following.follow(id, 'opened', 0);
      pump();
      for (const what of deeds) {
        if ('happen' in what) server.happen(what.happen);
        else if ('deliver' in what) deliver(server.frames.splice(what.deliver % (server.frames.length || 1), 1)[0]);
        else if ('lose' in what) server.frames.splice(what.lose, 1);
        else if ('repeat' in what) deliver(server.frames[what.repeat]);
        else if ('pass' in what) now += what.pass;
        else if ('beat' in what) server.beat();
        else if ('refuse' in what) refuse = true;
        else {
          server.frames = [];
          server.followed.clear();
          client.following.disconnected();
        }
        pump();
      }
      // From now on nothing is lost, and the heart goes on beating: no more connections are needed.
      for (let i = 0; i < 30; i += 1) {
        now += 5_000;
        server.beat();
        while (server.frames.length > 0) deliver(server.frames.shift());
        pump();
      }
      for (const [id, head] of server.logs) {
        const view = client.following.look(id);
        expect([id, view.lastSeq, view.behind]).toEqual([id, head, false]);
        expect(view.messages.map(({ seq }) => seq)).toEqual(Array.from({ length: head }, (_, n) => n + 1));
        const told = client.applied.filter(({ sessionId }) => sessionId === id).map(({ seq }) => seq);
        expect(told).toEqual(Array.from({ length: head }, (_, n) => n + 1));
      }
      expect(client.following.next(now)).toEqual({ send: [], wakeAt: Infinity });
    }),
    { numRuns: 300 },
  );
}, 60_000);
