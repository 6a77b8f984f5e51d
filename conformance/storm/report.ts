import type { FaultRun } from './faults.ts';
import { faultless } from './judge.ts';
import type { Report, StormOptions } from './storm.ts';

/** What is promised when the store is away; milliseconds. */
const ANSWERED_MS = 5_000;
const FIRST_ACK_MS = 3_000;

/** What a report breaks of the promises, in words. The times hold on a machine that is not overloaded. */
export function missed(run: FaultRun, report: Report): { readonly broken: string[]; readonly late: string[] } {
  const broken: string[] = [];
  const late: string[] = [];
  if (!faultless(report.verdict)) broken.push('a message was lost, doubled, out of order, not shown, or miscounted');
  for (const [code, times] of report.refused)
    if (code !== 'UNAVAILABLE') broken.push(`${times} sends were answered with ${code}`);
  if (run.keepsLines && report.reconnects > 0) broken.push(`${report.reconnects} lines were lost`);
  if (!run.takesStore) return { broken, late };
  if (report.slowestAnswerMs > ANSWERED_MS)
    late.push(
      `a send was without an answer for ${seconds(report.slowestAnswerMs)}, promised are ${seconds(ANSWERED_MS)}`,
    );
  const first = Math.max(0, ...report.recoveries.map((r) => r.firstMs));
  if (first > FIRST_ACK_MS)
    late.push(`the first ack came after ${seconds(first)}, promised are ${seconds(FIRST_ACK_MS)}`);
  return { broken, late };
}

/** The command that repeats a storm. */
export function commandOf(name: string, options: StormOptions): string {
  const { store, cycles, seed, senders, window, lastsMs, entry } = options;
  const also = Object.entries({ senders, window, lasts: lastsMs === undefined ? undefined : lastsMs / 1_000, entry })
    .filter(([, value]) => value !== undefined && value !== 0)
    .map(([option, value]) => ` --${option} ${value}`);
  return `npm run faults -- ${name} --cycles ${cycles} --store ${store} --seed ${seed}${also.join('')}`;
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
    ['totals that are wrong', verdict.miscounted.length],
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
