import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../testing/sql-server.ts';
import { ask } from '../generator/ask.ts';
import type { LoadResult } from '../generator/jobs.ts';
import type { FsyncFigures } from '../measure/fsync-probe.ts';
import type { Options } from '../options.ts';
import { openSqlite } from '../subjects/sqlite-driver.ts';
import { startRelay, startSocketIo, startSwitchboard, stop, type Subject } from '../subjects/start.ts';
import { type Scene, withDatabase } from './scene.ts';

export interface LoadShape {
  readonly name: '1x1' | '64x1' | '64x16' | '1000x1' | 'half-load';
  readonly title: string;
  readonly users: number;
  readonly outstanding: number;
  readonly subjects: readonly string[];
}

export const SWITCHBOARD = 'switchboard';
export const ON_SQLITE = 'switchboard on SQLite';
export const SOCKET_IO = 'socket.io';
export const RELAY = 'ws relay';
export const CORKED = 'ws relay, corked';
const STORED = [SWITCHBOARD, ON_SQLITE, SOCKET_IO];
const ALL = [...STORED, RELAY, CORKED];

export const loadShapes: readonly LoadShape[] = [
  { name: '1x1', title: 'one user, one message at a time', users: 1, outstanding: 1, subjects: ALL },
  { name: '64x1', title: '64 users, one outstanding message each', users: 64, outstanding: 1, subjects: ALL },
  { name: '64x16', title: '64 users, 16 outstanding messages each', users: 64, outstanding: 16, subjects: ALL },
  { name: '1000x1', title: '1,000 users, one outstanding message each', users: 1_000, outstanding: 1, subjects: ALL },
  {
    name: 'half-load',
    title: "open loop at half of Socket.IO's peak",
    users: 64,
    outstanding: 1_000,
    subjects: STORED,
  },
];

export interface LoadRun extends LoadResult {
  readonly fsync: FsyncFigures;
}

/** The subjects of a shape, other builds of Switchboard among them. */
export function subjectsOf(shape: LoadShape, { against, subjects }: Options): string[] {
  const others = against.map(({ name }) => `${SWITCHBOARD} ${name}`);
  return [...shape.subjects.slice(0, 1), ...others, ...shape.subjects.slice(1)].filter(
    (name) => subjects?.has(name) ?? true,
  );
}

/** One run: a fresh database, a fresh server, a fresh generator. */
export async function runLoad(
  scene: Scene,
  shape: LoadShape,
  name: string,
  perSecond: number | null,
): Promise<LoadRun> {
  const { options } = scene;
  const work = async (database: Database | null): Promise<LoadRun> => {
    const subject = await startSubject(name, database, options, shape);
    try {
      const pids = { server: subject.pid, ...(database ? { database: scene.sql.pid as number } : {}) };
      const result = await ask({
        kind: 'load',
        port: subject.port,
        secret: subject.secret,
        dialect: name === SOCKET_IO ? 'socket.io' : 'switchboard',
        users: shape.users,
        outstanding: shape.outstanding,
        perSecond,
        warmMs: 1_500,
        measureMs: options.measureMs,
        ordered: name !== SOCKET_IO,
        pids,
      });
      await stop(subject);
      if (name !== RELAY && name !== CORKED) await requireStored(result.messages, subject, database);
      return { ...result, fsync: scene.probe.between(result.from, result.to) };
    } finally {
      await subject.process.kill();
      rmSync(subject.folder, { recursive: true, force: true });
    }
  };
  return name === RELAY || name === CORKED || name === ON_SQLITE ? work(null) : withDatabase(scene, work);
}

function startSubject(name: string, database: Database | null, options: Options, shape: LoadShape): Promise<Subject> {
  const { profile, against } = options;
  const file = `${name.replaceAll(' ', '-')}-${shape.name}`;
  const nodeArgs =
    profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${file}.cpuprofile`];
  switch (name) {
    case SOCKET_IO:
      return startSocketIo(database?.url ?? '');
    case RELAY:
      return startRelay('plain');
    case CORKED:
      return startRelay('corked');
    case ON_SQLITE:
      return startSwitchboard(null, undefined, { nodeArgs });
    default: {
      const other = against.find((build) => name === `${SWITCHBOARD} ${build.name}`);
      return startSwitchboard(database?.url ?? '', other?.entry, { nodeArgs });
    }
  }
}

/** Acknowledged means stored: what the database holds is what was acknowledged, no less and no more. */
async function requireStored(messages: number, subject: Subject, database: Database | null): Promise<void> {
  const query = 'SELECT COUNT(*) AS stored FROM chat_messages';
  let stored: number;
  if (database) stored = Number((await database.query(query))[0]?.['stored']);
  else {
    const sqlite = openSqlite(join(subject.folder, 'switchboard.db'));
    stored = Number(sqlite.prepare(query).all()[0]?.['stored']);
    sqlite.close();
  }
  if (stored !== messages) throw new Error(`${messages} messages were acknowledged, but ${stored} are stored`);
}
