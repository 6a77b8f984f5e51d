/**
 * Makes of the sources what a page loads without a bundler, in one file each: a script that sets the global
 * `Switchboard`, and an ES module.
 */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/** @typedef {'global' | 'min'} Kind */

/**
 * Properties that the SDK's own modules alone know, by their readable names: in the bundles they get short ones. What
 * callers, the server, the storage or the platform know must not be here.
 */
export const inner = (
  'attempt failures wakeAt notBefore onlineAt heardAt pingAt refreshAt advisedMs takenToken spentToken effects ' +
  'tries repeatAt view stale askedAt holdUntil opening promise why look follows wanted told expireMs prefix ' +
  'connected disconnected adopt claim stored acked refused expire setAccount here apply resumed snapshot note mark ' +
  'confirm forget createView addReceipt noteHead noteHeads noteStatus ' +
  'onFrame onPhase onError onLeave onWaiting onFailed onEvent'
).split(' ');

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * @param {Kind} kind `global`: the script; `min`: the module
 * @param {string} [folder] where to put the file; without it none is written
 * @returns {Promise<{ text: string, gzipped: number, sources: readonly string[] }>} what it holds, its size on the wire in
 * bytes, and the files that it was made of
 */
export async function bundle(kind, folder) {
  // What every browser has had since 2022.
  const bundler = await rolldown({ input: here('src/index.ts'), transform: { target: 'es2022' } });
  const options = /** @type {const} */ ({
    format: kind === 'global' ? 'iife' : 'esm',
    name: 'Switchboard',
    entryFileNames: `switchboard-client.${kind}.js`,
    generatedCode: { symbols: false },
    minify: { compress: true, mangle: true, mangleProps: { include: new RegExp(`^(${inner.join('|')})$`) } },
    comments: false,
  });
  const { output } = await (folder === undefined
    ? bundler.generate(options)
    : bundler.write({ ...options, dir: folder }));
  await bundler.close();
  const text = output[0].code;
  return { text, gzipped: gzipSync(text, { level: 9 }).length, sources: output[0].moduleIds };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const kind of /** @type {Kind[]} */ (['global', 'min'])) {
    const { text, gzipped } = await bundle(kind, here('dist'));
    process.stdout.write(`switchboard-client.${kind}.js: ${text.length} bytes, ${gzipped} gzipped\n`);
  }
}
