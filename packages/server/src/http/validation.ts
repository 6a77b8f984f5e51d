import { ChatError, checker } from '@switchboard/protocol';
import type { FastifySchemaCompiler, FastifyTypeProvider } from 'fastify';
import type Type from 'typebox';

/** Types requests and answers by the schemas of their routes. */
export interface BySchema extends FastifyTypeProvider {
  validator: this['schema'] extends Type.TSchema ? Type.Static<this['schema']> : unknown;
  serializer: this['schema'] extends Type.TSchema ? Type.Static<this['schema']> : unknown;
}

/** Checks parts of requests so that errors name the field and the fault in the caller's language. */
export const compileChecks: FastifySchemaCompiler<Type.TSchema> = ({ schema, httpPart }) => {
  const check = checker(schema);
  const integers = httpPart === 'querystring' ? integerProperties(schema) : [];
  return (data: unknown) => {
    // No body at all is told by what it lacks, like an empty one.
    const value = httpPart === 'body' ? (data ?? {}) : withIntegers(data as Record<string, unknown>, integers);
    try {
      check(value);
      return { value };
    } catch (error) {
      if (error instanceof ChatError) return { error };
      throw error;
    }
  };
};

function integerProperties(schema: Type.TSchema): string[] {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.keys(properties).filter((name) => properties[name]?.type === 'integer');
}

/**
 * A query has only texts: those that are written as integers become numbers where one is expected. All else stays as
 * it is and fails the check: fractions, exponents, blanks, and the arrays that repeated parameters make.
 */
export function withIntegers(query: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  for (const name of names) {
    const text = query[name];
    // 15 digits: every such number is exact.
    if (typeof text === 'string' && /^-?[0-9]{1,15}$/.test(text)) query[name] = Number(text);
  }
  return query;
}
