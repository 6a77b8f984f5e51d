/** Requests made from an OpenAPI document: good ones, and ones that are wrong in one place or everywhere. */
import fc from 'fast-check';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
}

interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: Schema;
}

export interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly tags: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly $ref?: string }>>;
}

export interface FuzzRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

type Follow = <T extends { readonly $ref?: string }>(node: T) => T;

interface Surroundings {
  readonly follow: Follow;
  readonly sessionIds: readonly string[];
  /** The right one, and others. */
  readonly token: string;
  readonly otherTokens: readonly string[];
}

/** Values that a schema allows. */
function allowed(schema: Schema, follow: Follow): fc.Arbitrary<unknown> {
  const { type, enum: values, anyOf, properties = {}, required = [], items, pattern } = follow(schema);
  const {
    const: constant,
    minimum = -1e9,
    maximum = 1e9,
    minLength = 0,
    maxLength = 40,
    maxItems = 3,
  } = follow(schema);
  if (constant !== undefined) return fc.constant(constant);
  if (values) return fc.constantFrom(...values);
  if (anyOf) return fc.oneof(...anyOf.map((one) => allowed(one, follow)));
  switch (type) {
    case 'string':
      return pattern === undefined
        ? fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 60) })
        : fc.stringMatching(new RegExp(pattern));
    case 'integer':
      return fc.oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum));
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(allowed(items ?? {}, follow), { maxLength: Math.min(maxItems, 3) });
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, allowed(one, follow)])),
        { requiredKeys: [...required] },
      );
    default:
      return fc.jsonValue();
  }
}

const strange: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom('', ' ', '\0', '\ud800', 0, -1, 1.5, 2 ** 53, 1e21, null, true, [], {}, 'x'.repeat(101)),
  fc.string({ unit: 'binary' }),
);

/** The same with one property lost, changed or added. */
function mutated(good: fc.Arbitrary<unknown>, names: readonly string[]): fc.Arbitrary<unknown> {
  return fc
    .tuple(good, fc.constantFrom(...names, 'constructor', 'seq', 'extra'), fc.option(strange, { nil: undefined }))
    .map(([value, name, change]) => ({ ...(value as object), [name]: change }));
}

function bodies(schema: Schema, follow: Follow): fc.Arbitrary<string | undefined> {
  const good = allowed(schema, follow);
  const names = Object.keys(follow(schema).properties ?? {});
  return fc.oneof(
    { weight: 6, arbitrary: good.map((value) => JSON.stringify(value)) },
    { weight: 4, arbitrary: mutated(good, names).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: strange.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

function headers(operation: Operation, around: Surroundings): fc.Arbitrary<Record<string, string>> {
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  const named = operation.parameters.filter(({ in: place }) => place === 'header');
  return fc
    .tuple(
      fc.oneof(
        { weight: 12, arbitrary: fc.constant(bearer(around.token)) },
        { weight: 2, arbitrary: fc.constantFrom({}, ...around.otherTokens.map(bearer)) },
      ),
      fc.constantFrom('application/json', 'application/json', 'application/json', 'text/plain', 'nonsense'),
      fc.record(
        Object.fromEntries(
          named.map(({ name }) => [name.toLowerCase(), fc.stringMatching(/^[A-Za-z0-9"_,;=.-]{1,70}$/)]),
        ),
        { requiredKeys: [] },
      ),
    )
    .map(([who, type, more]) => ({ ...who, ...more, ...(operation.requestBody ? { 'content-type': type } : {}) }));
}

/** Requests of one operation. */
export function requests(template: string, raw: Operation, around: Surroundings): fc.Arbitrary<FuzzRequest> {
  const { follow, sessionIds } = around;
  const operation = { ...raw, parameters: raw.parameters.map((one) => follow(one)) };
  const inQuery = operation.parameters.filter(({ in: place }) => place === 'query');
  const id = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...sessionIds) },
    { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{1,100}$/) },
    // Of dots and nothing, another path would be made.
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/^\.{0,2}$/.test(text)) },
    { weight: 1, arbitrary: fc.constantFrom('%zz', 'a'.repeat(101)) },
  );
  const query = fc.record(
    Object.fromEntries(
      inQuery.map(({ name, schema }) => [
        name,
        fc.oneof(
          { weight: 4, arbitrary: allowed(schema, follow).map(String) },
          { weight: 1, arbitrary: fc.oneof(fc.string(), fc.constantFrom('', '0', '-1', '1.5', '1e3', '9'.repeat(20))) },
        ),
      ]),
    ),
    { requiredKeys: [] },
  );
  const media = operation.requestBody?.content['application/json'];
  const body = media ? bodies(media.schema, follow) : fc.constant(undefined);
  return fc.record({ id, query, twice: fc.nat(9), headers: headers(operation, around), body }).map((made) => {
    const search = new URLSearchParams(made.query as Record<string, string>);
    const [first] = search.keys();
    if (made.twice === 0 && first !== undefined) search.append(first, '1');
    const written = made.id === '%zz' ? made.id : encodeURIComponent(made.id);
    const path = template.replace('{sessionId}', written);
    return { path: search.size > 0 ? `${path}?${search}` : path, headers: made.headers, body: made.body };
  });
}
