/** A server under a fuzzer: does it live, does it keep its memory, does it go on serving somebody who is well-behaved? */
import { setTimeout as sleep } from 'node:timers/promises';
import { startSwitchboard, type Switchboard } from '../../testing/switchboard.ts';
import { Budget } from './budget.ts';
import { Neighbour } from './neighbour.ts';

export interface Limits {
  readonly count: number;
  readonly minutes: number;
}

export interface Verdict {
  /** How many things were tried. */
  readonly tried: number;
  /** What must not have happened, in words; empty when all is well. */
  readonly wrong: readonly string[];
  /** Megabytes of memory, as it was at the end of each tenth of the run. */
  readonly memory: readonly number[];
  /** The same of the heap. */
  readonly heap: readonly number[];
  /** What the healthy neighbour waited for its acks; milliseconds. */
  readonly neighbour: { readonly acks: number; readonly worst: number };
  readonly seconds: number;
}

const EVERY_MS = 100;

/** Runs a fuzzer against a server of its own. */
export async function watched(
  limits: Limits,
  work: (server: Switchboard, budget: Budget) => Promise<readonly string[]>,
): Promise<Verdict> {
  const began = performance.now();
  const entry = process.env['SWITCHBOARD_ENTRY'];
  const server = await startSwitchboard({
    ...(entry === undefined ? {} : { entry }),
    env: { RATE_LIMIT: 'off', LOG_LEVEL: 'warn' },
    readyTimeoutMs: 120_000,
  });
  const wrong: string[] = [];
  const memory: number[] = [];
  const heap: number[] = [];
  let running = true;
  let tenth = 0;
  let budget: Budget | null = null;
  const heard = { acks: 0, worst: 0 };
  try {
    const neighbour = await Neighbour.open(server);
    const talk = (async () => {
      while (running) {
        const from = performance.now();
        await neighbour.say();
        heard.acks += 1;
        heard.worst = Math.max(heard.worst, performance.now() - from);
        await sleep(EVERY_MS);
      }
    })().catch((error: unknown) => wrong.push(`the neighbour: ${(error as Error).message.slice(0, 300)}`));
    const sampled: Promise<void>[] = [];
    budget = new Budget(limits.count, limits.minutes * 60_000, (part) => {
      if (part * 10 < tenth + 1) return;
      tenth += 1;
      sampled.push(sample(server, memory, heap).catch(() => undefined));
    });
    const died = server.exit.then(({ code, signal }) => {
      if (running) throw new Error(`the server ended with ${code ?? signal}\n${server.tail()}`);
    });
    await Promise.race([
      work(server, budget).then((faults) => {
        wrong.push(...faults);
      }),
      died,
    ]).catch((error: unknown) => wrong.push((error as Error).message));
    await Promise.all(sampled);
    running = false;
    await talk;
    if (server.pid !== undefined) {
      const internal = await metric(server, 'switchboard_errors_total{code="INTERNAL"}');
      if (internal > 0) wrong.push(`${internal} × INTERNAL`);
    }
    for (const record of server.records)
      if (record['level'] === 'error' || record['level'] === 'fatal')
        wrong.push(JSON.stringify(record).slice(0, 1_000));
    neighbour.leave();
  } finally {
    running = false;
    await server.remove();
  }
  const grown = growth(memory);
  if (grown > 1) wrong.push(`memory grew by ${grown.toFixed(2)} of what it was: ${memory.join(', ')} MB`);
  return {
    tried: budget?.used ?? 0,
    wrong,
    memory,
    heap,
    neighbour: heard,
    seconds: (performance.now() - began) / 1_000,
  };
}

async function sample(server: Switchboard, memory: number[], heap: number[]): Promise<void> {
  memory.push(await megabytes(server, 'process_resident_memory_bytes'));
  heap.push(await megabytes(server, 'nodejs_heap_size_used_bytes'));
}

async function megabytes(server: Switchboard, name: string): Promise<number> {
  return Math.round((await metric(server, name)) / 1_048_576);
}

async function metric(server: Switchboard, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** By how much the last third is above the second one: the first one is where a server finds its size. */
function growth(samples: readonly number[]): number {
  const third = Math.floor(samples.length / 3);
  if (third === 0) return 0;
  const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;
  return mean(samples.slice(-third)) / mean(samples.slice(-2 * third, -third)) - 1;
}
