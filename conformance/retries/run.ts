/** `npm run retries -- [--count 50000] [--minutes 60] [--store sqlite|mariadb|mysql] [--seed 1]`: hands messages in again, and prints a report. */
import { parseArgs } from 'node:util';
import { startMariadb } from '../../testing/mariadb.ts';
import { startMysql } from '../../testing/real-mysql.ts';
import { startSwitchboard } from '../../testing/switchboard.ts';
import { forcedRetries } from './retries.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '50000' },
    minutes: { type: 'string', default: '600' },
    store: { type: 'string', default: 'sqlite' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const [count, minutes, seed] = [Number(values.count), Number(values.minutes), Number(values.seed)];
const isSensible = count > 0 && Number.isInteger(count) && minutes > 0 && Number.isInteger(seed);
if (!isSensible || !['sqlite', 'mariadb', 'mysql'].includes(values.store)) {
  process.stderr.write(
    'usage: npm run retries -- [--count N] [--minutes N] [--store sqlite|mariadb|mysql] [--seed N]\n',
  );
  process.exit(2);
}
process.stdout.write(`${count.toLocaleString('en')} retries on ${values.store}, seed ${seed}\n`);
const began = performance.now();
const database = values.store === 'sqlite' ? null : await (values.store === 'mysql' ? startMysql() : startMariadb());
const schema = await database?.createDatabase();
const server = await startSwitchboard({
  ...(schema ? { databaseUrl: schema.url } : {}),
  env: { RATE_LIMIT: 'off', LOG_LEVEL: 'warn', MAX_ACTIVE_SESSIONS_PER_ADMIN: '100000' },
  readyTimeoutMs: 120_000,
});
try {
  const { wrong, ...counts } = await forcedRetries(server, {
    count,
    minutes,
    seed,
    users: 96,
    admins: 32,
  });
  const rows: [string, string | number][] = [
    ['messages', counts.messages],
    ['sessions', counts.sessions],
    ['handed in again', counts.retries],
    ['on two ways at once', `${counts.atOnce} (${((counts.atOnce / counts.retries) * 100).toFixed(1)} %)`],
    ['naming no session', counts.nameless],
    ['in a closed session', counts.closed],
    ['another payload', `${counts.conflicts} × CONFLICT`],
    ['seconds', ((performance.now() - began) / 1_000).toFixed(0)],
    ['wrong', wrong.length],
  ];
  for (const [what, figure] of rows) process.stdout.write(`  ${what.padEnd(22)} ${figure}\n`);
  for (const line of wrong.slice(0, 20)) process.stdout.write(`  ${line}\n`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  await server.remove();
  await database?.stop();
}
