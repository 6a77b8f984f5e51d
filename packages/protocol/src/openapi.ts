import { type Json, SchemaWriter } from './document-schemas.ts';
import { type ErrorCode, errorKinds, type Language } from './errors.ts';
import { type OperationWords, operationWords } from './openapi-words.ts';
import { Failure } from './rest.ts';

/** A route as the server has it. */
export interface DocumentedRoute {
  readonly method: string;
  /** With parameters as `:name`. */
  readonly url: string;
  readonly schema?:
    | {
        readonly params?: unknown;
        readonly querystring?: unknown;
        readonly body?: unknown;
        readonly response?: unknown;
      }
    | undefined;
}

export interface DocumentParts {
  readonly version: string;
  readonly language: Language;
}

type Side = 'admin' | 'user' | 'ops' | 'open';

const sides = [
  ['/api/admin/chat/', 'admin', ''],
  ['/admin/chat/', 'admin', 'Short'],
  ['/api/chat/', 'user', ''],
  ['/chat/', 'user', 'Short'],
] as const;
const opsPaths = new Set(['/healthz', '/readyz', '/metrics']);

const tags: Readonly<Record<Side, Readonly<Record<Language, string>>>> = {
  admin: { en: 'For admins; /admin/chat is the same as /api/admin/chat', zh: '客服接口；两个前缀等价' },
  user: { en: 'For users; /chat is the same as /api/chat', zh: '用户接口；两个前缀等价' },
  ops: { en: 'For operators: no token, no limit', zh: '运维接口：无需令牌，不限速' },
  open: { en: 'For anybody', zh: '公开接口' },
};
const about: Readonly<Record<Language, string>> = {
  en: 'Customer-support chat: sessions, messages and assignment. The WebSocket has a document of its own: /asyncapi.json.',
  zh: '在线客服：会话、消息与分配。WebSocket 协议另见 /asyncapi.json。',
};

/**
 * The OpenAPI 3.1 document of these routes, from the schemas that check their requests.
 * @throws Error for a route that `operationWords` says nothing of
 */
export function openApiDocument(routes: readonly DocumentedRoute[], { version, language }: DocumentParts): Json {
  const schemas = new SchemaWriter();
  const failures = new Map<string, Json>();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const { url, method } = route;
    const path = url.replaceAll(/:(\w+)/g, '{$1}');
    const [prefix, side, suffix] = sides.find(([start]) => path.startsWith(start)) ?? [
      '/',
      opsPaths.has(path) ? 'ops' : 'open',
      '',
    ];
    const key = `${side} ${method} ${path.slice(prefix.length - 1)}`;
    const words = operationWords[key];
    if (!words) throw new Error(`the OpenAPI document has no words for ${key}`);
    const secured = side === 'admin' || side === 'user';
    const { params, querystring, body } = route.schema ?? {};
    (paths[path] ??= {})[method.toLowerCase()] = {
      operationId: words.id + suffix,
      tags: [side],
      summary: words.text[language],
      ...(words.more ? { description: words.more[language] } : {}),
      security: secured ? [{ bearer: [] }, { token: [] }] : [],
      parameters: [
        ...parameters(schemas, 'path', params),
        ...parameters(schemas, 'query', querystring),
        ...(words.idempotent ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
        { $ref: '#/components/parameters/AcceptLanguage' },
      ],
      ...(body === undefined
        ? {}
        : { requestBody: { required: true, content: { 'application/json': { schema: schemas.write(body) } } } }),
      responses: {
        ...successOf(schemas, route, words),
        ...errorResponses(codesOf(route, side, words), failures, language),
      },
    };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Switchboard', version, description: about[language], license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    tags: Object.entries(tags).map(([name, text]) => ({ name, description: text[language] })),
    paths,
    components: {
      schemas: schemas.used,
      responses: Object.fromEntries(failures),
      parameters: commonParameters(language),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        token: { type: 'apiKey', in: 'query', name: 'token' },
      },
    },
  };
}

function parameters(schemas: SchemaWriter, place: 'path' | 'query', schema: unknown): Json[] {
  const { properties = {}, required = [] } = (schema ?? {}) as { properties?: Json; required?: string[] };
  return Object.entries(properties).map(([name, one]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: schemas.write(one),
  }));
}

function successOf(schemas: SchemaWriter, { schema }: DocumentedRoute, words: OperationWords): Json {
  const { answer } = words;
  if (answer === null) return {};
  const data = (schema?.response as Json | undefined)?.['200'];
  const found = answer ?? (data === undefined ? undefined : { media: 'application/json', schema: data });
  if (!found) throw new Error(`the OpenAPI document knows no answer of ${words.id}`);
  return { 200: { description: 'OK', content: { [found.media]: { schema: schemas.write(found.schema) } } } };
}

/** What may go wrong follows from who may call and what is taken; the rest is in the words. */
function codesOf({ method, schema = {} }: DocumentedRoute, side: Side, words: OperationWords): Set<ErrorCode> {
  const codes = new Set<ErrorCode>(['INTERNAL', ...(words.errors ?? [])]);
  const add = (...more: ErrorCode[]): void => more.forEach((code) => codes.add(code));
  if (side !== 'ops') add('RATE_LIMITED');
  if (side === 'admin' || side === 'user') add('UNAUTHORIZED', 'UNAVAILABLE');
  if (side === 'admin' || schema.params) add('FORBIDDEN');
  if (schema.params || schema.querystring || schema.body) add('INVALID_PARAMETER');
  if (schema.params) add('SESSION_NOT_FOUND');
  if (method === 'POST') add('INVALID_PARAMETER', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  return codes;
}

function errorResponses(codes: Set<ErrorCode>, failures: Map<string, Json>, language: Language): Json {
  const responses: Json = {};
  for (const code of Object.keys(errorKinds) as ErrorCode[]) {
    if (!codes.has(code)) continue;
    failures.set(code, failures.get(code) ?? failure(code, language));
    responses[errorKinds[code].status] = { $ref: `#/components/responses/${code}` };
  }
  return responses;
}

function failure(code: ErrorCode, language: Language): Json {
  const { status, retryable, text } = errorKinds[code];
  const schema = JSON.parse(JSON.stringify(Failure)) as {
    properties: { error: { properties: Record<string, Json> } };
  };
  const { properties } = schema.properties.error;
  properties['code'] = { type: 'string', const: code };
  properties['retryable'] = { type: 'boolean', const: retryable };
  const header = (name: string, type: string): Json => ({ [name]: { schema: { type } } });
  return {
    description: text[language],
    headers: {
      ...header('X-Request-Id', 'string'),
      ...(status === 401 ? header('WWW-Authenticate', 'string') : {}),
      ...(status === 429 || status === 503 ? header('Retry-After', 'integer') : {}),
    },
    content: { 'application/json': { schema } },
  };
}

function commonParameters(language: Language): Json {
  const header = (name: string, text: Record<Language, string>, schema: Json): Json => ({
    name,
    in: 'header',
    required: false,
    description: text[language],
    schema,
  });
  return {
    AcceptLanguage: header(
      'Accept-Language',
      { en: 'Language of texts for people: Chinese unless English is preferred', zh: '提示文字的语言，默认中文' },
      { type: 'string' },
    ),
    IdempotencyKey: header(
      'Idempotency-Key',
      { en: 'A retry with the same key stores nothing twice', zh: '同一键重试不会重复存储' },
      { type: 'string', maxLength: 66 },
    ),
  };
}
