/**
 * The ceiling of a store: messages in large transactions straight on the driver, nothing else. Lean tables: the message with
 * its session and place, the session with its counters.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type ResultSetHeader } from 'mysql2/promise';
import { openSqlite } from './sqlite-driver.ts';

const { DATABASE_URL = '', BATCH = '500', LANES = '2', WARM_MS = '500', MEASURE_MS = '2000' } = process.env;
const batch = Number(BATCH);
const CONTENT = 'Hello, my order 100000000 should have come on Monday. Can you see where it is?';
const SESSIONS = 64;
const SCHEMA = [
  `CREATE TABLE sessions (session_id VARCHAR(100) PRIMARY KEY, last_message_time TIMESTAMP(3) NULL, message_count INT NOT NULL,
    last_seq BIGINT NOT NULL)`,
  `CREATE TABLE messages (message_id VARCHAR(100) PRIMARY KEY, session_id VARCHAR(100) NOT NULL, seq BIGINT NOT NULL,
    sender_id INT NOT NULL, content TEXT NOT NULL, created_at TIMESTAMP(3) NULL)`,
  'CREATE UNIQUE INDEX session_seq ON messages (session_id, seq)',
];

interface Batch {
  readonly messages: (string | number)[][];
  readonly sessions: (string | number)[][];
}

let count = 0;
const heads = new Map<string, number>();

/** The next messages of one lane, whose sessions are its own, and the sessions as they are after them. */
function nextBatch(lane: number, lanes: number): Batch {
  const now = new Date().toISOString().slice(0, 23).replace('T', ' ');
  const messages: (string | number)[][] = [];
  const touched = new Map<string, (string | number)[]>();
  for (let i = 0; i < batch; i++) {
    const session = `s${lane + lanes * (i % Math.floor(SESSIONS / lanes))}`;
    const seq = (heads.get(session) ?? 0) + 1;
    heads.set(session, seq);
    messages.push([`msg_${(++count).toString(36).padStart(26, '0')}`, session, seq, 1_000 + lane, CONTENT, now]);
    touched.set(session, [session, now, seq, seq]);
  }
  return { messages, sessions: [...touched.values()] };
}

const OVERWRITE =
  'ON DUPLICATE KEY UPDATE last_message_time=VALUES(last_message_time), message_count=VALUES(message_count), last_seq=VALUES(last_seq)';

async function mysqlLane(lane: number, lanes: number, running: () => boolean): Promise<void> {
  const connection: Connection = await mysql.createConnection({ uri: DATABASE_URL, timezone: 'Z' });
  while (running()) {
    const { messages, sessions } = nextBatch(lane, lanes);
    await connection.beginTransaction();
    const insert = 'INSERT INTO messages (message_id, session_id, seq, sender_id, content, created_at) VALUES ?';
    await connection.query<ResultSetHeader>(insert, [messages]);
    await connection.query(
      `INSERT INTO sessions (session_id, last_message_time, message_count, last_seq) VALUES ? ${OVERWRITE}`,
      [sessions],
    );
    await connection.commit();
  }
  await connection.end();
}

async function sqliteLane(running: () => boolean, file: string): Promise<void> {
  const database = openSqlite(file);
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL');
  for (const statement of SCHEMA) database.exec(statement);
  const insert = database.prepare('INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)');
  const upsert = database.prepare(
    `INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT(session_id) DO UPDATE SET last_message_time=excluded.last_message_time,
     message_count=excluded.message_count, last_seq=excluded.last_seq`,
  );
  while (running()) {
    const { messages, sessions } = nextBatch(0, 1);
    database.exec('BEGIN IMMEDIATE');
    for (const row of messages) insert.run(...row);
    for (const row of sessions) upsert.run(...row);
    database.exec('COMMIT');
    await new Promise(setImmediate);
  }
}

let running = true;
const lanes = Number(LANES);
const work: Promise<void>[] = [];
if (DATABASE_URL.startsWith('sqlite:')) work.push(sqliteLane(() => running, DATABASE_URL.slice(7)));
else {
  const setup = await mysql.createConnection({ uri: DATABASE_URL });
  for (const statement of SCHEMA) await setup.query(statement);
  await setup.end();
  for (let lane = 0; lane < lanes; lane++) work.push(mysqlLane(lane, lanes, () => running));
}
await sleep(Number(WARM_MS));
const before = count;
const from = Date.now();
const began = performance.now();
await sleep(Number(MEASURE_MS));
const perSecond = (count - before) / ((performance.now() - began) / 1000);
const to = Date.now();
running = false;
await Promise.all(work);
process.stdout.write(`${JSON.stringify({ perSecond, from, to })}\n`);
