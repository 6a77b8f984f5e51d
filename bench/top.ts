/**
 * Prints where a V8 CPU profile's time went, by function: `npx tsx bench/top.ts file.cpuprofile [rows] [skip]`, without the
 * first `skip` seconds (3 unless told), in which a server starts and warms up.
 */
import { readFileSync } from 'node:fs';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const [file = '', rows = '40', skip = '3'] = process.argv.slice(2);
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as Profile;
const byId = new Map(nodes.map((node) => [node.id, node]));
const selfOf = new Map<number, number>();
let elapsed = 0;
for (const [i, id] of samples.entries()) {
  elapsed += timeDeltas[i] ?? 0;
  if (elapsed > Number(skip) * 1e6) selfOf.set(id, (selfOf.get(id) ?? 0) + (timeDeltas[i] ?? 0));
}

const self = new Map<string, number>();
const total = new Map<string, number>();
const add = (sums: Map<string, number>, name: string, time: number): void =>
  void sums.set(name, (sums.get(name) ?? 0) + time);

/** Time of a node and all below it; a function that calls itself counts once. */
function sum(node: ProfileNode, above: ReadonlySet<string>): number {
  const name = label(node);
  const own = selfOf.get(node.id) ?? 0;
  add(self, name, own);
  let time = own;
  const inner = above.has(name) ? above : new Set([...above, name]);
  for (const id of node.children ?? []) time += sum(byId.get(id) as ProfileNode, inner);
  if (!above.has(name)) add(total, name, time);
  return time;
}

function label({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const place = url
    .replace(/^.*\/(?=(node_modules|packages)\/)/, '')
    .replace('node_modules/', '')
    .replace('/dist/', '/');
  return `${functionName || '(anonymous)'} ${place}${lineNumber > 0 ? `:${lineNumber + 1}` : ''}`;
}

const IDLE = '(idle) ';
sum(nodes[0] as ProfileNode, new Set());
const idle = self.get(IDLE) ?? 0;
const busy = [...self.values()].reduce((a, b) => a + b, 0) - idle;
const percent = (time: number): string => `${((time / busy) * 100).toFixed(1).padStart(5)} %`;
process.stdout.write(`busy ${(busy / 1e6).toFixed(1)} s, idle ${(idle / 1e6).toFixed(1)} s\n  self    total\n`);
for (const [name, time] of [...self].sort((a, b) => b[1] - a[1]).slice(0, Number(rows))) {
  if (name !== IDLE) process.stdout.write(`${percent(time)} ${percent(total.get(name) ?? 0)}  ${name}\n`);
}
