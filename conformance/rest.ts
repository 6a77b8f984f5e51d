/** REST calls as the admin console and the customer's page make them; every answer is checked against its schema. */
import assert from 'node:assert/strict';
import {
  checker,
  CurrentSession,
  errorKinds,
  Failure,
  MessageList,
  OperationLogList,
  SentMessage,
  SessionList,
  SessionResult,
  StatsResult,
  success,
} from '@switchboard/protocol';
import type { ErrorCode, Message, OperationLog, Pagination, Session, SessionPagination } from '@switchboard/protocol';
import { faults, timeFaults } from './faults.ts';

export interface ErrorAnswer {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly details?: { readonly field: string; readonly fault: string };
  readonly retryAfterMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of a success. */
  readonly data: Record<string, unknown>;
  /** Of a failure. */
  readonly error: ErrorAnswer;
}

export interface Sent {
  readonly messageId: string;
  readonly status: 'sent';
  readonly timestamp: string;
  readonly seq: number;
  readonly duplicate?: boolean;
}

export interface Stats {
  readonly totalSessions: number;
  readonly completedSessions: number;
  readonly avgResponseTime: string;
  readonly customerSatisfaction: number;
  readonly avgResponseSeconds: number;
  readonly ratedSessions: number;
  readonly waitingSessions: number;
  readonly activeSessions: number;
  readonly onlineAdmins: number;
  readonly messagesToday: number;
}

export type Change = 'claim' | 'assign' | 'transfer' | 'close' | 'reopen';
type Headed = Readonly<Record<string, string>>;

/** What each route answers when it succeeds. */
const answers: readonly (readonly [RegExp, (value: unknown, root?: string) => void])[] = [
  [/^GET \/sessions$/, checker(success(SessionList))],
  [/^GET \/sessions\/current$/, checker(success(CurrentSession))],
  [/^GET \/sessions\/[^/]+$/, checker(success(SessionResult))],
  [/^GET \/sessions\/[^/]+\/messages$/, checker(success(MessageList))],
  [/^POST \/sessions\/[^/]+\/messages$/, checker(success(SentMessage))],
  [/^POST \/sessions\/[^/]+\/(claim|assign|transfer|close|reopen|rating)$/, checker(success(SessionResult))],
  [/^GET \/stats\/today$/, checker(success(StatsResult))],
  [/^GET \/operation-logs$/, checker(success(OperationLogList))],
];
const failure = checker(Failure);

/** One caller of one side. */
export class Rest {
  readonly #base: string;
  readonly #headers: Headed;

  /** @param base the server's address and the prefix, such as `http://127.0.0.1:8787/api/admin/chat` */
  constructor(base: string, headers: Headed) {
    this.#base = base;
    this.#headers = headers;
  }

  /** A request of any outcome. A body that is no string and no bytes goes out as JSON. */
  async request(method: string, path: string, body?: unknown, headers: Headed = {}): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    const response = await fetch(this.#base + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...this.#headers,
        ...headers,
      },
      ...(raw === undefined ? {} : { body: raw as string }),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, text };
    const parsed = checked(`${method} ${path.split('?')[0]}`, answer) as { data?: object; error?: ErrorAnswer };
    return { ...answer, data: (parsed.data ?? {}) as Answer['data'], error: (parsed.error ?? {}) as ErrorAnswer };
  }

  /** A request that must be answered with 200. */
  async ok(method: string, path: string, body?: unknown, headers?: Headed): Promise<Answer['data']> {
    const { status, text, data } = await this.request(method, path, body, headers);
    if (status !== 200) throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
    return data;
  }

  /** A request that must be refused. */
  async refused(method: string, path: string, body?: unknown, headers?: Headed): Promise<ErrorAnswer> {
    const { status, text, error } = await this.request(method, path, body, headers);
    if (status < 400) throw new Error(`${method} ${path} was not refused: ${text}`);
    return error;
  }

  async sessions(query = ''): Promise<{ sessions: Session[]; totalCount: number; pagination: SessionPagination }> {
    return (await this.ok('GET', `/sessions${query}`)) as never;
  }

  async session(sessionId: string): Promise<Session> {
    return (await this.ok('GET', `/sessions/${sessionId}`))['session'] as Session;
  }

  async current(): Promise<Session | null> {
    return (await this.ok('GET', '/sessions/current'))['session'] as Session | null;
  }

  async messages(
    sessionId: string,
    query = '',
  ): Promise<{ messages: Message[]; totalCount: number; pagination: Pagination }> {
    return (await this.ok('GET', `/sessions/${sessionId}/messages${query}`)) as never;
  }

  async reply(sessionId: string, body: object, headers?: Headed): Promise<Sent> {
    return (await this.ok('POST', `/sessions/${sessionId}/messages`, body, headers)) as never;
  }

  async change(sessionId: string, change: Change, body?: object): Promise<Session> {
    return (await this.ok('POST', `/sessions/${sessionId}/${change}`, body))['session'] as Session;
  }

  async rate(sessionId: string, body: object): Promise<Session> {
    return (await this.ok('POST', `/sessions/${sessionId}/rating`, body))['session'] as Session;
  }

  async stats(headers?: Headed): Promise<Stats> {
    return (await this.ok('GET', '/stats/today', undefined, headers))['stats'] as Stats;
  }

  async logs(query = ''): Promise<{ logs: OperationLog[]; totalCount: number; pagination: Pagination }> {
    return (await this.ok('GET', `/operation-logs${query}`)) as never;
  }
}

/** What any answer must be like, whatever was asked. Gives the parsed body. */
function checked(route: string, { status, headers, text }: Pick<Answer, 'status' | 'headers' | 'text'>): unknown {
  try {
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
    const body: unknown = JSON.parse(text);
    if (status === 200) {
      const check = answers.find(([pattern]) => pattern.test(route))?.[1];
      if (check === undefined) throw new Error('no route that is known');
      check(body);
    } else {
      failure(body);
      assert.doesNotMatch(text, /<html|<!doctype|node_modules|\\n\s*at |file:\/\/|\bSELECT |\bINSERT /i);
      const { error } = body as { error: ErrorAnswer };
      assert.equal(errorKinds[error.code].status, status, error.code);
      assert.equal(error.retryable, errorKinds[error.code].retryable);
    }
    assert.deepEqual(timeFaults(body), []);
    return body;
  } catch (error) {
    faults.push(`${route} → ${status} ${text}: ${(error as Error).message}`);
    return {};
  }
}
