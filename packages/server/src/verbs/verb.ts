import type { Config } from '../config.ts';

/** What a verb gets from the command line. */
export interface VerbParts {
  /** Runs with the settings, or says what is wrong with them. Gives the exit status. */
  readonly withConfig: (work: (config: Config) => Promise<number>) => Promise<number>;
  /** Takes the exit status. */
  readonly end: (status: number) => void;
}

/** Says on one line of stderr why it ends. @returns the exit status, to be passed on */
export function fail(line: string, status: number): number {
  process.stderr.write(`${line.replaceAll(/\s+/g, ' ')}\n`);
  return status;
}
