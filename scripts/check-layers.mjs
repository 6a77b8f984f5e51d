/** Enforces the layer table of `layers.mjs`; prints each breach and exits with 1 if there is any. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';
import { clocks, layers, publicDoors } from './layers.mjs';

/** @typedef {{ specifier: string | undefined, typeOnly: boolean, at: number }} Import */

/**
 * Every fault of one file against the table.
 * @param {string} file its path from the root of the repository, with forward slashes
 * @param {string} source
 * @returns {string[]}
 */
export function faultsOf(file, source) {
  if (/\.test\.tsx?$/.test(file) && file.startsWith('packages/')) return [];
  const room = roomOf(file);
  if (room === undefined) return [`${file}: belongs to no room of scripts/layers.mjs; add one or move it`];
  const { imports, nows } = read(file, source);
  const faults = imports.map((one) => ({ at: one.at, text: faultOf(file, room, one) }));
  if (!clocks.test(file) && file.startsWith('packages/')) {
    for (const at of nows) faults.push({ at, text: 'takes the time from `new Date()`; time comes only through Clock' });
  }
  return faults
    .filter(({ text }) => text !== undefined)
    .map(({ at, text }) => `${file}:${source.slice(0, at).split('\n').length}: ${room} ${text}`);
}

/**
 * @param {string} file
 * @param {string} room
 * @param {Import} one
 * @returns {string | undefined}
 */
function faultOf(file, room, { specifier, typeOnly }) {
  const may = /** @type {import('./layers.mjs').Room} */ (layers[room]);
  if (specifier === undefined) return 'imports something that is not a plain string, which nothing can check';
  if (isBuiltin(specifier)) return may.node ? undefined : `may not import Node's ${specifier}`;
  let target = publicDoors[specifier];
  if (specifier.startsWith('.')) {
    const path = posix.join(posix.dirname(file), specifier);
    if (packageOf(path) !== packageOf(file) && path.startsWith('packages/')) {
      return `reaches into another package by ${specifier}; import it by its name`;
    }
    target = roomOf(path);
    if (target === undefined) return `imports ${specifier}, which belongs to no room of scripts/layers.mjs`;
  }
  if (target !== undefined) {
    if (target === room || may.rooms.includes(target)) return undefined;
    if (may.rooms.includes(`type ${target}`)) {
      return typeOnly ? undefined : `may import only types from ${target} (${specifier})`;
    }
    return `may not import from ${target} (${specifier})`;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (name.startsWith('@switchboard/')) return `imports ${specifier}, which scripts/layers.mjs does not know`;
  return may.packages.includes('*') || may.packages.includes(name) ? undefined : `may not import the package ${name}`;
}

/** @param {string} path */
function roomOf(path) {
  return Object.keys(layers).find((name) => layers[name]?.files.test(path));
}

/** @param {string} path */
function packageOf(path) {
  return path.split('/', path.startsWith('packages/') ? 2 : 1).join('/');
}

/**
 * What a source imports, and where it says `new Date()` or `Date()` without an argument.
 * @param {string} file
 * @param {string} source
 * @returns {{ imports: Import[], nows: number[] }}
 */
function read(file, source) {
  const { program, errors } = parseSync(file, source);
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
  /** @type {Import[]} */
  const imports = [];
  /** @type {number[]} */
  const nows = [];
  /** @param {import('oxc-parser').NewExpression | import('oxc-parser').CallExpression} call */
  const see = (call) => {
    if (call.callee.type === 'Identifier' && call.callee.name === 'Date' && call.arguments.length === 0) {
      nows.push(call.start);
    }
  };
  /**
   * @param {{ start: number }} node
   * @param {{ type: string, value?: unknown } | null} target
   * @param {boolean} typeOnly
   */
  const add = ({ start }, target, typeOnly) => {
    if (target === null) return;
    const specifier = target.type === 'Literal' && typeof target.value === 'string' ? target.value : undefined;
    imports.push({ specifier, typeOnly, at: start });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source, node.importKind === 'type'),
    ExportNamedDeclaration: (node) => add(node, node.source, node.exportKind === 'type'),
    ExportAllDeclaration: (node) => add(node, node.source, node.exportKind === 'type'),
    ImportExpression: (node) => add(node, node.source, false),
    TSImportType: (node) => add(node, node.source, true),
    NewExpression: see,
    CallExpression: see,
  }).visit(program);
  return { imports, nows };
}

/** @param {string} root */
function sourcesOf(root) {
  const folders = readdirSync(`${root}packages`).map((name) => `packages/${name}/src`);
  return [...folders, 'conformance', 'testing'].flatMap((folder) => {
    if (!statSync(root + folder, { throwIfNoEntry: false })?.isDirectory()) return [];
    const files = readdirSync(root + folder, { recursive: true, encoding: 'utf8' });
    return files.filter((name) => /\.tsx?$/.test(name)).map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = sourcesOf(root);
  const faults = files.flatMap((file) => faultsOf(file, readFileSync(root + file, 'utf8')));
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  process.stdout.write(`layers: ${files.length} files, ${faults.length} breaches\n`);
  process.exitCode = faults.length > 0 || files.length === 0 ? 1 : 0;
}
