/** A short run of what `npm run retries` does at length. */
import { expect, test } from 'vitest';
import { seed } from '../../testing/seed.ts';
import { boot, describeStores } from '../boot.ts';
import { forcedRetries } from './retries.ts';

describeStores('forced retries', (store) => {
  test(`R5.6 R5.7 of 1,500 retries (seed ${seed}) none is stored or shown twice, all are acknowledged alike`, async () => {
    const server = await boot({ ...(await store.database()), env: { MAX_ACTIVE_SESSIONS_PER_ADMIN: '100000' } });
    try {
      const report = await forcedRetries(server, { count: 1_500, seed });
      expect(report.wrong).toEqual([]);
      expect(report.retries).toBeGreaterThanOrEqual(1_500);
      // Every kind of retry has been there.
      expect(report).not.toMatchObject({ nameless: 0 });
      expect(report).not.toMatchObject({ closed: 0 });
      expect(report).not.toMatchObject({ conflicts: 0 });
      expect(report.atOnce / report.retries).toBeGreaterThan(0.03);
    } finally {
      await server.remove();
    }
  }, 180_000);
});
