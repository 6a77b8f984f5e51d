/** Sets the clone up if need be, then runs a command that is written in TypeScript, with the arguments of this one. */
import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { root, setUpToDevelop } from './setup.mjs';

/** @param {string} file from the root of the clone */
export function runTypeScript(file) {
  setUpToDevelop();
  const tsx = pathToFileURL(`${root}/node_modules/tsx/dist/loader.mjs`).href;
  const child = spawn(process.execPath, ['--import', tsx, `${root}/${file}`, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
