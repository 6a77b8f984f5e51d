/** Short storms of every kind, so that each change is tried in one. The long ones are `npm run faults`. */
import { describe, expect, test } from 'vitest';
import { describeWith } from '../../testing/requires.ts';
import { seed } from '../../testing/seed.ts';
import { type FaultRun, faultRuns } from './faults.ts';
import { commandOf, missed } from './report.ts';
import { storm, type StoreName, type StormOptions } from './storm.ts';

const calm = { lost: [], doubled: [], disordered: [], holes: [], miscounted: [] };
const LONG = 180_000;

/** A seed that once found something is worth more than a new one: pin it with what it found. */
function short(name: string, store: StoreName, cycles: number, how: { lastsMs?: number; seed?: number } = {}): void {
  const run = faultRuns[name];
  if (!run) throw new Error(`there is no fault ${name}`);
  const options: StormOptions = { store, cycles, seed, lastsMs: run.lastsMs ?? 0, ...run.options, ...how };
  test(
    `${name} × ${cycles} (seed ${options.seed}): nothing lost, nothing twice, one order, no hole`,
    () =>
      blow(run, options).catch((error: unknown) => {
        throw new Error(`to repeat it: ${commandOf(name, options)}`, { cause: error });
      }),
    LONG,
  );
}

async function blow(run: FaultRun, options: StormOptions): Promise<void> {
  const report = await storm(options, run.fault);
  expect(report.verdict).toEqual(calm);
  expect(missed(run, report).broken).toEqual([]);
  expect(report.acked).toBeGreaterThan(options.cycles * 20);
  expect(report.inFlight.least).toBeGreaterThanOrEqual(20);
}

describe('storms on SQLite', () => {
  short('kill-server', 'sqlite', 5);
  short('restart-server', 'sqlite', 2);
  short('cut-clients', 'sqlite', 5);
});

describeWith('small-disk', 'storms on SQLite on a small disk', () =>
  short('fill-disk', 'sqlite', 1, { lastsMs: 1_000 }),
);

describeWith('faketime', 'storms on SQLite with a clock of its own', () => short('set-clock', 'sqlite', 1));

describeWith(
  'mariadb',
  'storms on MariaDB',
  () => {
    short('kill-server', 'mariadb', 3);
    short('kill-at-commit', 'mariadb', 2);
    short('kill-database', 'mariadb', 3);
    short('absent-database', 'mariadb', 1, { lastsMs: 2_000 });
    // Longer than a statement may take, as below.
    short('freeze-database', 'mariadb', 1, { lastsMs: 6_000 });
    short('cut-database', 'mariadb', 4);
    short('exhaust-database', 'mariadb', 1, { lastsMs: 1_000 });
    short('lock-table', 'mariadb', 1, { lastsMs: 6_000 });
    short('slow-database', 'mariadb', 1, { lastsMs: 2_000 });
  },
  { own: true },
);

describeWith(
  ['mariadb', 'small-disk'],
  'storms on MariaDB on a small disk',
  () => short('fill-disk', 'mariadb', 1, { lastsMs: 1_000 }),
  { own: true },
);

describeWith(
  'mysql',
  'storms on MySQL',
  () => {
    short('kill-database', 'mysql', 2);
    short('kill-at-commit', 'mysql', 1);
  },
  { own: true },
);
