import type { IdleResult, ResumeResult } from '../generator/jobs.ts';
import type { ListRun } from '../shapes/lists.ts';
import type { LoadRun } from '../shapes/load.ts';
import type { StoreRun } from '../shapes/store.ts';

/** Everything that was measured, each by round: what stands at one place was measured in one round. */
export interface Gathered {
  /** By shape, then by subject. */
  readonly load: Map<string, Map<string, (LoadRun | null)[]>>;
  readonly store: StoreRun[];
  readonly idle: Record<string, IdleResult>[];
  readonly resume: Record<string, ResumeResult>[];
  /** Milliseconds. */
  readonly start: number[];
  lists: { readonly sizes: readonly number[]; readonly rounds: readonly ListRun[] };
  /** Runs that failed, in words. */
  readonly faults: string[];
}

export function nothingYet(): Gathered {
  return { load: new Map(), store: [], idle: [], resume: [], start: [], lists: { sizes: [], rounds: [] }, faults: [] };
}
