/** `npm run faults -- kill-server --cycles 1000 --store mysql [--seed 1]`: runs a fault under load and prints a report. */
import { parseArgs } from 'node:util';
import { faultRuns } from './faults.ts';
import { faultless } from './judge.ts';
import { storm, type StoreName } from './storm.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: 'string', default: '20' },
    store: { type: 'string', default: 'sqlite' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    senders: { type: 'string', default: '8' },
    window: { type: 'string', default: '8' },
  },
});
const name = positionals[0] ?? '';
const run = faultRuns[name];
if (!run || !['sqlite', 'mariadb', 'mysql'].includes(values.store)) {
  const names = Object.entries(faultRuns).map(([n, r]) => `  ${n.padEnd(18)} ${r.what}`);
  process.stderr.write(
    `usage: npm run faults -- NAME [--cycles 20] [--store sqlite|mariadb|mysql] [--seed N]\n${names.join('\n')}\n`,
  );
  process.exit(2);
}
process.stdout.write(`${name} × ${values.cycles} on ${values.store}, seed ${values.seed}\n`);
const report = await storm(
  {
    store: values.store as StoreName,
    cycles: Number(values.cycles),
    seed: Number(values.seed),
    senders: Number(values.senders),
    window: Number(values.window),
    ...run.options,
  },
  run.fault,
);
const { verdict } = report;
const rows: [string, string | number][] = [
  ['messages acknowledged', report.acked],
  ['events in the logs', report.events],
  ['messages handed in again', report.retries],
  ['in flight when it struck', `least ${report.inFlight.least}, mean ${report.inFlight.mean.toFixed(0)}`],
  ['acknowledged and lost', verdict.lost.length],
  ['stored or shown twice', verdict.doubled.length],
  ['order disagreements', verdict.disordered.length],
  ['holes', verdict.holes.length],
  ['seconds', report.seconds.toFixed(0)],
];
for (const [what, figure] of rows) process.stdout.write(`  ${what.padEnd(26)} ${figure}\n`);
for (const [kind, list] of Object.entries(verdict))
  for (const line of list.slice(0, 10)) process.stdout.write(`  ${kind}: ${line}\n`);
process.exit(faultless(verdict) ? 0 : 1);
