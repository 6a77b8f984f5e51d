import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { tie } from '../../testing/run-folder.ts';
import { typescript } from '../subjects/start.ts';
import type { Answer, IdleJob, IdleResult, Job, LoadJob, LoadResult, ResumeJob, ResumeResult } from './jobs.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const PATIENCE_MS = 300_000;

/** Lets a fresh generator process do one job. */
export function ask(job: LoadJob): Promise<LoadResult>;
export function ask(job: IdleJob): Promise<IdleResult>;
export function ask(job: ResumeJob): Promise<ResumeResult>;
export function ask(job: Job): Promise<LoadResult | IdleResult | ResumeResult> {
  return new Promise((resolve, reject) => {
    const child = fork(main, { execArgv: typescript, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    tie(child);
    const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    child.once('message', (answer: Answer) => {
      if ('fault' in answer) reject(new Error(answer.fault));
      else resolve(answer.result);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      reject(new Error(`the generator ended without an answer (${signal ?? code})`));
    });
    child.send(job);
  });
}
