/** The load generator as a process: takes one job by message, answers, ends. */
import { runIdle } from './idle.ts';
import type { Answer, Job } from './jobs.ts';
import { Load } from './load.ts';
import { runResume } from './resume.ts';

function answer(answer: Answer): void {
  process.send?.(answer, () => process.exit(0));
}

function fault(error: unknown): void {
  answer({ fault: error instanceof Error ? error.message : String(error) });
}

process.on('uncaughtException', fault);
// Whoever asked is gone.
process.on('disconnect', () => process.exit(1));
process.once('message', (job: Job) => {
  const run = job.kind === 'load' ? new Load(job).run() : job.kind === 'idle' ? runIdle(job) : runResume(job);
  run.then((result) => answer({ result }), fault);
});
