import { type DestinationStream, pino } from 'pino';

export type Log = pino.Logger;

/** Fields whose value is a secret whatever it looks like, at the top of a record or up to two objects down. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'password',
  'proxy-authorization',
  'sec-websocket-protocol',
  'secret',
  'set-cookie',
  'token',
];

/**
 * What a secret looks like inside a text, as it stands in a line of JSON. Lengths are bounded: a hostile line must
 * not cost more than its length is worth.
 */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  // A JWT, or as much of one as is there: its first part always starts with {" in base64url.
  [/\bey[JA][\w-]{8,}(?:\.[\w-]*)*/g, '***'],
  [/([?&](?:access_)?token=)[^&\s"\\]+/gi, '$1***'],
  [/\b(Bearer(?:,?\s+|,|%20|\+))[\w.~+/=-]{16,}/gi, '$1***'],
  // User and password in a connection string. One that a user forgot to encode may hold / and @: up to the last @.
  [
    /\b(mysql|mariadb|rediss?|postgres(?:ql)?|mongodb(?:\+srv)?|amqps?):\/\/(?:[^\s"\\]|\\["\\/]){0,500}@/gi,
    '$1://***@',
  ],
  [/(:\/\/)[^\s"\\/?#@]{1,500}@/g, '$1***@'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*/g, '***'],
];

/**
 * JSON lines, on stdout unless a `destination` is given. `level` is one of pino's, `silent` included.
 * No secret passes: fields that hold one are masked by name, whatever else looks like one is masked by its shape in
 * the finished line, and of errors only what is listed here is written (a driver's error carries the SQL and its values).
 */
export function createLog(level: string, destination?: DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError, error: describeError, reason: describeError, cause: describeError },
    redact: {
      paths: SECRET_FIELDS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]),
      censor: '***',
    },
    hooks: { streamWrite: mask },
  };
  return destination ? pino(options, destination) : pino(options);
}

function mask(line: string): string {
  let masked = line;
  for (const [pattern, instead] of SECRETS) masked = masked.replace(pattern, instead);
  return masked;
}

interface ErrorRecord {
  type: string;
  message: string;
  stack?: string;
  code?: string | number;
  errno?: string | number;
  sqlState?: string;
  cause?: unknown;
  errors?: unknown[];
}

/** An error as a log shows it, with its causes; anything else as it is. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, code, errno, sqlState, cause, errors } = error as Error & Record<string, unknown>;
  const record: ErrorRecord = { type: name, message };
  if (stack !== undefined) record.stack = stack;
  if (typeof code === 'string' || typeof code === 'number') record.code = code;
  if (typeof errno === 'string' || typeof errno === 'number') record.errno = errno;
  if (typeof sqlState === 'string') record.sqlState = sqlState;
  if (depth < 3) {
    if (cause instanceof Error) record.cause = describeError(cause, depth + 1);
    if (Array.isArray(errors)) record.errors = errors.slice(0, 5).map((one) => describeError(one, depth + 1));
  }
  return record;
}
