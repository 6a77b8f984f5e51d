/** The languages that texts for people come in. */
export type Language = 'zh' | 'en';

/** What one error code means on every way in. */
export interface ErrorKind {
  /** HTTP status of the REST answer. */
  readonly status: number;
  /** True when the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  readonly text: Readonly<Record<Language, string>>;
}

/**
 * All error codes, the only list of them: REST answers, WebSocket `error` frames and the documents use it.
 */
export const errorKinds = {
  INVALID_PARAMETER: {
    status: 400,
    retryable: false,
    text: { en: 'A parameter is missing or wrong', zh: '参数缺失或有误' },
  },
  UNAUTHORIZED: {
    status: 401,
    retryable: false,
    text: { en: 'The token is missing, wrong or expired', zh: '令牌缺失、无效或已过期' },
  },
  FORBIDDEN: {
    status: 403,
    retryable: false,
    text: { en: 'Not allowed for this account', zh: '此账号无权进行该操作' },
  },
  SESSION_NOT_FOUND: {
    status: 404,
    retryable: false,
    text: { en: 'There is no such session', zh: '会话不存在' },
  },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    text: { en: 'There is nothing at this address', zh: '请求的地址不存在' },
  },
  CONFLICT: {
    status: 409,
    retryable: false,
    text: { en: 'The current state does not allow this', zh: '当前状态不允许该操作' },
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    retryable: false,
    text: { en: 'The request is too large', zh: '请求内容过大' },
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retryable: false,
    text: { en: 'The content type must be application/json', zh: '内容类型必须是 application/json' },
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    text: { en: 'Too many requests; slow down', zh: '请求过于频繁，请稍后再试' },
  },
  INTERNAL: {
    status: 500,
    retryable: true,
    text: { en: 'Something went wrong inside the server', zh: '服务器内部错误' },
  },
  UNAVAILABLE: {
    status: 503,
    retryable: true,
    text: { en: 'The service cannot answer now; try again', zh: '服务暂时不可用，请稍后重试' },
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** What is wrong with one field of a request. */
export interface Fault {
  /** Path of the field, such as `content` or `data.sessionId`. */
  readonly field: string;
  readonly fault: Readonly<Record<Language, string>>;
}

/** An error that a caller is meant to see. Anything else that is thrown becomes `INTERNAL` and is only logged. */
export class ChatError extends Error {
  readonly code: ErrorCode;
  /** The field at fault, for `INVALID_PARAMETER` and where it helps elsewhere. */
  readonly fault: Fault | undefined;
  /** Milliseconds to wait before the next try, for `RATE_LIMITED` and `UNAVAILABLE`. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, more: { fault?: Fault; retryAfterMs?: number; cause?: unknown } = {}) {
    super(
      more.fault ? `${code}: ${more.fault.field} ${more.fault.fault.en}` : `${code}: ${errorKinds[code].text.en}`,
      more.cause === undefined ? undefined : { cause: more.cause },
    );
    this.name = 'ChatError';
    this.code = code;
    this.fault = more.fault;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** An `INVALID_PARAMETER` that names the field and what is wrong with it. */
export function invalid(field: string, en: string, zh: string): ChatError {
  return new ChatError('INVALID_PARAMETER', { fault: { field, fault: { en, zh } } });
}

/** A `CONFLICT` that says which part of the state is in the way. */
export function conflict(field: string, en: string, zh: string): ChatError {
  return new ChatError('CONFLICT', { fault: { field, fault: { en, zh } } });
}

/** The body of an error on the wire; REST puts it under `error`, WebSocket under `data`. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  details?: { field: string; fault: string };
  retryAfterMs?: number;
}

/** What a caller is told of an error. Whatever is not a ChatError is `INTERNAL`, without a word of its own text. */
export function errorBody(error: unknown, language: Language): ErrorBody {
  const known = error instanceof ChatError ? error : new ChatError('INTERNAL');
  const kind = errorKinds[known.code];
  const text = kind.text[language];
  const body: ErrorBody = { code: known.code, message: text, retryable: kind.retryable };
  if (known.fault) {
    body.message = `${text}${language === 'zh' ? '：' : ': '}${known.fault.field} ${known.fault.fault[language]}`;
    body.details = { field: known.fault.field, fault: known.fault.fault[language] };
  }
  if (known.retryAfterMs !== undefined) body.retryAfterMs = known.retryAfterMs;
  return body;
}

/** The first of our languages that an `Accept-Language` header (RFC 9110, 12.5.4) prefers; Chinese without one. */
export function preferredLanguage(header: string | undefined): Language {
  let best: Language = 'zh';
  let bestQuality = 0;
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [tag = '', ...parameters] = part.trim().split(';');
    const quality = Number(parameters.find((p) => p.trim().startsWith('q='))?.split('=')[1] ?? 1);
    const language = /^zh\b/.test(tag) ? 'zh' : /^en\b/.test(tag) ? 'en' : undefined;
    if (language && quality > bestQuality) [best, bestQuality] = [language, quality];
  }
  return best;
}
