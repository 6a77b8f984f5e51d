import { readOptions } from './options.ts';
import { Histogram } from './measure/histogram.ts';
import { loadShapes, runLoad, subjectsOf } from './shapes/load.ts';
import { setScene } from './shapes/scene.ts';
const options = readOptions(process.argv.slice(2));
const scene = await setScene(options);
try {
  for (let round = 0; round < options.rounds; round++)
    for (const shape of loadShapes.filter((s) => options.shapes.has(s.name)))
      for (const name of subjectsOf(shape, options)) {
        const r = await runLoad(scene, shape, name, shape.name === 'half-load' ? 1600 : null).catch((e) => { console.log(shape.name, name, 'FAILED', e.message); return null; });
        if (!r) continue;
        const h = new Histogram(r.whole);
        console.log(shape.name.padEnd(8), name.padEnd(24), Math.round(r.perSecond).toString().padStart(7), 'p50', h.quantile(0.5).toFixed(2), 'p99', h.quantile(0.99).toFixed(2), JSON.stringify(Object.fromEntries(Object.entries(r.cpu).map(([k, v]) => [k, +v.toFixed(2)]))), 'fsync', r.fsync.p50.toFixed(2), r.fsync.p99.toFixed(2));
      }
} finally {
  await scene.close();
}
