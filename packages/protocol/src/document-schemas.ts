import type { TSchema } from 'typebox';
import { Attachment, LastMessage, Message, Pagination, Session, UserInfo } from './entities.ts';
import { FrameMessage } from './frames.ts';
import { OperationLog } from './rest.ts';
import { LogEvent } from './session-log.ts';

export type Json = Record<string, unknown>;

/** What the documents call by name instead of writing it out each time. */
const named: Readonly<Record<string, TSchema>> = {
  Session,
  Message,
  LastMessage,
  UserInfo,
  Attachment,
  Pagination,
  OperationLog,
  FrameMessage,
  LogEvent,
};

/** Writes schemas down as plain JSON Schema, with references to named ones; keeps those that were needed. */
export class SchemaWriter {
  readonly #names = new Map(Object.entries(named).map(([name, schema]) => [JSON.stringify(schema), name]));
  readonly #used = new Map<string, unknown>();

  /** @returns the schema by value, with `$ref` for what has a name */
  write(schema: unknown): Json {
    return this.#refer(JSON.parse(JSON.stringify(schema))) as Json;
  }

  /** The named schemas that were written so far, for `components.schemas`. */
  get used(): Json {
    return Object.fromEntries([...this.#used].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #refer(node: unknown): unknown {
    if (typeof node !== 'object' || node === null) return node;
    if (Array.isArray(node)) return node.map((entry) => this.#refer(entry));
    const name = this.#names.get(JSON.stringify(node));
    if (name === undefined) return this.#inner(node as Json);
    if (!this.#used.has(name)) {
      this.#used.set(name, null);
      this.#used.set(name, this.#inner(node as Json));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #inner(node: Json): Json {
    const { anyOf, ...rest } = node;
    // A union of constants reads better as an enumeration.
    if (Array.isArray(anyOf) && anyOf.every((one: Json) => one['type'] === 'string' && 'const' in one)) {
      return { ...rest, type: 'string', enum: anyOf.map((one: Json) => one['const']) };
    }
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, this.#refer(value)]));
  }
}
