/** What Switchboard has to reach, against yardsticks of the same round, and what it reached. */
import type { Gathered } from '../measure/gathered.ts';
import { Histogram } from '../measure/histogram.ts';
import { median } from '../measure/statistics.ts';
import { BARE_WS } from '../shapes/idle.ts';
import { CORKED, type LoadRun, ON_SQLITE, RELAY, SOCKET_IO, SWITCHBOARD } from '../shapes/load.ts';
import { table } from './table.ts';

interface Goal {
  readonly what: string;
  readonly unit: string;
  /** Reached when the median is on the right side of it. */
  readonly bound: number;
  readonly atLeast: boolean;
  /** By round; NaN where something was not measured. */
  readonly values: readonly number[];
}

const perSecond = (run: LoadRun): number => run.perSecond;
const latency =
  (share: number) =>
  (run: LoadRun): number =>
    new Histogram(run.whole).quantile(share);

/** One subject's figure over another's, by round. */
function over(
  g: Gathered,
  shape: string,
  subject: string,
  yardstick: string,
  figure: (run: LoadRun) => number,
): number[] {
  const runs = g.load.get(shape)?.get(subject) ?? [];
  const others = g.load.get(shape)?.get(yardstick) ?? [];
  return runs.map((run, i) => {
    const other = others[i];
    return run && other ? figure(run) / figure(other) : Number.NaN;
  });
}

function goals(g: Gathered, subject: string): Goal[] {
  const least = (what: string, bound: number, values: readonly number[]): Goal => ({
    what,
    unit: '×',
    bound,
    atLeast: true,
    values,
  });
  const most = (what: string, bound: number, values: readonly number[], unit = '×'): Goal => ({
    what,
    unit,
    bound,
    atLeast: false,
    values,
  });
  return [
    least('64×16: messages a second, of Socket.IO', 18, over(g, '64x16', subject, SOCKET_IO, perSecond)),
    least('64×16: messages a second, of the corked relay', 0.42, over(g, '64x16', subject, CORKED, perSecond)),
    least('1,000×1: messages a second, of Socket.IO', 6.5, over(g, '1000x1', subject, SOCKET_IO, perSecond)),
    least('1,000×1: messages a second, of the relay', 0.7, over(g, '1000x1', subject, RELAY, perSecond)),
    most('1×1: p50, of Socket.IO', 0.6, over(g, '1x1', subject, SOCKET_IO, latency(0.5))),
    most('half load: p50, of Socket.IO', 0.7, over(g, 'half-load', subject, SOCKET_IO, latency(0.5))),
    most('half load: p99, of Socket.IO', 0.6, over(g, 'half-load', subject, SOCKET_IO, latency(0.99))),
  ];
}

function otherGoals(g: Gathered): Goal[] {
  const onSqlite = g.load.get('64x16')?.get(ON_SQLITE) ?? [];
  const raw = g.store.map(({ sqlite }, i) => (onSqlite[i]?.perSecond ?? Number.NaN) / sqlite);
  const kib = g.idle.map((run) => (run['switchboard']?.bytes ?? Number.NaN) / 1024);
  const resume = g.resume.map(
    (run) => (run['switchboard']?.seconds ?? Number.NaN) / (run[BARE_WS]?.seconds ?? Number.NaN),
  );
  return [
    { what: 'SQLite, 64×16: messages a second, of the bare driver', unit: '×', bound: 0.6, atLeast: true, values: raw },
    { what: 'idle connection with identity', unit: 'KiB', bound: 6, atLeast: false, values: kib },
    ...listGoals(g),
    { what: '10,000 clients resume: time, of bare ws', unit: '×', bound: 1.5, atLeast: false, values: resume },
    { what: 'cold start, embedded', unit: 's', bound: 1, atLeast: false, values: g.start.map((ms) => ms / 1000) },
  ];
}

function listGoals({ lists: { sizes, rounds } }: Gathered): Goal[] {
  const [small, large] = [sizes[0], sizes.at(-1)];
  if (small === undefined || large === undefined || small === large) return [];
  const p50 = (question: string, size: number): number[] =>
    rounds.map((run) => run.get(question)?.get(size)?.p50 ?? Number.NaN);
  const grown = (question: string): number[] => {
    const before = p50(question, small);
    return p50(question, large).map((ms, i) => ms / (before[i] ?? Number.NaN));
  };
  const thousand = large.toLocaleString('en');
  const first = ['all', 'closed', 'active (spread evenly)', 'waiting (the oldest 2 %)'].map((status): Goal => ({
    what: `list of ${thousand}: ${status}, first page p50, of the same at ${small.toLocaleString('en')}`,
    unit: '×',
    bound: 1.5,
    atLeast: false,
    values: grown(`${status}, first page`),
  }));
  const behind = ['cursor behind page 1,000', 'cursor at 90 %'].map((place): Goal => ({
    what: `list of ${thousand}: ${place} p50, of the cursor behind page 1`,
    unit: '×',
    bound: 1.5,
    atLeast: false,
    values: p50(`all, ${place}`, large).map((ms, i) => ms / (p50('all, cursor behind page 1', large)[i] ?? Number.NaN)),
  }));
  const history = [
    'newest page',
    'page 1,000',
    'cursor near the end',
    'cursor in the middle',
    'cursor near the start',
  ].map((place): Goal => ({
    what: `history of 100,000 messages: ${place} p50, of the newest page`,
    unit: '×',
    bound: 1.5,
    atLeast: false,
    values: p50(`history, ${place}`, large).map((ms, i) => ms / (p50('history, newest page', large)[i] ?? Number.NaN)),
  }));
  return [
    ...first,
    {
      what: `list of ${thousand}: page 1,000 p50`,
      unit: 'ms',
      bound: 5,
      atLeast: false,
      values: p50('all, page 1,000', large),
    },
    ...behind,
    ...history.slice(1),
  ];
}

/** The targets, Markdown. Other builds follow with their own rows. */
export function ratioTable(g: Gathered): string {
  const builds = [...(g.load.values().next().value?.keys() ?? [])].filter(
    (name) => name.startsWith(`${SWITCHBOARD} `) && name !== ON_SQLITE,
  );
  const groups = [
    { name: '', rows: [...goals(g, SWITCHBOARD), ...otherGoals(g)] },
    { name: 'on SQLite: ', rows: goals(g, ON_SQLITE) },
    ...builds.map((name) => ({ name: `${name.slice(SWITCHBOARD.length + 1)}: `, rows: goals(g, name) })),
  ];
  const rows = groups.flatMap(({ name, rows: some }) =>
    some.flatMap((goal) => {
      const values = goal.values.filter((value) => !Number.isNaN(value));
      if (values.length === 0) return [];
      const middle = median(values);
      const reached = goal.atLeast ? middle >= goal.bound : middle <= goal.bound;
      const range = `${short(Math.min(...values))} – ${short(Math.max(...values))}`;
      // Only the SQL server has targets under load; the embedded store's figures stand beside them.
      const target = name === 'on SQLite: ' ? '' : `${goal.atLeast ? '≥' : '≤'} ${goal.bound} ${goal.unit}`;
      return [
        [name + goal.what, target, `${short(middle)} ${goal.unit}`, range, target === '' ? '' : reached ? 'yes' : 'no'],
      ];
    }),
  );
  return table(['', 'target', 'median', 'range', 'reached'], rows);
}

export function short(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
