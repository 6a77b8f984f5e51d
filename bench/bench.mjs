/** `npm run bench`: sets the clone up if need be, then measures. Arguments are those of `options.ts`. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { root, setUpToDevelop } from '../scripts/setup.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
setUpToDevelop();
if (!existsSync(new URL('node_modules/.package-lock.json', import.meta.url))) {
  process.stderr.write('installing the yardsticks (npm ci in bench/) …\n');
  const installed = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: here,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (installed.status !== 0) process.exit(installed.status ?? 1);
}
const tsx = pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href;
const child = spawn(process.execPath, ['--import', tsx, `${here}/run.ts`, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
