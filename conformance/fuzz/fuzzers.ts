/** Every fuzzer by the name of its command. */
import { Chance } from './chance.ts';
import { fuzzFrames } from './frames.ts';
import { fuzzRest } from './rest.ts';
import { fuzzTcp } from './tcp.ts';
import { type Verdict, watched } from './watch.ts';

type Fuzzer = typeof fuzzFrames;

const against =
  (fuzz: Fuzzer) =>
  (count: number, seed: number): Promise<Verdict> =>
    watched((server, progress) => fuzz(server, new Chance(seed), count, progress));

export const fuzzers: Readonly<Record<string, (count: number, seed: number) => Promise<Verdict>>> = {
  frames: against(fuzzFrames),
  rest: against(fuzzRest),
  tcp: against(fuzzTcp),
};
