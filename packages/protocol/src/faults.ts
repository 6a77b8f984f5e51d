import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/schema';
import { type Fault, ChatError, invalid } from './errors.ts';
import { limits } from './limits.ts';

type SchemaError = ReturnType<Validator['Errors']>[1][number];

/** Turns a schema into a checker. It is compiled when it checks first: a start has no time for all of them. */
export function checker<T extends TSchema>(schema: T): (value: unknown, root?: string) => void {
  let compiled: Validator | undefined;
  return (value, root = '') => {
    compiled ??= Compile(schema);
    if (compiled.Check(value)) return;
    const [, errors] = compiled.Errors(value);
    throw new ChatError('INVALID_PARAMETER', { fault: describe(schema, errors, root) });
  };
}

/** Says of the first thing that a schema finds wrong which field it is and what is wrong with it. */
function describe(schema: TSchema, errors: readonly SchemaError[], root: string): Fault {
  // A union reports each branch that failed and then itself: the union's own error is the one that helps.
  const first = errors[0];
  if (!first) return { field: root || 'body', fault: { en: 'is wrong', zh: '有误' } };
  const union = errors.find((e) => e.keyword === 'anyOf' && first.instancePath.startsWith(e.instancePath));
  const error = union ?? first;
  const path = error.instancePath.split('/').filter(Boolean);
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required') path.push(...(params['requiredProperties'] as string[]).slice(0, 1));
  const field = [root, ...path].filter(Boolean).join('.') || 'body';
  return { field, fault: wording(error.keyword, params, at(schema, error.schemaPath)) };
}

/** The part of a schema that an error points to. */
function at(schema: TSchema, pointer: string): unknown {
  let here: unknown = schema;
  for (const step of pointer.split('/').slice(1)) here = (here as Record<string, unknown> | undefined)?.[step];
  return here;
}

function wording(keyword: string, params: Record<string, unknown>, schema: unknown): Fault['fault'] {
  const limit = String(params['limit'] ?? '');
  switch (keyword) {
    case 'required':
      return { en: 'is required', zh: '不能缺少' };
    case 'type':
      return { en: `must be of type ${String(params['type'])}`, zh: `类型必须是 ${String(params['type'])}` };
    case 'minimum':
      return { en: `must be at least ${limit}`, zh: `不能小于 ${limit}` };
    case 'maximum':
      return { en: `must be at most ${limit}`, zh: `不能大于 ${limit}` };
    case 'minLength':
      return { en: `must have at least ${limit} characters`, zh: `不能少于 ${limit} 个字符` };
    case 'maxLength':
      return { en: `must have at most ${limit} characters`, zh: `不能超过 ${limit} 个字符` };
    case 'minItems':
      return { en: `must have at least ${limit} entries`, zh: `不能少于 ${limit} 项` };
    case 'maxItems':
      return { en: `must have at most ${limit} entries`, zh: `不能超过 ${limit} 项` };
    case 'pattern':
      return { en: `must match ${String(params['pattern'])}`, zh: `必须符合 ${String(params['pattern'])}` };
    case 'boolean':
    case 'additionalProperties':
      return { en: 'has a field that is not known', zh: '含有未知字段' };
    case 'anyOf':
      return alternatives(schema);
    case 'const':
      return { en: `must be ${String(params['allowedValue'])}`, zh: `必须是 ${String(params['allowedValue'])}` };
    default:
      return { en: 'is wrong', zh: '有误' };
  }
}

/** What a union allows, in words: its constants, or the types of its branches with what each asks for. */
function alternatives(schema: unknown): Fault['fault'] {
  const branches = (schema as { anyOf?: Record<string, unknown>[] } | undefined)?.anyOf ?? [];
  const words = branches.map((branch) => {
    const { const: constant, type, pattern, maxLength, minimum, maximum } = branch;
    if (constant !== undefined) return String(constant);
    const range = maxLength === undefined ? [minimum, maximum] : [branch['minLength'] ?? 0, maxLength];
    const size = range.every((end) => typeof end === 'number') ? ` (${range.join('–')})` : '';
    return `${String(type)}${size}${pattern === undefined ? '' : ` ${String(pattern)}`}`;
  });
  return { en: `must be one of: ${words.join(', ')}`, zh: `必须是其中之一：${words.join('、')}` };
}

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Parses JSON text from outside and refuses what could hurt later: nesting deeper than `limits.jsonDepth`,
 * objects of more keys than `limits.jsonKeys`, and keys that touch prototypes. `name` is the field named in an error.
 * @param look sees the value first, even if it is refused then: only to read plain values of known keys from it
 */
export function parseJson(text: string, name: string, look?: (value: unknown) => void): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(name, 'is not valid JSON', '不是有效的 JSON');
  }
  look?.(value);
  inspect(value, 1, name);
  return value;
}

function inspect(value: unknown, depth: number, name: string): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > limits.jsonDepth) {
    throw invalid(name, `is nested deeper than ${limits.jsonDepth} levels`, `嵌套超过 ${limits.jsonDepth} 层`);
  }
  if (Array.isArray(value)) {
    for (const entry of value) inspect(entry, depth + 1, name);
    return;
  }
  const keys = Object.keys(value);
  if (keys.length > limits.jsonKeys) {
    throw invalid(name, `has an object of more than ${limits.jsonKeys} keys`, `含有超过 ${limits.jsonKeys} 个键的对象`);
  }
  for (const key of keys) {
    if (FORBIDDEN_KEYS.has(key)) throw invalid(name, `has a key that is not allowed: ${key}`, `含有不允许的键：${key}`);
    inspect((value as Record<string, unknown>)[key], depth + 1, name);
  }
}

/**
 * Checks a text that people will read: no NUL and no half of a surrogate pair, because a store would refuse or change
 * them. Everything else is kept exactly as it was sent.
 */
export function checkText(text: string, field: string): void {
  if (!text.isWellFormed()) {
    throw invalid(
      field,
      'has half of a surrogate pair (not valid Unicode)',
      '含有不完整的代理对（不是有效的 Unicode）',
    );
  }
  if (text.includes('\0')) throw invalid(field, 'has a NUL character', '含有 NUL 字符');
}

/** What of a message people will read. */
interface Readable {
  readonly content: string;
  readonly messageType?: string | undefined;
  readonly attachments?: readonly unknown[] | undefined;
}

/**
 * Checks the texts of a message: content of 1–10,000 characters after trimming, where a character is a Unicode code
 * point, and of no more bytes than a store keeps. An image or a file may go without content when it has an attachment.
 * @param root where the message stands in the request, such as `data`; empty for the top
 */
export function checkMessageTexts({ content, messageType, attachments = [] }: Readable, root = ''): void {
  const field = (name: string): string => (root === '' ? name : `${root}.${name}`);
  checkText(content, field('content'));
  const trimmed = content.trim();
  const mayBeEmpty = messageType !== undefined && messageType !== 'text' && attachments.length > 0;
  if (trimmed === '' && !mayBeEmpty) throw invalid(field('content'), 'must not be empty', '不能为空');
  // UTF-16 units are never fewer than code points: count only where it can matter.
  if (trimmed.length > limits.contentCharacters && characters(trimmed) > limits.contentCharacters) {
    const most = limits.contentCharacters;
    throw invalid(field('content'), `must have at most ${most} characters`, `不能超过 ${most} 个字符`);
  }
  // No UTF-16 unit takes more than three bytes.
  if (content.length > limits.contentBytes / 3 && bytes(content) > limits.contentBytes) {
    const most = limits.contentBytes;
    throw invalid(field('content'), `must have at most ${most} bytes`, `不能超过 ${most} 字节`);
  }
  for (const [i, attachment] of attachments.entries()) {
    for (const [key, part] of Object.entries(attachment as object)) {
      if (typeof part === 'string') checkText(part, field(`attachments.${i}.${key}`));
    }
  }
}

/** Of a text in UTF-8. */
function bytes(text: string): number {
  let count = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    count += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
