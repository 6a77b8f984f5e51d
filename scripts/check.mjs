/**
 * `npm run check`: everything that can be said about the code in under a minute. All steps run even
 * if one fails; a step named on the command line runs alone (`npm run check -- lint`).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { install, root } from './setup.mjs';

const bin = join(root, 'node_modules');
/** @type {Record<string, string[][]>} */
const steps = {
  format: [[join(bin, 'oxfmt/bin/oxfmt'), '--check']],
  types: [[join(root, 'scripts/setup.mjs')], [join(bin, 'typescript/bin/tsc'), '-p', 'tsconfig.check.json']],
  lint: [[join(bin, 'oxlint/bin/oxlint')]],
  layers: [[join(root, 'scripts/check-layers.mjs')]],
  unused: [[join(bin, 'knip/bin/knip.js'), '--no-config-hints']],
  unit: [[join(bin, 'vitest/vitest.mjs'), 'run', '--project', 'unit']],
};

install({ dev: true });
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in steps));
if (unknown.length > 0) {
  process.stderr.write(`no such step: ${unknown.join(', ')} (there are ${Object.keys(steps).join(', ')})\n`);
  process.exit(2);
}
const report = [];
for (const [name, commands] of Object.entries(steps)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stdout.write(`\n── ${name}\n`);
  const began = performance.now();
  const ok = commands.every((args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0);
  report.push({ name, ok, seconds: (performance.now() - began) / 1000 });
}
process.stdout.write('\n');
for (const { name, ok, seconds } of report) {
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(8)}${seconds.toFixed(1)} s\n`);
}
process.exit(report.every(({ ok }) => ok) ? 0 : 1);
