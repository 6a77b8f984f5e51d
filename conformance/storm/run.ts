/** `npm run faults -- kill-server --cycles 1000 --store mysql [--seed 1]`: runs a fault under load and prints a report. */
import { parseArgs } from 'node:util';
import { faultRuns } from './faults.ts';
import { commandOf, linesOf, missed } from './report.ts';
import { storm, type StoreName, type StormOptions } from './storm.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: 'string', default: '20' },
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    senders: { type: 'string' },
    window: { type: 'string' },
    lasts: { type: 'string' },
    entry: { type: 'string' },
  },
});
const name = positionals[0] ?? '';
const run = faultRuns[name];
const store = values.store ?? run?.stores[0] ?? '';
const numbers = [values.cycles, values.seed, values.senders ?? 1, values.window ?? 1].map(Number);
if (!run?.stores.includes(store as StoreName) || !numbers.every(Number.isInteger) || !(Number(values.cycles) > 0)) {
  const names = Object.entries(faultRuns).map(([n, r]) => `  ${n.padEnd(18)} ${r.what} (${r.stores.join(', ')})`);
  process.stderr.write(
    `usage: npm run faults -- NAME [--cycles 20] [--store STORE] [--seed N] [--senders 8] [--window 8] [--lasts SECONDS] [--entry MAIN.JS]\n${names.join('\n')}\n`,
  );
  process.exit(2);
}
const options: StormOptions = {
  store: store as StoreName,
  cycles: Number(values.cycles),
  seed: Number(values.seed),
  ...(values.senders === undefined ? {} : { senders: Number(values.senders) }),
  ...(values.window === undefined ? {} : { window: Number(values.window) }),
  ...(values.entry === undefined ? {} : { entry: values.entry }),
  ...run.options,
  lastsMs: values.lasts === undefined ? (run.lastsMs ?? 0) : Number(values.lasts) * 1_000,
  goesOn: (cycles) => {
    if (cycles % 50 === 0) process.stderr.write(`${new Date().toISOString()} ${cycles} cycles\n`);
    return !interrupted;
  },
};
// SIGTERM to this process ends the storm after the cycle that is under way. Ctrl-C reaches servers and databases too.
let interrupted = false;
process.on('SIGTERM', () => (interrupted = true));
const command = commandOf(name, options);
process.stdout.write(`${command}\n`);
let good = false;
try {
  const report = await storm(options, run.fault);
  process.stdout.write(`${linesOf(report).join('\n')}\n`);
  const { broken, late } = missed(run, report);
  for (const line of [...broken, ...late]) process.stdout.write(`  MISSED: ${line}\n`);
  good = broken.length === 0 && late.length === 0;
} catch (error) {
  process.stdout.write(`  ${error instanceof Error ? error.stack : String(error)}\n`);
}
if (!good) process.stdout.write(`FAILED; to repeat it: ${command}\n`);
process.exit(good ? 0 : 1);
