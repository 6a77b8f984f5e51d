import { describe, expect, test } from 'vitest';
import { APART_MS, createReceipts, EVERY_MS, type Receipts } from './receipts.ts';

/** What is sent from a moment on, each with its time. */
function run(receipts: Receipts, from: number, until: number): [number, string, string, number][] {
  const sent: [number, string, string, number][] = [];
  for (let now = from; now <= until;) {
    const { send, wakeAt } = receipts.next(now);
    for (const frame of send as { data: { sessionId: string; kind: string; upToSeq: number } }[]) {
      sent.push([now, frame.data.sessionId, frame.data.kind, frame.data.upToSeq]);
    }
    expect(wakeAt).toBeGreaterThan(now);
    now = wakeAt;
  }
  return sent;
}

describe('receipts', () => {
  test('go out at once, and then at most once a second with the newest place', () => {
    const receipts = createReceipts();
    receipts.mark('S', 'delivered', 1);
    expect(run(receipts, 1_000, 1_000)).toEqual([[1_000, 'S', 'delivered', 1]]);
    for (let seq = 2; seq <= 9; seq += 1) receipts.mark('S', 'delivered', seq);
    expect(run(receipts, 1_010, 9_000)).toEqual([[1_000 + EVERY_MS, 'S', 'delivered', 9]]);
  });

  test('of reading say that it was delivered too', () => {
    const receipts = createReceipts();
    receipts.mark('S', 'delivered', 3);
    receipts.mark('S', 'read', 3);
    expect(run(receipts, 1_000, 9_000)).toEqual([[1_000, 'S', 'read', 3]]);
    receipts.mark('S', 'delivered', 5);
    expect(run(receipts, 9_000, 19_000)).toEqual([[9_000, 'S', 'delivered', 5]]);
  });

  test('never go back', () => {
    const receipts = createReceipts();
    receipts.mark('S', 'read', 5);
    receipts.mark('S', 'read', 3);
    expect(run(receipts, 1_000, 9_000)).toEqual([[1_000, 'S', 'read', 5]]);
    receipts.mark('S', 'read', 4);
    expect(run(receipts, 9_000, 19_000)).toEqual([]);
  });

  test('of many sessions do not come as a flood', () => {
    const receipts = createReceipts();
    for (let i = 0; i < 5; i += 1) receipts.mark(`S${i}`, 'delivered', 1);
    expect(run(receipts, 1_000, 9_000).map(([at]) => at)).toEqual([0, 1, 2, 3, 4].map((i) => 1_000 + i * APART_MS));
  });

  test('that were lost are said again', () => {
    const receipts = createReceipts();
    receipts.mark('S', 'delivered', 5);
    run(receipts, 1_000, 1_000);
    receipts.confirm('S', { delivered: 5, read: 0 });
    expect(run(receipts, 3_000, 4_000)).toEqual([]);
    receipts.confirm('S', { delivered: 2, read: 0 });
    expect(run(receipts, 5_000, 6_000)).toEqual([[5_000, 'S', 'delivered', 5]]);
  });

  test('of a log that is another one now are forgotten', () => {
    const receipts = createReceipts();
    receipts.mark('S', 'read', 50);
    receipts.forget('S');
    receipts.confirm('S', { delivered: 0, read: 0 });
    expect(run(receipts, 1_000, 9_000)).toEqual([]);
  });
});
