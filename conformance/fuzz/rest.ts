/** Requests by REST that are nearly right, over connections that are kept. */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Chance } from '../../testing/chance.ts';
import type { Budget } from './budget.ts';
import { type Json, mutated, written } from './json.ts';
import type { Switchboard } from '../../testing/switchboard.ts';

const CONNECTIONS = 24;
const SESSIONS = 50;

/** Sends requests. @returns what went wrong on the way */
export async function fuzzRest(server: Switchboard, chance: Chance, budget: Budget): Promise<string[]> {
  const wrong: string[] = [];
  const tokens = {
    admin: server.token({ userId: 7_001, roles: ['admin'] }),
    other: server.token({ userId: 7_002, roles: ['admin'] }),
    user: server.token({ userId: 7_003 }),
    expired: server.token({ userId: 7_004, exp: 1_000_000 }),
  };
  const line = async (): Promise<void> => {
    let caller: Caller | null = null;
    while (wrong.length < 20 && budget.take()) {
      caller ??= await Caller.open(server.url);
      const bytes = request(chance, tokens);
      const fault = faultIn(await caller.ask(bytes));
      if (fault) wrong.push(`${bytes.toString('latin1').slice(0, 400)}\n→ ${fault}`);
      if (caller.gone) caller = null;
    }
    caller?.end();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, line));
  return wrong;
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One connection, one request at a time. */
class Caller {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #look: () => void = () => undefined;
  gone = false;

  static async open(url: string): Promise<Caller> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new Caller(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const gone = (): void => {
      this.gone = true;
      this.#look();
    };
    socket.on('error', gone).on('close', gone);
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes as Buffer]);
      this.#look();
    });
  }

  /** The answer; null when the connection ended without one. */
  ask(bytes: Buffer): Promise<Answer | null> {
    const isHead = bytes.toString('latin1', 0, 5) === 'HEAD ';
    this.#socket.write(bytes);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer to ${bytes.toString('latin1')}`)), 30_000);
      this.#look = () => {
        const answer = this.#answer(isHead);
        if (!answer && !this.gone) return;
        clearTimeout(late);
        this.#look = () => undefined;
        if (answer && /^connection: close/im.test(answer.head)) this.end();
        resolve(answer);
      };
      this.#look();
    });
  }

  end(): void {
    this.gone = true;
    this.#socket.destroy();
  }

  #answer(isHead: boolean): Answer | null {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end === -1) return null;
    const head = this.#bytes.toString('latin1', 0, end);
    const length = isHead ? 0 : Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (this.#bytes.length < end + 4 + length) return null;
    const body = this.#bytes.toString('utf8', end + 4, end + 4 + length);
    this.#bytes = this.#bytes.subarray(end + 4 + length);
    return { status: Number(head.slice(9, 12)), head, body };
  }
}

/** What an answer must never be, whatever was asked. */
function faultIn(answer: Answer | null): string | null {
  if (answer === null) return null;
  const { status, head, body } = answer;
  if (!(status >= 200 && status < 500)) return `${head}\n${body}`;
  if (/node_modules|\n\s+at |\bSELECT |\bINSERT |SQLITE_|ER_[A-Z]/.test(body)) return body;
  if (status >= 400 && body !== '' && !body.startsWith('{"success":false,')) return `${head}\n${body}`;
  return null;
}

function request(chance: Chance, tokens: Readonly<Record<string, string>>): Buffer {
  const prefix = chance.pick(['/api/admin/chat', '/admin/chat', '/api/chat', '/chat', '', '/api', '//admin/chat']);
  const id = chance.happens(850) ? `fuzz-${chance.below(SESSIONS)}` : escape(chance, hostile(chance));
  const path = chance.pick([
    '/sessions',
    '/sessions/current',
    `/sessions/${id}`,
    `/sessions/${id}/messages`,
    `/sessions/${id}/messages`,
    `/sessions/${id}/${chance.pick(['claim', 'assign', 'transfer', 'close', 'reopen', 'rating', 'x', ''])}`,
    '/stats/today',
    '/operation-logs',
    `/${hostile(chance)}`,
  ]);
  const method = chance.pick([
    'GET',
    'GET',
    'GET',
    'POST',
    'POST',
    'POST',
    'PUT',
    'DELETE',
    'PATCH',
    'HEAD',
    'OPTIONS',
  ]);
  const body = method === 'GET' || method === 'HEAD' ? Buffer.alloc(0) : bodyOf(chance);
  const headers = [
    `${method} ${printable(prefix + path + query(chance))} HTTP/1.1`,
    'Host: localhost',
    ...authorization(chance, tokens),
    ...(method === 'GET' || method === 'HEAD' ? [] : [`Content-Length: ${body.length}`]),
    `Content-Type: ${chance.happens(900) ? 'application/json' : chance.pick(['text/plain', '', 'application/json;charset=x', 'multipart/form-data'])}`,
    ...(chance.happens(50) ? [`Idempotency-Key: ${printable(hostile(chance))}`] : []),
    ...(chance.happens(50) ? [`Accept-Language: ${printable(hostile(chance))}`] : []),
    ...(chance.happens(20) ? [`Content-Encoding: ${chance.pick(['gzip', 'br', 'identity', 'x'])}`] : []),
    ...(chance.happens(20) ? [`Origin: ${printable(hostile(chance))}`] : []),
    ...(chance.happens(20)
      ? [`X-${printable(hostile(chance)).replaceAll(/[^a-z0-9]/gi, '')}: ${'y'.repeat(chance.below(3_000))}`]
      : []),
  ];
  return Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

function authorization(chance: Chance, tokens: Readonly<Record<string, string>>): string[] {
  const which = chance.below(100);
  if (which < 55) return [`Authorization: Bearer ${tokens['admin']}`];
  if (which < 65) return [`Authorization: Bearer ${tokens['other']}`];
  if (which < 85) return [`Authorization: Bearer ${tokens['user']}`];
  if (which < 90) return [`Authorization: Bearer ${tokens['expired']}`];
  if (which < 95) return [`Authorization: ${printable(hostile(chance))}`];
  return [];
}

function query(chance: Chance): string {
  const parts: string[] = [];
  while (chance.happens(400)) {
    const name = chance.pick(['page', 'pageSize', 'status', 'beforeSeq', 'afterSeq', 'token', 'x']);
    const value = chance.happens(500) ? `${chance.below(50)}` : escape(chance, hostile(chance));
    parts.push(`${name}=${value}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function bodyOf(chance: Chance): Buffer {
  const model: Json = chance.pick<Json>([
    { content: `message ${chance.below(1_000)}`, messageType: 'text', clientMessageId: `c-${chance.below(10_000)}` },
    { content: 'x', adminId: 7_001 },
    { adminId: chance.pick([7_001, 7_002]) },
    { score: 1 + chance.below(5), comment: 'fine' },
    {},
  ]);
  if (chance.happens(150)) return Buffer.from(JSON.stringify(model));
  if (chance.happens(50)) return chance.bytes(chance.below(100));
  return written(chance, mutated(chance, model));
}

function hostile(chance: Chance): string {
  return chance.pick([
    '',
    '0',
    '-1',
    '1.5',
    '1e9',
    '9999999999',
    'all',
    'ACTIVE',
    '%',
    '%zz',
    '%00',
    '%c0%af',
    '%ff',
    '..',
    '../../etc/passwd',
    '%2e%2e%2f',
    "' OR 1=1 --",
    '<script>',
    '${jndi:ldap://x}',
    '会话',
    'x'.repeat(101),
    'y'.repeat(1_500),
    'a,b;q=0.1',
    '__proto__',
    'constructor',
    '[]',
    '{}',
    'null',
    '\t',
    'Bearer',
    'Bearer a.b.c',
    'Basic eDp5',
    chance.bytes(chance.below(20)).toString('latin1'),
  ]);
}

function escape(chance: Chance, text: string): string {
  return chance.happens(500) ? encodeURIComponent(text) : text;
}

/** What may stand in a request's head without ending it; raw bytes are the other fuzzer's. */
function printable(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '.');
}
