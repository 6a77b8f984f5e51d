import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem, type } from 'node:os';
import type { Gathered } from '../measure/gathered.ts';
import { Histogram } from '../measure/histogram.ts';
import { median } from '../measure/statistics.ts';
import { questions } from '../shapes/lists.ts';
import { loadShapes, type LoadRun } from '../shapes/load.ts';
import type { Scene } from '../shapes/scene.ts';
import { ratioTable, short } from './ratios.ts';
import { latencyPicture } from './svg.ts';
import { table } from './table.ts';

const place = new URL('../', import.meta.url);

/** Writes RESULTS.md and one picture for each shape under load. */
export async function writeResults(scene: Scene, gathered: Gathered): Promise<void> {
  mkdirSync(new URL('results/', place), { recursive: true });
  const sections = [
    '# Results\n',
    'Written by `npm run bench`; what the figures mean is told in [docs/performance.md](../docs/performance.md). Ratios count: absolute figures are this machine’s.\n',
    `${machine(scene)}\n`,
    '## Targets\n',
    `Each ratio is of two runs of the same round; the median and the range are over the rounds.\n\n${ratioTable(gathered)}\n`,
    ...loadSections(gathered),
    ...otherSections(gathered),
  ];
  if (gathered.faults.length > 0)
    sections.push(`## Failed runs\n\n${gathered.faults.map((fault) => `- ${fault}`).join('\n')}\n`);
  writeFileSync(new URL('RESULTS.md', place), sections.join('\n'));
}

function machine({ options, version }: Scene): string {
  const commit =
    git('rev-parse', '--short', 'HEAD') +
    (git('status', '--porcelain', 'packages') === '' ? '' : ' and changes on top of it');
  const versions = ['ws', 'mysql2'].map((name) => `${name} ${versionOf(`../node_modules/${name}`)}`);
  const own = ['socket.io', 'express'].map((name) => `${name} ${versionOf(`node_modules/${name}`)}`);
  return table(
    ['', ''],
    [
      ['date', new Date().toISOString().slice(0, 16).replace('T', ' ')],
      [
        'machine',
        `${cpus().length} cores, ${cpus()[0]?.model ?? ''}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()}`,
      ],
      ['runtime', `Node.js ${process.versions.node}`],
      ['database', `${version}, innodb_flush_log_at_trx_commit=1; SQLite with WAL and synchronous=FULL`],
      ['libraries', [...versions, ...own].join(', ')],
      ['Switchboard', commit],
      ['rounds', `${options.rounds}, ${options.measureMs / 1000} s of measuring in each run`],
    ],
  );
}

function loadSections({ load }: Gathered): string[] {
  return loadShapes.flatMap(({ name, title }) => {
    const bySubject = load.get(name);
    if (!bySubject) return [];
    const lines = [...bySubject].map(([subject, runs]) => {
      const times = new Histogram();
      for (const run of runs) if (run) times.merge(new Histogram(run.whole));
      return { name: subject, times };
    });
    const file = `latency-${name}.svg`;
    writeFileSync(
      new URL(`results/${file}`, place),
      latencyPicture(`${title}: from sending to acknowledged and delivered`, lines),
    );
    const rows = [...bySubject].map(([subject, runs]) =>
      loadRow(
        subject,
        runs.filter((run) => run !== null),
      ),
    );
    const head = [
      '',
      'msg/s',
      'range',
      'p50 ms',
      'p99 ms',
      'server µs',
      'database µs',
      'generator µs',
      'others',
      'fsync p50 / p99 ms',
    ];
    return [`## ${title}\n`, `![Latencies](results/${file})\n\n${table(head, rows)}\n`];
  });
}

/** Medians over the rounds. CPU is microseconds per message; `others` are cores that other programs kept busy. */
function loadRow(subject: string, runs: readonly LoadRun[]): string[] {
  const middle = (figure: (run: LoadRun) => number): string => short(median(runs.map(figure)));
  const cpu = (who: string): string => middle((run) => run.cpu[who] ?? Number.NaN);
  const rates = runs.map((run) => run.perSecond);
  return [
    subject,
    middle((run) => run.perSecond),
    `${short(Math.min(...rates))} – ${short(Math.max(...rates))}`,
    middle((run) => new Histogram(run.whole).quantile(0.5)),
    middle((run) => new Histogram(run.whole).quantile(0.99)),
    cpu('server'),
    cpu('database'),
    cpu('generator'),
    cpu('others'),
    `${middle((run) => run.fsync.p50)} / ${middle((run) => run.fsync.p99)}`,
  ];
}

function otherSections({ store, idle, resume, start, lists }: Gathered): string[] {
  const sections: string[] = [];
  if (store.length > 0) {
    const rows = [
      ['SQL server, 500 a transaction, two connections', short(median(store.map((run) => run.sql)))],
      ['SQLite, 100 a transaction', short(median(store.map((run) => run.sqlite)))],
    ];
    sections.push('## Messages a second of the bare drivers\n', `${table(['', 'msg/s'], rows)}\n`);
  }
  if (idle.length > 0) {
    const rows = Object.keys(idle[0] ?? {}).map((name) => [
      name,
      short(median(idle.map((run) => (run[name]?.bytes ?? Number.NaN) / 1024))),
      short(median(idle.map((run) => (run[name]?.collected ?? Number.NaN) / 1024))),
    ]);
    sections.push(
      '## Memory of an idle connection\n',
      `${table(['10,000 connections', 'KiB each', 'KiB each after a full collection'], rows)}\n`,
    );
  }
  if (resume.length > 0) {
    const rows = Object.keys(resume[0] ?? {}).map((name) => [
      name,
      short(median(resume.map((run) => run[name]?.seconds ?? Number.NaN))),
      short(median(resume.map((run) => run[name]?.cpu['server'] ?? Number.NaN))),
    ]);
    sections.push('## 10,000 clients come back and resume\n', `${table(['', 'seconds', 'server µs each'], rows)}\n`);
  }
  if (start.length > 0)
    sections.push(
      '## Start\n',
      `Ready after ${short(median(start))} ms (median), tables made on an empty SQLite file.\n`,
    );
  if (lists.rounds.length > 0) sections.push('## Lists and history\n', `${listTable(lists)}\n`);
  return sections;
}

function listTable({ sizes, rounds }: Gathered['lists']): string {
  const rows = questions.map(({ name }) => [
    name,
    ...sizes.map((size) => {
      const figures = rounds.flatMap((run) => run.get(name)?.get(size) ?? []);
      if (figures.length === 0) return '';
      return `${short(median(figures.map((f) => f.p50)))} / ${short(median(figures.map((f) => f.p99)))}`;
    }),
    String(Math.max(...rounds.flatMap((run) => [...(run.get(name)?.values() ?? [])].map((f) => f.queries)))),
  ]);
  return table(['p50 / p99 ms', ...sizes.map((size) => `${size.toLocaleString('en')} sessions`), 'queries'], rows);
}

function versionOf(folder: string): string {
  return (JSON.parse(readFileSync(new URL(`${folder}/package.json`, place), 'utf8')) as { version: string }).version;
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { encoding: 'utf8', cwd: new URL('..', place) }).trim();
  } catch {
    return 'unknown';
  }
}
