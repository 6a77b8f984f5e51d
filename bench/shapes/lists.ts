import { Agent, request } from 'node:http';
import type { Database } from '../../testing/sql-server.ts';
import { ADMIN, tokenFor } from '../generator/dialects.ts';
import { Peer } from '../generator/peer.ts';
import { quantile } from '../measure/statistics.ts';
import { startSwitchboard, stop, type Subject } from '../subjects/start.ts';
import { documentTables, numbers } from './resume.ts';
import type { Scene } from './scene.ts';

/** Messages of the one long history. */
export const LONG = 100_000;
const REQUESTS = 40;
const PAGE_SIZE = 20;

export interface Question {
  readonly name: string;
  readonly path: string;
  /** The page that is asked for, or whose cursor leads on: a number, or a share of all. */
  readonly page?: number;
  readonly share?: number;
  readonly cursor?: true;
  /** Fewest sessions with which it makes sense. */
  readonly from: number;
}

const list = (status: string): string => `/sessions?status=${status}&pageSize=${PAGE_SIZE}`;
const history = (query: string): string => `/sessions/long/messages?pageSize=50&${query}`;

export const questions: readonly Question[] = [
  { name: 'all, first page', path: list('all'), from: 0 },
  { name: 'closed, first page', path: list('closed'), from: 0 },
  { name: 'active (spread evenly), first page', path: list('active'), from: 0 },
  { name: 'waiting (the oldest 2 %), first page', path: list('waiting'), from: 0 },
  { name: 'all, page 1,000', path: list('all'), page: 1_000, from: 100_000 },
  { name: 'closed, page 1,000', path: list('closed'), page: 1_000, from: 100_000 },
  { name: 'all, page at 90 %', path: list('all'), share: 0.9, from: 0 },
  { name: 'all, cursor behind page 1', path: list('all'), page: 1, cursor: true, from: 0 },
  { name: 'all, cursor behind page 1,000', path: list('all'), page: 1_000, cursor: true, from: 100_000 },
  { name: 'all, cursor at 90 %', path: list('all'), share: 0.9, cursor: true, from: 0 },
  { name: 'waiting, cursor at 90 % of them', path: list('waiting'), share: 0.9 / 50, cursor: true, from: 0 },
  { name: 'statistics of today', path: '/stats/today', from: 0 },
  { name: 'history, newest page', path: history('page=1'), from: 0 },
  { name: 'history, page 1,000', path: history('page=1000'), from: 0 },
  { name: 'history, cursor near the end', path: history(`beforeSeq=${LONG - 100}`), from: 0 },
  { name: 'history, cursor in the middle', path: history(`beforeSeq=${LONG / 2}`), from: 0 },
  { name: 'history, cursor near the start', path: history('beforeSeq=100'), from: 0 },
];

export interface ListFigures {
  readonly p50: number;
  readonly p99: number;
  /** Queries that the database answered for one request, upkeep aside. */
  readonly queries: number;
}

/** By question, then by number of sessions. */
export type ListRun = ReadonlyMap<string, ReadonlyMap<number, ListFigures>>;

interface Filled {
  readonly sessions: number;
  readonly subject: Subject;
  readonly database: Database;
  readonly token: string;
  readonly admin: Peer;
}

/** Lists over databases of several sizes, every round of them in turn. */
export async function runLists(
  scene: Scene,
  say: (text: string) => void,
): Promise<{ sizes: number[]; rounds: ListRun[] }> {
  const sizes = [10_000, 100_000, 1_000_000].filter((size) => size <= scene.options.largest);
  const filled: Filled[] = [];
  const rounds: ListRun[] = [];
  try {
    for (const sessions of sizes) {
      const began = performance.now();
      filled.push(await fill(scene, sessions));
      say(`${sessions} sessions made and adopted in ${Math.round((performance.now() - began) / 1000)} s`);
    }
    for (let round = 0; round <= scene.options.rounds; round++) {
      const run = await measure(filled);
      // The first round only warms caches.
      if (round > 0) rounds.push(run);
    }
  } finally {
    for (const { subject, database, admin } of filled) {
      admin.drop();
      await stop(subject);
      await database.drop();
    }
  }
  return { sizes, rounds };
}

/**
 * Sessions with three messages each, and one with many, as an older program left them: in the tables of the requirements
 * document, for Switchboard to adopt. So whatever it keeps of its own, counters and all, it has made itself.
 */
async function fill(scene: Scene, sessions: number): Promise<Filled> {
  const database = await scene.sql.createDatabase('lists');
  await documentTables(database);
  await numbers(database, Math.max(sessions, LONG));
  // One session every ten seconds, the newest now. Ids are random, as real ones are.
  const at = (i: string): string => `DATE_SUB(NOW(), INTERVAL (${sessions} - ${i}) * 10 SECOND)`;
  const id = (i: string): string => `CONCAT('session_', SUBSTR(SHA2(${i}, 256), 1, 26))`;
  const oldest = Math.floor(sessions / 50);
  await database.script(`
    SET SESSION time_zone = '+00:00';
    INSERT INTO chat_sessions (session_id, user_id, admin_id, status, created_at, updated_at, last_message_time, message_count)
      SELECT ${id('i')}, 1000 + i, IF(i < ${oldest}, NULL, ${ADMIN}),
        CASE WHEN i < ${oldest} THEN 'waiting' WHEN i % 50 = 49 THEN 'active' ELSE 'closed' END,
        ${at('i')}, ${at('i')}, ${at('i')}, 3
      FROM numbers WHERE i < ${sessions};
    INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, created_at)
      SELECT CONCAT('msg_', LPAD(i, 9, '0'), '_', part), ${id('i')}, IF(part = 2, ${ADMIN}, 1000 + i), IF(part = 2, 'admin', 'user'),
        CONCAT('Message ', part, ' about order ', i), ${at('i')}
      FROM numbers CROSS JOIN (SELECT 1 AS part UNION SELECT 2 UNION SELECT 3) parts WHERE i < ${sessions};
    INSERT INTO chat_sessions (session_id, user_id, admin_id, status, last_message_time, message_count)
      VALUES ('long', 999, ${ADMIN}, 'active', NOW(), ${LONG});
    INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, created_at)
      SELECT CONCAT('long_', LPAD(i, 9, '0')), 'long', 999, 'user', CONCAT('Message ', i), DATE_SUB(NOW(), INTERVAL ${LONG} - i SECOND)
      FROM numbers WHERE i < ${LONG};
    DROP TABLE numbers`);
  const subject = await startSwitchboard(database.url, undefined, { readyWithinMs: 1_800_000, capacity: 1 });
  const token = tokenFor(subject.secret, ADMIN, 'admin');
  // While their admin is here, active sessions stay so: given back one by one, they would be measured along with the lists.
  // Who has so many gets no more of those that wait.
  const admin = await Peer.open({ port: subject.port, path: `/chat?token=${token}&type=admin` });
  return { sessions, subject, database, token, admin };
}

async function measure(filled: readonly Filled[]): Promise<ListRun> {
  const run = new Map<string, Map<number, ListFigures>>();
  for (const question of questions) {
    const figures = new Map<number, ListFigures>();
    run.set(question.name, figures);
    for (const one of filled) {
      if (one.sessions < question.from) continue;
      figures.set(one.sessions, await askOften(one, await pathOf(one, question)));
    }
  }
  return run;
}

async function pathOf(one: Filled, { path, page, share, cursor }: Question): Promise<string> {
  const number = share === undefined ? page : Math.floor((one.sessions * share) / PAGE_SIZE);
  if (number === undefined) return path;
  const paged = `${path}&page=${number}`;
  if (!cursor) return paged;
  const agent = new Agent({ maxSockets: 1 });
  const { data } = JSON.parse(await get(agent, one.subject.port, one.token, `/api/admin/chat${paged}`)) as {
    data: { pagination: { nextCursor: string } };
  };
  agent.destroy();
  return `${path}&cursor=${encodeURIComponent(data.pagination.nextCursor)}`;
}

async function askOften({ subject, database, token }: Filled, path: string): Promise<ListFigures> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  const before = await selects(database);
  for (let i = 0; i < REQUESTS; i++) {
    const began = performance.now();
    await get(agent, subject.port, token, `/api/admin/chat${path}`);
    times.push(performance.now() - began);
    // Where one answer takes seconds, fewer of them tell as much.
    if (times.reduce((sum, ms) => sum + ms, 0) > 4_000 && times.length >= 3) break;
  }
  agent.destroy();
  const queries = Math.floor(((await selects(database)) - before - 1) / times.length);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), queries };
}

async function selects(database: Database): Promise<number> {
  const [row] = await database.query("SHOW GLOBAL STATUS LIKE 'Com_select'");
  return Number(row?.['Value']);
}

function get(agent: Agent, port: number, token: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { agent, host: '127.0.0.1', port, path, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${path}: ${response.statusCode} ${text.slice(0, 200)}`));
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}
