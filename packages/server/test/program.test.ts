/** The program that an operator starts, `dist/main.js`: what is in it, and what of it a start reads. */
import { readFileSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { freshFolder } from '../../../testing/run-folder.ts';
import { bundle } from '../bundle.mjs';

const folder = freshFolder('program');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const chunks = new Map(
  (await bundle(folder)).flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file]] : [])),
);

/** The files that are read for these, with all that they import at once. */
function readFor(names: readonly string[], read = new Set<string>()): Set<string> {
  for (const name of names) {
    if (read.has(name) || !chunks.has(name)) continue;
    read.add(name);
    readFor(chunks.get(name)?.imports ?? [], read);
  }
  return read;
}

/** The packages whose code is in these files. */
function packagesIn(files: Iterable<string>): Set<string> {
  const modules = [...files].flatMap((name) => chunks.get(name)?.moduleIds ?? []);
  return new Set(modules.flatMap((id) => /.*[/\\]node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(id)?.[1] ?? []));
}

test('it needs nothing but Node.js and what has machine code of its own', () => {
  const outside = [...chunks.values()]
    .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
    .filter((name) => !chunks.has(name) && !isBuiltin(name));
  expect(new Set(outside)).toEqual(new Set(['@photostructure/sqlite', '@node-rs/xxhash']));
});

test('a start on SQLite reads a handful of files, and neither the driver of MySQL nor that of Redis', () => {
  const read = readFor(['main.js', 'main-app.js']);
  const packages = packagesIn(read);
  expect([...packages]).toEqual(expect.arrayContaining(['fastify', 'kysely', 'typebox']));
  expect([...packages].filter((name) => /mysql|redis|^ws$/.test(name))).toEqual([]);
  expect(read.size).toBeLessThan(15);
});

test('the thread that it starts is there', () => {
  const text = [...chunks.values()].map(({ code }) => code).join('\n');
  expect(text).toContain('new Worker(new URL(`./sqlite-worker${extname(import.meta.url)}`');
  expect([...chunks.keys()]).toContain('sqlite-worker.js');
});

test('the licences of all packages in it go along', () => {
  const told = readFileSync(join(folder, 'main-licenses.txt'), 'utf8');
  const packages = [...packagesIn(chunks.keys())];
  expect(packages.length).toBeGreaterThan(30);
  expect(packages.filter((name) => !told.includes(`\n${name} `) && !told.startsWith(`${name} `))).toEqual([]);
});

test('what is called only to see whether it throws is called', () => {
  const text = [...chunks.values()].map(({ code }) => code).join('\n');
  // routable() of http/path-escapes.ts.
  expect(text).toMatch(/function decodes\(path\) \{\s*try \{\s*decodeURIComponent\(path\);/);
});
