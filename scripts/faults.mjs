/** `npm run faults -- NAME …`: sets the clone up if need be, then runs a fault under load; see `conformance/storm/run.ts`. */
import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { root, setUpToDevelop } from './setup.mjs';

setUpToDevelop();
const tsx = pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href;
const child = spawn(process.execPath, ['--import', tsx, `${root}/conformance/storm/run.ts`, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
