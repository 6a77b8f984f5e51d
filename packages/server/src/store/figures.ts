import { ALL, type Figure, figureNames, slotOf, type Tally } from '../domain/figures.ts';
import type { SessionStatus } from '@switchboard/protocol';
import type { DayFigures } from '../domain/ports.ts';
import type { Dialect, Row, Run, Transaction, Value } from './dialect.ts';

/**
 * The counters, in `chat_figures`. A slot has a row for each shard, and its value is their sum: transactions that run at
 * the same time add to rows of their own instead of waiting for each other.
 */
const SHARDS = 16;

export const figureColumn: Readonly<Record<Figure, string>> = {
  waiting: 'waiting',
  active: 'active',
  closed: 'closed',
  created: 'created',
  completed: 'completed',
  answered: 'answered',
  responseMs: 'response_ms',
  rated: 'rated',
  ratingSum: 'rating_sum',
  messages: 'messages',
};

/** How rows of figures are added: what a row has already stays, and the new is added to it. */
interface Addition {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  /** Follows the rows. */
  readonly tail: string;
}

/** Only the columns that something is added to: most batches have nothing but messages, and a statement is read each time. */
function addition(tally: Tally, name: Dialect['name'], shard: number): Addition {
  const changes = tally.changes();
  const names = figureNames.filter((figure) => changes.some(([, figures]) => figures[figure] !== 0));
  const added = names.map((figure) => figureColumn[figure]);
  const sums = added.map((c) => `${c}=${c}+${name === 'mysql' ? `VALUES(${c})` : `excluded.${c}`}`).join(', ');
  return {
    columns: ['slot', 'shard', ...added],
    rows: changes.map(([slot, figures]) => [slot, shard % SHARDS, ...names.map((figure) => figures[figure])]),
    tail: `${name === 'mysql' ? 'ON DUPLICATE KEY UPDATE' : 'ON CONFLICT(slot, shard) DO UPDATE SET'} ${sums}`,
  };
}

/**
 * Adds to the figures, in the transaction that changes what they count, as its last statement: nobody may wait for
 * another lock while holding these. Rows are in one order for everybody.
 */
export function addFigures(tx: Transaction, dialect: Dialect, tally: Tally, shard: number): void {
  const { columns, rows, tail } = addition(tally, dialect.name, shard);
  tx.insert('chat_figures', columns, rows, tail);
}

/** The same for a migration, in pieces. */
export async function addFiguresByRun(run: Run, name: Dialect['name'], tally: Tally): Promise<void> {
  const { columns, rows, tail } = addition(tally, name, 0);
  const marks = `(${columns.map(() => '?').join(',')})`;
  for (let i = 0; i < rows.length; i += CHUNK) {
    const some = rows.slice(i, i + CHUNK);
    const values = some.map(() => marks).join(',');
    await run(`INSERT INTO chat_figures (${columns.join(',')}) VALUES ${values} ${tail}`, some.flat());
  }
}
const CHUNK = 1_000;

/** Runs one query outside any transaction. */
export type Read = (sql: string, values: readonly Value[]) => Promise<Row[]>;

export async function readStatusCounts(read: Read): Promise<{ waiting: number; active: number; closed: number }> {
  const [row] = await read(
    'SELECT SUM(waiting) AS w, SUM(active) AS a, SUM(closed) AS c FROM chat_figures WHERE slot=?',
    [ALL],
  );
  return { waiting: Number(row?.['w'] ?? 0), active: Number(row?.['a'] ?? 0), closed: Number(row?.['c'] ?? 0) };
}

/** A part of the list: how many sessions lie before it, and how many in it. */
export interface Stretch {
  readonly slot: number;
  readonly before: number;
  readonly size: number;
}

/** So many stretches are read first, about a week; then each time as many times more, until the place is found. */
const STRETCHES = 32;
const MORE = 16;
const FIRST_SLOT = -(2 ** 31);

/**
 * The stretch in which the session at an offset is. There is one for every six hours of all years, and pages near the top
 * are asked for most: so they are added up from the top.
 * @returns null when the list is shorter
 */
export async function readStretch(read: Read, status: SessionStatus | 'all', offset: number): Promise<Stretch | null> {
  const count = status === 'all' ? 'SUM(waiting+active+closed)' : `SUM(${status})`;
  let slot = FIRST_SLOT;
  let before = 0;
  for (let limit = STRETCHES; ; limit *= MORE) {
    const rows = await read(
      `SELECT slot, ${count} AS own FROM chat_figures WHERE slot>? AND slot<? GROUP BY slot ORDER BY slot LIMIT ?`,
      [slot, ALL, limit],
    );
    for (const row of rows) {
      slot = Number(row['slot']);
      const size = Number(row['own']);
      if (before + size > offset) return { slot, before, size };
      before += size;
    }
    if (rows.length < limit) return null;
  }
}

/** @param from and `to` begin slots, as every day does */
export async function readDayFigures(read: Read, from: number, to: number): Promise<DayFigures> {
  const names = ['created', 'completed', 'answered', 'responseMs', 'rated', 'ratingSum', 'messages'] as const;
  const sums = names.map((name) => `SUM(${figureColumn[name]}) AS ${figureColumn[name]}`);
  const [row] = await read(`SELECT ${sums.join(',')} FROM chat_figures WHERE slot>=? AND slot<?`, [
    slotOf(from),
    slotOf(to),
  ]);
  const sum = (name: Figure): number => Number(row?.[figureColumn[name]] ?? 0);
  return {
    created: sum('created'),
    closed: sum('completed'),
    answered: sum('answered'),
    responseMs: sum('responseMs'),
    rated: sum('rated'),
    ratingSum: sum('ratingSum'),
    messages: sum('messages'),
  };
}
