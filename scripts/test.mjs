/** `npm test`: sets the clone up if need be, then runs every test. Arguments go to Vitest. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUpToDevelop } from './setup.mjs';

setUpToDevelop();
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
