/** Bytes as a bad line or a bad program makes them: some changed, some cut out, some put in, or the rest gone. */
export function damaged(chance: Chance, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let strokes = 1 + chance.below(4); strokes > 0; strokes--) {
    const at = chance.below(result.length + 1);
    switch (chance.below(5)) {
      case 0:
        if (at < result.length) result[at] = chance.below(256);
        break;
      case 1:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1 + chance.below(8))]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), chance.bytes(chance.below(9)), result.subarray(at)]);
        break;
      case 3:
        result = result.subarray(0, at);
        break;
      default:
        result = Buffer.concat([result.subarray(0, at), result.subarray(chance.below(result.length + 1))]);
    }
  }
  return result;
}

import type { Chance } from '../../testing/chance.ts';
