import type { Verdict } from './judge.ts';
import type { StormOptions } from './storm.ts';

/** After something that was away had come back; milliseconds. */
export interface Recovery {
  readonly firstMs: number;
  readonly allMs: number;
}

export interface Report {
  readonly cycles: number;
  readonly verdict: Verdict;
  readonly acked: number;
  readonly retries: number;
  /** Acks that said `duplicate`. */
  readonly duplicates: number;
  /** How often each error code was the answer to a send. */
  readonly refused: ReadonlyMap<string, number>;
  /** Lines that were lost and made anew, of all who took part. */
  readonly reconnects: number;
  /** The longest that a send was without any answer while its line stood. */
  readonly slowestAnswerMs: number;
  readonly recoveries: readonly Recovery[];
  /** Messages in flight when each fault struck, smallest and mean. */
  readonly inFlight: { readonly least: number; readonly mean: number };
  readonly events: number;
  readonly seconds: number;
}

/** The command that repeats a storm. */
export function commandOf(name: string, { store, cycles, seed, senders, window }: StormOptions): string {
  const size = `${senders === undefined ? '' : ` --senders ${senders}`}${window === undefined ? '' : ` --window ${window}`}`;
  return `npm run faults -- ${name} --cycles ${cycles} --store ${store} --seed ${seed}${size}`;
}

/** A report as the lines that people read. */
export function linesOf({ verdict, ...report }: Report): string[] {
  const { recoveries, refused } = report;
  const rows: [string, string | number][] = [
    ['cycles', report.cycles],
    ['messages acknowledged', report.acked],
    ['events in the logs', report.events],
    ['messages handed in again', report.retries],
    ['acknowledged as duplicates', report.duplicates],
    ['in flight when it struck', `least ${report.inFlight.least}, mean ${report.inFlight.mean.toFixed(0)}`],
    ['lines lost and made anew', report.reconnects],
    ['sends refused', [...refused].map(([code, times]) => `${code} ${times}`).join(', ') || 'none'],
    ['longest without an answer', seconds(report.slowestAnswerMs)],
  ];
  if (recoveries.length > 0) {
    rows.push(['back until the first ack', spread(recoveries.map((r) => r.firstMs))]);
    rows.push(['back until all had an ack', spread(recoveries.map((r) => r.allMs))]);
  }
  rows.push(
    ['acknowledged and lost', verdict.lost.length],
    ['stored or shown twice', verdict.doubled.length],
    ['order disagreements', verdict.disordered.length],
    ['holes', verdict.holes.length],
    ['duration', seconds(report.seconds * 1000)],
  );
  const found = Object.entries(verdict).flatMap(([kind, list]: [string, string[]]) =>
    list.slice(0, 10).map((line) => `  ${kind}: ${line}`),
  );
  return [...rows.map(([what, figure]) => `  ${what.padEnd(26)} ${figure}`), ...found];
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `median ${seconds(sorted[Math.floor(sorted.length / 2)] as number)}, most ${seconds(sorted.at(-1) as number)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}
