/**
 * Makes the program `dist/main.js` of the sources and of all that they import, in a handful of files (`dist/main-*.js`
 * beside it): a start that has to look for a thousand modules takes three times as long. What programs import
 * (`dist/index.js`) stays as the compiler makes it.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Have machine code of their own, which is found beside the package. The client of Redis does without the second. */
const external = ['@photostructure/sqlite', '@node-rs/xxhash'];

/** @param {string} folder where to put the program */
export async function bundle(folder) {
  const bundler = await rolldown({
    // A thread starts from a file of its own, which it looks for beside the one that starts it.
    input: { main: here('src/main.ts'), 'sqlite-worker': here('src/store/sqlite-worker.ts') },
    platform: 'node',
    external,
    // Nothing is left out, here and by `minify`: what is called only to see whether it throws looks useless, and is not.
    treeshake: false,
    resolve: { alias: { '@switchboard/protocol': here('../protocol/src/index.ts') } },
    // What Node.js 20 has.
    transform: { target: 'es2023' },
  });
  const { output } = await bundler.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    // Beside each other, as package-root.ts asks.
    chunkFileNames: 'main-[name].js',
    sourcemap: true,
    minify: false,
  });
  await bundler.close();
  const made = new Set(output.map(({ fileName }) => fileName));
  for (const name of readdirSync(folder)) {
    if (/^main[-.]/.test(name) && !made.has(name)) rmSync(join(folder, name));
  }
  const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
  writeFileSync(join(folder, 'main-licenses.txt'), licenses(modules));
  return output;
}

/**
 * The licences of the packages whose code is in the program: they ask to go along with it.
 * @param {readonly string[]} modules
 */
function licenses(modules) {
  const folders = new Set(
    modules.flatMap((file) => /^.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(file) ?? []),
  );
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
      return [`${name} ${version}: ${license}`, ...texts.map((file) => readFileSync(join(folder, file), 'utf8'))].join(
        '\n\n',
      );
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const output = await bundle(here('dist'));
  const bytes = output.reduce((sum, file) => sum + (file.type === 'chunk' ? file.code.length : 0), 0);
  process.stdout.write(`main.js: ${output.length} files, ${bytes} bytes\n`);
}
