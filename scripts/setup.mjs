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

/**
 * What is made of sources by another tool than the compiler, which an image with a finished build does not have.
 * @typedef {object} Bundle
 * @property {string} tool
 * @property {string[]} from folders and files
 * @property {string[]} to what must not be older
 */
/** @type {Bundle[]} */
const bundles = [
  {
    tool: 'packages/client/bundle.mjs',
    from: ['packages/client/src'],
    to: ['packages/client/dist/switchboard-client.global.js', 'packages/client/dist/switchboard-client.min.js'],
  },
  {
    tool: 'packages/server/bundle.mjs',
    from: ['packages/server/src', 'packages/protocol/src', 'node_modules/.package-lock.json'],
    // Written last.
    to: ['packages/server/dist/main-licenses.txt'],
  },
];

/** Enough to run the server: an image with a finished build and no development tools is left as it is. */
export function setUpToRun() {
  const toBuild = sourcePackages().some((folder) => !existsSync(join(folder, 'dist/.tsbuildinfo')));
  install({ dev: toBuild });
  if (existsSync(compiler) && (compiledIsStale() || bundles.some(isStale))) build();
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
  bundle();
}

/** Makes anew what is older than its sources. */
export function bundle() {
  for (const { tool } of bundles.filter(isStale)) run(process.execPath, [join(root, tool)]);
}

/** Whether the compiler may have something to do: to be told so by itself takes it longer than the server needs to start. */
function compiledIsStale() {
  return sourcePackages().some((folder) => {
    const sources = ['src', 'tsconfig.json', '../../tsconfig.base.json', '../../tsconfig.json'];
    return lastChange(sources.map((path) => join(folder, path))) > lastChange([join(folder, 'dist/.tsbuildinfo')]);
  });
}

/** @param {Bundle} bundle */
function isStale({ tool, from, to }) {
  const sources = [tool, ...from].map((path) => join(root, path));
  if (!sources.every(existsSync) || !existsSync(join(root, 'node_modules/rolldown'))) return false;
  return to.some((path) => lastChange([join(root, path)]) < lastChange(sources));
}

/**
 * When any of these, or anything in them, changed last; 0 if there is none. A folder changes when a file comes or goes.
 * @param {string[]} paths
 */
function lastChange(paths) {
  let latest = 0;
  for (const path of paths) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) continue;
    const inside = found.isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [];
    latest = Math.max(latest, found.mtimeMs, lastChange(inside));
  }
  return latest;
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
