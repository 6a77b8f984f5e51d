import { sweepLeftovers } from './run-folder.ts';

/** Vitest's global setup. Servers are started by the suites that need them; here only old remains are removed. */
export default function setup(): () => void {
  sweepLeftovers();
  return sweepLeftovers;
}
