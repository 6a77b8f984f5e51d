import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { rmSync } from 'node:fs';
import { freshFolder } from '../../testing/run-folder.ts';
import { typescript } from '../subjects/start.ts';
import { type Scene, withDatabase } from './scene.ts';

const execute = promisify(execFile);
const program = fileURLToPath(new URL('../subjects/commit-loop.ts', import.meta.url));

/** Messages a second of the bare driver: 500 a transaction in two lanes for the SQL server, 100 for SQLite. */
export interface StoreRun {
  readonly sql: number;
  readonly sqlite: number;
}

export async function runStore(scene: Scene): Promise<StoreRun> {
  const sql = await withDatabase(scene, ({ url }) => loop(scene, url, 500, 2));
  const folder = freshFolder('loop');
  const sqlite = await loop(scene, `sqlite:${join(folder, 'loop.db')}`, 100, 1);
  rmSync(folder, { recursive: true, force: true });
  return { sql, sqlite };
}

async function loop({ options }: Scene, url: string, batch: number, lanes: number): Promise<number> {
  const { stdout } = await execute(process.execPath, [...typescript, program], {
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: url,
      BATCH: String(batch),
      LANES: String(lanes),
      MEASURE_MS: String(options.measureMs),
    },
    timeout: 120_000,
  });
  return (JSON.parse(stdout) as { perSecond: number }).perSecond;
}
