/** Every fuzzer by the name of its command. */
import { Chance } from '../../testing/chance.ts';
import { fuzzFrames } from './frames.ts';
import { fuzzRest } from './rest.ts';
import { fuzzTcp } from './tcp.ts';
import { type Limits, type Verdict, watched } from './watch.ts';

type Fuzzer = typeof fuzzFrames;

const against =
  (fuzz: Fuzzer) =>
  (limits: Limits, seed: number): Promise<Verdict> =>
    watched(limits, (server, left) => fuzz(server, new Chance(seed), left));

export const fuzzers: Readonly<Record<string, (limits: Limits, seed: number) => Promise<Verdict>>> = {
  frames: against(fuzzFrames),
  rest: against(fuzzRest),
  tcp: against(fuzzTcp),
};
