import { expect, test } from 'vitest';
import { admin, append, brokenRules, command, onEveryStore, user, verdict } from './open-store.ts';

/** Four-way claims. Each store gets all of them at once, in rounds that fill its queue but do not overflow it. */
const RACES = 10_000;
const ROUND = 1_000;

onEveryStore('races', (bench) => {
  test(`${RACES} four-way claims have one winner each`, { timeout: 180_000 }, async () => {
    const nodes = await bench.nodes();
    for (let from = 0; from < RACES; from += ROUND) {
      const ids = Array.from({ length: ROUND }, (_, i) => `race-${from + i}`);
      await Promise.all(
        ids.map((id, i) => append(nodes[i % 2 === 0 ? 0 : 1], command('message', id, { by: user(from + i + 1) }))),
      );
      const results = await Promise.all(
        ids.map((id) =>
          Promise.all(
            [1, 2, 3, 4].map((n) => append(nodes[n % 2 === 0 ? 0 : 1], command('claim', id, { by: admin(n) }))),
          ),
        ),
      );
      for (const claims of results) {
        expect(claims.map(verdict).toSorted()).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT', 'ok']);
        const winner = claims.findIndex((c) => c.outcome) + 1;
        expect(claims[winner - 1]?.outcome?.session.adminId).toBe(winner);
      }
    }
    const [held] = await bench.rows("SELECT COUNT(*) AS n FROM chat_sessions WHERE status = 'active' AND last_seq = 2");
    const [events] = await bench.rows('SELECT COUNT(*) AS n, COUNT(DISTINCT session_id) AS d FROM chat_events');
    expect([held?.['n'], events?.['n'], events?.['d']].map(Number)).toEqual([RACES, RACES, RACES]);
    expect(await brokenRules(bench)).toEqual([]);
  });
});
