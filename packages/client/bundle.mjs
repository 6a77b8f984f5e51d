/**
 * Makes of the sources what a page loads without a bundler, in one file each: a script that sets the global
 * `Switchboard`, and an ES module.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * @param {{ format: 'iife' | 'esm', write?: boolean }} options
 * @returns {Promise<string>} the text of the bundle
 */
export async function bundle({ format, write = false }) {
  const outfile = here(`dist/switchboard-client.${format === 'iife' ? 'global' : 'min'}.js`);
  const { outputFiles } = await build({
    entryPoints: [here('src/index.ts')],
    outfile,
    write: false,
    bundle: true,
    minify: true,
    format,
    ...(format === 'iife' ? { globalName: 'Switchboard' } : {}),
    // What every browser has had since 2022.
    target: ['es2022'],
    legalComments: 'none',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('esbuild made nothing');
  if (write) {
    const { mkdir, writeFile } = await import('node:fs/promises');
    await mkdir(here('dist'), { recursive: true });
    await writeFile(outfile, file.contents);
  }
  return file.text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { gzipSync } = await import('node:zlib');
  for (const format of /** @type {const} */ (['iife', 'esm'])) {
    const text = await bundle({ format, write: true });
    process.stdout.write(`${format}: ${text.length} bytes, ${gzipSync(text, { level: 9 }).length} gzipped\n`);
  }
}
