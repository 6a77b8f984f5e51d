/** Measures, round by round, everything in turn within each round, and writes down what came out. */
import { type Gathered, nothingYet } from './measure/gathered.ts';
import { Histogram } from './measure/histogram.ts';
import { median } from './measure/statistics.ts';
import { type Options, readOptions } from './options.ts';
import { ratioTable } from './report/ratios.ts';
import { writeResults } from './report/results.ts';
import { runIdle } from './shapes/idle.ts';
import { runLists } from './shapes/lists.ts';
import { loadShapes, runLoad, SOCKET_IO, subjectsOf } from './shapes/load.ts';
import { runResume } from './shapes/resume.ts';
import { type Scene, setScene } from './shapes/scene.ts';
import { runStart } from './shapes/start.ts';
import { runStore } from './shapes/store.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function measure(scene: Scene, gathered: Gathered): Promise<void> {
  const { shapes, rounds } = scene.options;
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    await measureLoad(scene, gathered);
    if (shapes.has('store'))
      await attempt(gathered, 'store', async () => void gathered.store.push(await runStore(scene)));
    if (shapes.has('idle')) await attempt(gathered, 'idle', async () => void gathered.idle.push(await runIdle(scene)));
    if (shapes.has('resume'))
      await attempt(gathered, 'resume', async () => void gathered.resume.push(await runResume(scene)));
    if (shapes.has('start')) await attempt(gathered, 'start', async () => void gathered.start.push(await runStart()));
  }
  if (shapes.has('lists'))
    await attempt(gathered, 'lists', async () => void (gathered.lists = await runLists(scene, say)));
}

async function measureLoad(scene: Scene, gathered: Gathered): Promise<void> {
  const { options } = scene;
  for (const shape of loadShapes.filter(({ name }) => options.shapes.has(name))) {
    const open = shape.name === 'half-load' ? halfLoad(gathered) : null;
    for (const name of subjectsOf(shape, options)) {
      const bySubject = gathered.load.get(shape.name) ?? new Map<string, never[]>();
      gathered.load.set(shape.name, bySubject);
      const runs = bySubject.get(name) ?? [];
      bySubject.set(name, runs);
      const run = await attempt(gathered, `${shape.name}, ${name}`, () => runLoad(scene, shape, name, open));
      runs.push(run as never);
      if (!run) continue;
      const times = new Histogram(run.whole);
      const cpu = Object.entries(run.cpu).map(([who, value]) => `${who} ${value.toFixed(1)}`);
      const figures = [
        `${Math.round(run.perSecond)}/s`.padStart(9),
        `p50 ${times.quantile(0.5).toFixed(2)}`.padStart(11),
        `p99 ${times.quantile(0.99).toFixed(2)}`.padStart(11),
        `fsync ${run.fsync.p50.toFixed(2)} / ${run.fsync.p99.toFixed(1)}`,
        cpu.join(', '),
      ];
      say(`  ${shape.name.padEnd(9)} ${name.padEnd(22)} ${figures.join('  ')}`);
    }
  }
}

/** A run that loses a message is a fault to be told, and no reason to measure nothing more. */
async function attempt<T>(gathered: Gathered, what: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const fault = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    say(`  FAILED ${fault}`);
    gathered.faults.push(fault);
    return null;
  }
}

/** What Socket.IO managed so far at its best, halved; a usual figure where it was not asked. */
function halfLoad({ load }: Gathered): number {
  const peaks = [...load.values()].map((bySubject) =>
    median((bySubject.get(SOCKET_IO) ?? []).flatMap((run) => (run ? [run.perSecond] : []))),
  );
  const peak = Math.max(...peaks.filter((value) => !Number.isNaN(value)));
  return Number.isFinite(peak) ? peak / 2 : 1_500;
}

async function run(options: Options): Promise<number> {
  const scene = await setScene(options);
  const gathered = nothingYet();
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  });
  try {
    await Promise.race([measure(scene, gathered), interrupted]);
  } finally {
    await scene.close();
  }
  process.stdout.write(`\n${ratioTable(gathered)}\n`);
  if (options.write) await writeResults(scene, gathered);
  for (const fault of gathered.faults) process.stdout.write(`FAILED ${fault}\n`);
  return gathered.faults.length === 0 ? 0 : 1;
}

try {
  process.exit(await run(readOptions(process.argv.slice(2))));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}
