/**
 * Gets a clone ready to run: installs what the lock file asks for and builds what is out of date.
 * Only Node's built-ins may be imported here, as this runs before anything is installed. What it
 * says goes to stderr, so that stdout stays the server's.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const bundler = join(root, 'packages/client/bundle.mjs');

/** Enough to run the server: an image with a finished build and no development tools is left as it is. */
export function setUpToRun() {
  const toBuild = sourcePackages().some((folder) => !existsSync(join(folder, 'dist/.tsbuildinfo')));
  install({ dev: toBuild });
  if (existsSync(compiler)) build();
}

/** Enough to work on it. */
export function setUpToDevelop() {
  install({ dev: true });
  build();
}

/** @param {{ dev: boolean }} options whether the development tools are needed too */
export function install({ dev }) {
  if (!installIsStale(dev)) return;
  const verb = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install';
  const args = [verb, '--no-audit', '--no-fund', '--include=dev'];
  process.stderr.write(`installing dependencies (npm ${verb}) …\n`);
  const npm = process.env['npm_execpath'];
  if (npm?.endsWith('.js')) run(process.execPath, [npm, ...args]);
  else run('npm', args);
}

/**
 * npm writes down what it installed in `node_modules/.package-lock.json`, last of all. An install is
 * stale when that record lacks a package of the lock file, or has another version of it.
 * @param {boolean} dev
 */
function installIsStale(dev) {
  const wanted = readLock('package-lock.json');
  const installed = readLock('node_modules/.package-lock.json');
  if (!wanted || !installed) return true;
  return Object.entries(wanted).some(([path, entry]) => {
    if (!path.includes('node_modules/')) return false;
    const found = installed[path];
    if (found) return found.version !== entry.version;
    return !(entry.optional || entry.devOptional || entry.peer || (entry.dev && !dev));
  });
}

/** @typedef {{ version?: string, optional?: boolean, devOptional?: boolean, peer?: boolean, dev?: boolean }} Entry */

/**
 * @param {string} file
 * @returns {Record<string, Entry> | undefined}
 */
function readLock(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

/** `tsc -b` rebuilds only what changed, but keeps old diagnostics when only a tsconfig did; hence --force. */
function build() {
  const configs = [join(root, 'tsconfig.base.json'), join(root, 'tsconfig.json')];
  const force = sourcePackages().some((folder) => {
    const built = statSync(join(folder, 'dist/.tsbuildinfo'), { throwIfNoEntry: false });
    return built && [...configs, join(folder, 'tsconfig.json')].some((file) => statSync(file).mtimeMs > built.mtimeMs);
  });
  run(process.execPath, [compiler, '-b', ...(force ? ['--force'] : [])]);
  if (bundlesAreStale()) run(process.execPath, [bundler]);
}

/** What a page loads of the SDK, made of its sources by a tool that an image with a finished build does not have. */
function bundlesAreStale() {
  const from = join(root, 'packages/client/src');
  if (!existsSync(from) || !existsSync(join(root, 'node_modules/rolldown'))) return false;
  const sources = [bundler, ...readdirSync(from).map((name) => join(from, name))].map((file) => statSync(file).mtimeMs);
  return ['global', 'min'].some((kind) => {
    const file = join(root, `packages/client/dist/switchboard-client.${kind}.js`);
    const made = statSync(file, { throwIfNoEntry: false });
    return !made || made.mtimeMs < Math.max(...sources);
  });
}

function sourcePackages() {
  const folders = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));
  return folders.filter((folder) => existsSync(join(folder, 'src')) && existsSync(join(folder, 'tsconfig.json')));
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const shell = process.platform === 'win32' && command === 'npm';
  // The child's stdout is this process's stderr.
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell });
  if (error) process.stderr.write(`${command}: ${error.message}\n`);
  if (status !== 0) process.exit(status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUpToDevelop();
