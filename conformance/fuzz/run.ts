/** `npm run fuzz -- frames|rest|tcp [--count 100000] [--minutes 60] [--seed 1]`: sends what nobody should send, and prints a report. */
import { parseArgs } from 'node:util';
import { fuzzers } from './fuzzers.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const name = positionals[0] ?? '';
const run = fuzzers[name];
const [count, minutes, seed] = [Number(values.count), Number(values.minutes), Number(values.seed)];
if (!run || !Number.isInteger(count) || !(count > 0) || !(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write(
    `usage: npm run fuzz -- ${Object.keys(fuzzers).join('|')} [--count N] [--minutes N] [--seed N]\n`,
  );
  process.exit(2);
}
process.stdout.write(`${name}, seed ${seed}\n`);
const { tried, wrong, memory, heap, neighbour, seconds } = await run({ count, minutes }, seed);
const rows: [string, string | number][] = [
  ['tried', tried.toLocaleString('en')],
  ['a second', Math.round(tried / seconds).toLocaleString('en')],
  ['memory by tenths, MB', memory.join(' ')],
  ['heap by tenths, MB', heap.join(' ')],
  ['neighbour', `${neighbour.acks} acks, the slowest ${neighbour.worst.toFixed(0)} ms`],
  ['seconds', seconds.toFixed(0)],
  ['wrong', wrong.length],
];
for (const [what, figure] of rows) process.stdout.write(`  ${what.padEnd(22)} ${figure}\n`);
for (const line of wrong.slice(0, 20)) process.stdout.write(`  ${line}\n`);
process.exit(wrong.length === 0 ? 0 : 1);
