/** Short storms of every kind, so that each change is tried in one. The long ones are `npm run faults`. */
import { describe, expect, test } from 'vitest';
import { describeWith } from '../../testing/requires.ts';
import { faultRuns } from './faults.ts';
import { storm, type StoreName } from './storm.ts';

const calm = { lost: [], doubled: [], disordered: [], holes: [] };
const LONG = 180_000;

/** A seed that once found something is worth more than a new one: pin it here with what it found. */
const seed = Math.trunc(performance.timeOrigin) % 1_000_000;

function short(name: string, store: StoreName, cycles: number): void {
  test(
    `${name} × ${cycles} (seed ${seed}): nothing lost, nothing twice, one order, no hole`,
    async () => {
      const run = faultRuns[name];
      if (!run) throw new Error(`there is no fault ${name}`);
      const report = await storm({ store, cycles, seed, ...run.options }, run.fault);
      expect(report.verdict).toEqual(calm);
      expect(report.acked).toBeGreaterThan(cycles * 20);
      expect(report.inFlight.least).toBeGreaterThanOrEqual(20);
    },
    LONG,
  );
}

describe('storms on SQLite', () => {
  short('kill-server', 'sqlite', 5);
  short('restart-server', 'sqlite', 2);
  short('cut-clients', 'sqlite', 5);
});

describeWith(
  'mariadb',
  'storms on MariaDB',
  () => {
    short('kill-server', 'mariadb', 3);
    short('kill-database', 'mariadb', 3);
    short('cut-database', 'mariadb', 4);
  },
  { own: true },
);

describeWith('mysql', 'storms on MySQL', () => short('kill-database', 'mysql', 2), { own: true });
