/**
 * Prints where a V8 CPU profile's time went, by function: `node bench/top.mjs file.cpuprofile [rows] [skip]`, without the
 * first `skip` seconds (3 unless told), in which a server starts and warms up.
 */
import { readFileSync } from 'node:fs';

const [file = '', rows = '40', skip = '3'] = process.argv.slice(2);
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
const self = new Map();
let elapsed = 0;
for (const [i, id] of samples.entries()) {
  elapsed += timeDeltas[i] ?? 0;
  if (elapsed > Number(skip) * 1e6) self.set(id, (self.get(id) ?? 0) + (timeDeltas[i] ?? 0));
}
const byId = new Map(nodes.map((node) => [node.id, node]));
const total = new Map();
function sum(node, above) {
  const name = label(node);
  let time = self.get(node.id) ?? 0;
  const inner = above.has(name) ? above : new Set(above).add(name);
  for (const id of node.children ?? []) time += sum(byId.get(id), inner);
  if (!above.has(name)) total.set(name, (total.get(name) ?? 0) + time);
  return time;
}
function label({ callFrame: { functionName, url, lineNumber } }) {
  const place = url.replace(/^.*\/(?=(node_modules|packages)\/)/, '').replace('node_modules/', '').replace('/dist/', '/');
  return `${functionName || '(anonymous)'} ${place}${lineNumber > 0 ? `:${lineNumber + 1}` : ''}`;
}
sum(nodes[0], new Set());
const selfByName = new Map();
for (const [id, time] of self) {
  const name = label(byId.get(id));
  selfByName.set(name, (selfByName.get(name) ?? 0) + time);
}
const idle = ['(idle) ', '(program) '].reduce((time, name) => time + (selfByName.get(name) ?? 0), 0);
const busy = [...selfByName.values()].reduce((a, b) => a + b, 0) - (selfByName.get('(idle) ') ?? 0);
const percent = (time) => `${((time / busy) * 100).toFixed(1).padStart(5)} %`;
process.stdout.write(`busy ${(busy / 1e6).toFixed(1)} s, idle or outside JavaScript ${(idle / 1e6).toFixed(1)} s\n  self    total\n`);
for (const [name, time] of [...selfByName].sort((a, b) => b[1] - a[1]).slice(0, Number(rows))) {
  if (name !== '(idle) ') process.stdout.write(`${percent(time)} ${percent(total.get(name) ?? 0)}  ${name}\n`);
}
