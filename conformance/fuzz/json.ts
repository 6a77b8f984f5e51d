/** JSON that is nearly what is asked for. */
import type { Chance } from '../../testing/chance.ts';
import { damaged } from './damaged.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values that programs have stumbled over. */
const odd: readonly (() => Json)[] = [
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -1,
  () => 1.5,
  () => 1e308,
  () => -0,
  () => 2 ** 31,
  () => 2 ** 53,
  () => '',
  () => ' ',
  () => '0',
  () => '\u0000',
  () => '\ud800',
  () => '\udc00\ud800',
  () => '\u202e\u2028\ufeff',
  () => "'; DROP TABLE chat_messages; --",
  () => '../../etc/passwd',
  () => '${7*7}{{7*7}}%s%n',
  () => 'a'.repeat(101),
  () => 'x'.repeat(10_001),
  () => '😀'.repeat(300),
  () => 'NaN',
  () => '2025-13-40T99:99:99Z',
  () => [],
  () => ({}),
  () => [[]],
  () => [null],
  () => ({ $ne: null }),
  () => ({ toString: 'x', valueOf: 1 }),
  () => ({ length: -1 }),
  () => nested(20),
  () => Array.from({ length: 300 }, () => 1),
  () => Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])),
].map((make) => make as () => Json);

const oddKeys = [
  '__proto__',
  'then',
  'constructor',
  'prototype',
  '',
  'toString',
  'type',
  'data',
  'id',
  'seq',
  'status',
  '💥',
];

function nested(depth: number): Json {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

/** The same with one to three things changed, somewhere inside. */
export function mutated(chance: Chance, value: Json): Json {
  let changed = structuredClone(value);
  for (let strokes = 1 + chance.below(3); strokes > 0; strokes--) changed = stroke(chance, changed);
  return changed;
}

function stroke(chance: Chance, value: Json): Json {
  if (typeof value !== 'object' || value === null || chance.happens(60)) return chance.pick(odd)();
  const keys = Object.keys(value);
  const key = chance.pick(keys);
  const within = value as Record<string, Json>;
  if (key === undefined || chance.happens(150)) {
    set(within, chance.pick(oddKeys), chance.pick(odd)());
  } else if (chance.happens(180)) {
    if (Array.isArray(value)) value.pop();
    else Reflect.deleteProperty(value, key);
  } else if (chance.happens(80)) {
    set(within, chance.pick(keys), within[key] as Json);
  } else {
    set(within, key, stroke(chance, within[key] as Json));
  }
  return value;
}

/** `__proto__` as a key like any other. */
function set(of: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(of, key, { value, enumerable: true, configurable: true, writable: true });
}

/** As text, now and then with what no serializer writes. */
export function written(chance: Chance, value: Json): Buffer {
  const text = JSON.stringify(value);
  if (!chance.happens(100)) return Buffer.from(text);
  switch (chance.below(4)) {
    case 0:
      return damaged(chance, Buffer.from(text));
    case 1:
      return Buffer.from(text.replace('{', `{"type":${JSON.stringify(chance.pick(odd)())},`));
    case 2:
      return Buffer.from(text.replaceAll(',', ' ,\n\t ').replaceAll(':', ' : '));
    default:
      return Buffer.from(text.replace(/\d+/, () => chance.pick(['1e999', '-0', '0x10', '01', '1_000', '.5', 'NaN'])));
  }
}

export type { Json };
