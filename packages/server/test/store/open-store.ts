import { rmSync } from 'node:fs';
import { freshFolder } from '../../../../testing/run-folder.ts';
import { openMariadb } from '../../../../testing/mariadb.ts';
import { openMysql } from '../../../../testing/real-mysql.ts';
import { describeWith } from '../../../../testing/requires.ts';
import type { Database, SqlServer } from '../../../../testing/sql-server.ts';
import path from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Command, Outcome } from '../../src/domain/command.ts';
import type { Appended, MessageRange } from '../../src/domain/ports.ts';
import type { ChatMessage } from '../../src/domain/session.ts';
import { newId } from '../../src/ids.ts';
import { mysqlDialect, type MysqlOptions } from '../../src/store/mysql.ts';
import { sqliteDialect } from '../../src/store/sqlite.ts';
import { SqlStore } from '../../src/store/sql-store.ts';
import type { Dialect, Row, Value } from '../../src/store/dialect.ts';

/** One database, and as many stores on it as a test wants: each is a node. */
export interface Bench {
  readonly name: string;
  /** A new, empty, not yet migrated database becomes the current one. */
  fresh(): Promise<void>;
  dialect(): Promise<Dialect>;
  /** A migrated store on the current database. */
  store(capacity?: number): Promise<SqlStore>;
  /** Two nodes; on SQLite, which is for one process and one connection in it, the same store twice. */
  nodes(capacity?: number): Promise<readonly [SqlStore, SqlStore]>;
  /** Reads past the store. */
  rows(sql: string, values?: readonly Value[]): Promise<Row[]>;
}

export function mysqlOptions(url: string): MysqlOptions {
  const { username, password, pathname, searchParams } = new URL(url);
  const account = {
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  };
  const socketPath = searchParams.get('socketPath');
  return { ...account, ...(socketPath ? { socketPath } : {}) };
}

/** Runs a suite on SQLite, MariaDB and MySQL, each with a database of its own. */
export function onEveryStore(title: string, suite: (bench: Bench) => void): void {
  describe(`${title} · sqlite`, () => {
    let folder = '';
    let count = 0;
    const opened: { close(): Promise<void> }[] = [];
    const file = (): string => path.join(folder, `store-${count}.db`);
    const dialect = async (): Promise<Dialect> => sqliteDialect(file());
    beforeAll(async () => {
      folder = freshFolder('store');
    });
    afterAll(async () => {
      await Promise.all(opened.map((o) => o.close()));
      rmSync(folder, { recursive: true, force: true });
    });
    suite(bench('sqlite', dialect, opened, async () => void count++));
  });
  for (const [service, open] of [
    ['mariadb', openMariadb],
    ['mysql', openMysql],
  ] as const) {
    describeWith(service, `${title} · ${service}`, () => {
      let server: SqlServer | undefined;
      let database: Database | undefined;
      const opened: { close(): Promise<void> }[] = [];
      const dialect = (): Promise<Dialect> => Promise.resolve(mysqlDialect(mysqlOptions((database as Database).url)));
      const fresh = async (): Promise<void> => {
        database = await (server as SqlServer).createDatabase();
      };
      beforeAll(async () => {
        server = await open();
        await fresh();
      });
      afterAll(async () => {
        await Promise.all(opened.map((o) => o.close()));
        await server?.stop();
      });
      suite(bench(service, dialect, opened, fresh));
    });
  }
}

function bench(
  name: string,
  dialect: () => Promise<Dialect>,
  opened: { close(): Promise<void> }[],
  fresh: () => Promise<void>,
): Bench {
  let reader: Dialect | undefined;
  const open = async (capacity = 10): Promise<SqlStore> => {
    const store = new SqlStore({ dialect: await dialect(), capacity });
    opened.push(store);
    await store.migrate();
    return store;
  };
  return {
    name,
    async fresh() {
      reader = undefined;
      await fresh();
    },
    dialect,
    store: open,
    async nodes(capacity) {
      const first = await open(capacity);
      return [first, name === 'sqlite' ? first : await open(capacity)];
    },
    async rows(sql, values = []) {
      if (!reader) {
        reader = await dialect();
        opened.push(reader);
      }
      return reader.transaction((tx) => tx.rows(sql, values));
    },
  };
}

type Of<K, C = Command> = C extends { kind: infer L } ? (K extends L ? C : never) : never;

/** A command with what most tests do not care about filled in. */
export function command<K extends Command['kind']>(
  kind: K,
  sessionId: string,
  more: Partial<Omit<Of<K>, 'kind' | 'sessionId'>> = {},
): Command {
  const usual = { kind, sessionId, at: Date.now(), identity: null, operation: null, by: user(31) };
  const message = {
    messageId: newId('msg'),
    content: 'hello',
    messageType: 'text',
    attachments: [],
    clientMessageId: null,
  };
  return { ...usual, ...(kind === 'message' ? message : {}), ...more } as Command;
}

export const user = (id: number): { type: 'user'; id: number } => ({ type: 'user', id });
export const admin = (id: number): { type: 'admin'; id: number } => ({ type: 'admin', id });

export function append(store: SqlStore, what: Command): Promise<Appended> {
  return new Promise((resolve) => store.append(what, resolve));
}

export async function appendOk(store: SqlStore, what: Command): Promise<Outcome> {
  const { outcome, error } = await append(store, what);
  if (!outcome) throw error as Error;
  return outcome;
}

/** Messages of a session as it is now. */
export async function messagesOf(
  store: SqlStore,
  sessionId: string,
  range: MessageRange,
): Promise<readonly ChatMessage[]> {
  const found = await store.session(sessionId);
  if (!found) throw new Error(`there is no session ${sessionId}`);
  return store.messages(found.session, range);
}

/** `ok`, or the code of the error. */
export function verdict({ outcome, error }: Appended): string {
  return outcome ? 'ok' : ((error as { code?: string }).code ?? String(error));
}

/** What must hold of every session whatever happened: its log is 1, 2, 3 … and its row agrees with it. */
export async function brokenRules(bench: Bench): Promise<string[]> {
  const sessions = await bench.rows('SELECT session_id, last_seq, message_count, last_message_id FROM chat_sessions');
  const messages = await bench.rows('SELECT session_id, seq, message_id FROM chat_messages');
  const events = await bench.rows('SELECT session_id, seq FROM chat_events');
  const log = new Map<string, number[]>();
  for (const row of [...messages, ...events]) {
    const id = row['session_id'] as string;
    log.set(id, [...(log.get(id) ?? []), Number(row['seq'])]);
  }
  const newest = new Map<string, Row>();
  const counts = new Map<string, number>();
  for (const row of messages) {
    const id = row['session_id'] as string;
    counts.set(id, (counts.get(id) ?? 0) + 1);
    if (Number(row['seq']) > Number(newest.get(id)?.['seq'] ?? 0)) newest.set(id, row);
  }
  const broken: string[] = [];
  for (const session of sessions) {
    const id = session['session_id'] as string;
    const seqs = (log.get(id) ?? []).toSorted((a, b) => a - b);
    const own = counts.get(id) ?? 0;
    if (seqs.some((seq, i) => seq !== i + 1)) broken.push(`${id}: seqs ${seqs.join(',')}`);
    if (Number(session['last_seq']) !== seqs.length)
      broken.push(`${id}: last_seq ${session['last_seq']} of ${seqs.length}`);
    if (Number(session['message_count']) !== own) broken.push(`${id}: counts ${session['message_count']} of ${own}`);
    if ((newest.get(id)?.['message_id'] ?? null) !== session['last_message_id']) broken.push(`${id}: last message`);
  }
  return broken;
}
