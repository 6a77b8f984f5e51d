import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { ClosingLineReporter } from './scripts/closing-line-reporter.ts';

export default defineConfig({
  test: {
    teardownTimeout: 30_000,
    reporters: ['default', new ClosingLineReporter()],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          setupFiles: ['testing/seed.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/test/**/*.test.ts', 'conformance/**/*.test.ts', 'testing/**/*.test.ts'],
          setupFiles: ['testing/seed.ts'],
          globalSetup: ['scripts/fresh-bundles.mjs', 'testing/global-setup.ts'],
          // Real servers on real sockets: two files at a time, in processes of their own.
          pool: 'forks',
          maxWorkers: Math.min(2, availableParallelism()),
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // For what comes at once on a machine that has time, and after seconds on one that has not.
          expect: { poll: { timeout: 15_000 } },
          // Real processes on a shared machine: what fails twice in a row has failed; a retry is shown in the report.
          retry: process.env['CI'] === 'true' ? 1 : 0,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
