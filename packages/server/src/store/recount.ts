import { ALL, type Figure, figureNames, SLOT_MS, STRETCH_MS, stretchOf, Tally } from '../domain/figures.ts';
import type { Dialect, Row, Run } from './dialect.ts';
import { addFiguresByRun, figureColumn } from './figures.ts';

/**
 * Brings the counters to what the rows say: counts all rows, compares, and adds the difference. Since it only adds,
 * others may go on writing meanwhile, and it may be cut off anywhere and run again. Never two at a time: call it alone.
 * @returns how many slots were wrong
 */
export async function recount(run: Run, name: Dialect['name']): Promise<number> {
  const difference = await differences(run, name);
  await addFiguresByRun(run, name, difference);
  return difference.changes().length;
}

/** Whether the counters know how many sessions of each status there are: a glance, where `recount` looks at everything. */
export async function countersAgree(run: Run): Promise<boolean> {
  const statuses = ['waiting', 'active', 'closed'];
  // One statement, so that both are of one moment.
  const [row] = await run(
    `SELECT ${statuses.map((s) => `s.${s} AS ${s}, f.${s} AS counted_${s}`).join(', ')}
     FROM (SELECT ${statuses.map((s) => `COALESCE(SUM(CASE WHEN status='${s}' THEN 1 ELSE 0 END), 0) AS ${s}`).join(', ')} FROM chat_sessions) s
     CROSS JOIN (SELECT ${statuses.map((s) => `COALESCE(SUM(${s}), 0) AS ${s}`).join(', ')} FROM chat_figures WHERE slot=${ALL}) f`,
  );
  return statuses.every((s) => Number(row?.[s]) === Number(row?.[`counted_${s}`]));
}

/** What the rows say less what the counters say, both of one moment. */
async function differences(run: Run, name: Dialect['name']): Promise<Tally> {
  const { begin, end } = forms[name];
  for (const statement of begin) await run(statement);
  const tally = new Tally();
  for (const row of await run(list(name))) {
    const stretch = row['stretch'] === null ? null : Number(row['stretch']) * STRETCH_MS;
    for (const slot of [ALL, stretchOf(stretch)]) addTo(tally, slot, ['waiting', 'active', 'closed'], row, 1);
  }
  for (const { figures, sql } of scans(name)) {
    for (const row of await run(sql)) addTo(tally, Number(row['slot']), figures, row, 1);
  }
  const sums = figureNames.map((figure) => `SUM(${figureColumn[figure]}) AS ${figure}`);
  for (const row of await run(`SELECT slot, ${sums.join(',')} FROM chat_figures GROUP BY slot`)) {
    addTo(tally, Number(row['slot']), figureNames, row, -1);
  }
  for (const statement of end) await run(statement);
  return tally;
}

function addTo(tally: Tally, slot: number, figures: readonly Figure[], row: Row, sign: 1 | -1): void {
  for (const figure of figures) tally.add(slot, figure, sign * Number(row[figure] ?? 0));
}

interface Scan {
  readonly figures: readonly Figure[];
  readonly sql: string;
}

/** How the list stands: sessions by status and by the stretch of their newest message. */
function list(name: Dialect['name']): string {
  const { seconds, quotient } = forms[name];
  const sums = ['waiting', 'active', 'closed'].map((s) => `SUM(CASE WHEN status='${s}' THEN 1 ELSE 0 END) AS ${s}`);
  const stretch = quotient(seconds('last_message_time'), STRETCH_MS / 1000);
  return `SELECT ${stretch} AS stretch, ${sums.join(',')} FROM chat_sessions GROUP BY 1`;
}

/** The figures' meaning, as queries over all rows. */
function scans(name: Dialect['name']): Scan[] {
  const { seconds, milliseconds, quotient, atLeastZero } = forms[name];
  const slot = (column: string): string => quotient(seconds(column), SLOT_MS / 1000);
  const perSlot = (column: string, sums: string, where: string): string =>
    `SELECT ${slot(column)} AS slot, ${sums} FROM chat_sessions WHERE ${where} GROUP BY 1`;
  const waited = `${milliseconds('first_reply_at')} - COALESCE(${milliseconds('first_user_message_at')}, ${milliseconds('first_reply_at')})`;
  return [
    { figures: ['created'], sql: perSlot('created_at', 'COUNT(*) AS created', '1=1') },
    {
      figures: ['completed'],
      sql: perSlot('closed_at', 'COUNT(*) AS completed', "status='closed' AND closed_at IS NOT NULL"),
    },
    {
      figures: ['answered', 'responseMs'],
      sql: perSlot(
        'first_reply_at',
        `COUNT(*) AS answered, SUM(${atLeastZero(waited)}) AS responseMs`,
        'first_reply_at IS NOT NULL',
      ),
    },
    {
      figures: ['rated', 'ratingSum'],
      sql: perSlot('rated_at', 'COUNT(*) AS rated, SUM(rating_score) AS ratingSum', 'rated_at IS NOT NULL'),
    },
    {
      figures: ['messages'],
      sql: `SELECT ${slot('created_at')} AS slot, COUNT(*) AS messages FROM chat_messages GROUP BY 1`,
    },
  ];
}

interface Forms {
  /** Before and after the reads, so that they see one moment. */
  readonly begin: readonly string[];
  readonly end: readonly string[];
  readonly seconds: (column: string) => string;
  readonly milliseconds: (column: string) => string;
  readonly quotient: (value: string, by: number) => string;
  readonly atLeastZero: (value: string) => string;
}

/** Migrations have no dialect to ask; these words are needed by them alone. */
const forms: Readonly<Record<Dialect['name'], Forms>> = {
  mysql: {
    begin: ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'],
    end: ['COMMIT'],
    seconds: (column) => `UNIX_TIMESTAMP(${column})`,
    milliseconds: (column) => `ROUND(UNIX_TIMESTAMP(${column}) * 1000)`,
    quotient: (value, by) => `${value} DIV ${by}`,
    atLeastZero: (value) => `GREATEST(0, ${value})`,
  },
  sqlite: {
    // There migrations are a transaction already.
    begin: [],
    end: [],
    seconds: (column) => `CAST(strftime('%s', ${column}) AS INTEGER)`,
    milliseconds: (column) =>
      `(CAST(strftime('%s', ${column}) AS INTEGER) * 1000 + CAST(substr(${column}, 21, 3) AS INTEGER))`,
    quotient: (value, by) => `${value} / ${by}`,
    atLeastZero: (value) => `MAX(0, ${value})`,
  },
};
