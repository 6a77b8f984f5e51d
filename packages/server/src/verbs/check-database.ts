import { existsSync } from 'node:fs';
import { access, constants, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../config.ts';
import type { Clock } from '../domain/ports.ts';
import { dialectOf } from '../open-store.ts';
import type { Dialect } from '../store/dialect.ts';
import { countersAgree } from '../store/recount.ts';
import { checkMysql } from './check-mysql.ts';
import { bad, type Finding, good, note, reasonOf } from './finding.ts';
import { migrationsDone } from './migrate.ts';

const GIBIBYTE = 1_073_741_824;

/** Looks at the database of the settings. Makes nothing and changes nothing. */
export async function checkDatabase(database: Config['database'], clock: Clock): Promise<Finding[]> {
  const findings = database.kind === 'sqlite' ? await checkFile(database.file) : [];
  if (database.kind === 'sqlite' && (!existsSync(database.file) || findings.some((f) => f.verdict === 'bad')))
    return findings;
  let dialect: Dialect | undefined;
  try {
    dialect = await dialectOf(database);
    findings.push(...(database.kind === 'sqlite' ? await checkSqlite(dialect) : await checkMysql(dialect, clock)));
    const migrations = await checkMigrations(dialect);
    findings.push(migrations);
    if (migrations.verdict === 'good') findings.push(await checkCounters(dialect));
  } catch (error) {
    findings.push(unreachable(error));
  } finally {
    await dialect?.close().catch(() => undefined);
  }
  return findings;
}

async function checkFile(file: string): Promise<Finding[]> {
  if (file === ':memory:') {
    return [
      note(
        {
          en: 'SQLite in memory: everything is gone when the server ends',
          zh: 'SQLite 内存库：服务停止后数据全部丢失',
        },
        {
          en: 'DATABASE_URL=sqlite:./data/switchboard.db keeps it',
          zh: '使用 DATABASE_URL=sqlite:./data/switchboard.db 可持久保存',
        },
      ),
    ];
  }
  let folder = path.dirname(path.resolve(file));
  // The start makes missing folders; what counts is the first one that is there.
  while (!existsSync(folder)) folder = path.dirname(folder);
  try {
    await access(folder, constants.W_OK);
    if (existsSync(file)) await access(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    const place = existsSync(file) ? file : folder;
    return [
      bad(
        { en: `${place} cannot be written to (${reasonOf(error)})`, zh: `${place} 不可写（${reasonOf(error)}）` },
        {
          en: 'Give the folder and the file to the account that the server runs under',
          zh: '请将目录和文件的权限授予运行服务的账号',
        },
      ),
    ];
  }
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / GIBIBYTE;
  const size = existsSync(file) ? ((await stat(file)).size / 1_048_576).toFixed(1) : null;
  const findings = [
    size === null
      ? note({ en: `SQLite, ${file}: made at the first start`, zh: `SQLite，${file}：首次启动时创建` })
      : good(`SQLite, ${file}, ${size} MiB`, `SQLite，${file}，${size} MiB`),
  ];
  if (free < 1) {
    findings.push(
      bad(
        { en: `only ${free.toFixed(2)} GiB are free on its disk`, zh: `所在磁盘仅剩 ${free.toFixed(2)} GiB` },
        { en: 'Make room: a full disk refuses every message', zh: '请清理空间：磁盘写满后将拒绝所有消息' },
      ),
    );
  }
  return findings;
}

async function checkSqlite(dialect: Dialect): Promise<Finding[]> {
  const [version] = await dialect.transaction((tx) => tx.rows('SELECT sqlite_version() AS version', []));
  const faults = await dialect.durabilityFaults();
  const library = process.getBuiltinModule?.('node:sqlite') ? 'node:sqlite' : '@photostructure/sqlite';
  const name = `SQLite ${version?.['version']} (${library})`;
  if (faults.length === 0)
    return [good(`${name}; what is committed survives a power loss`, `${name}；已提交的数据断电不丢失`)];
  return faults.map((fault) =>
    bad(
      { en: fault, zh: fault },
      { en: 'Report this: the server asks for it at every start', zh: '请反馈此问题：服务每次启动都会设置该项' },
    ),
  );
}

async function checkMigrations(dialect: Dialect): Promise<Finding> {
  const done = new Set(await migrationsDone(dialect));
  const known = Object.keys(dialect.migrations);
  const pending = known.filter((name) => !done.has(name));
  const strange = [...done].filter((name) => !known.includes(name));
  if (strange.length > 0) {
    return bad(
      {
        en: `the database was written by a newer version (${strange.at(-1)})`,
        zh: `数据库由更新的版本写入（${strange.at(-1)}）`,
      },
      { en: 'Start that version, or a newer one', zh: '请使用该版本或更新的版本' },
    );
  }
  if (pending.length === 0) return good('its tables are up to date', '数据表已是最新');
  const list = pending.join(', ');
  return note(
    { en: `${pending.length} migrations have not run: ${list}`, zh: `${pending.length} 项迁移尚未执行：${list}` },
    {
      en: 'The next start runs them, or now: switchboard migrate. Make a backup first',
      zh: '下次启动时自动执行，也可立即运行 switchboard migrate。请先备份',
    },
  );
}

async function checkCounters(dialect: Dialect): Promise<Finding> {
  if (await dialect.alone(countersAgree)) {
    return good('its counters agree with its rows', '计数与数据一致');
  }
  return bad(
    {
      en: 'its counters do not agree with its rows: somebody else has written to the tables',
      zh: '计数与数据不一致：有其他程序写过这些表',
    },
    { en: 'Count anew: switchboard migrate', zh: '重新计数：switchboard migrate' },
  );
}

function unreachable(error: unknown): Finding {
  const { errno, code } = error as { errno?: number; code?: string };
  const reason = reasonOf(error);
  const what = { en: `the database cannot be used (${reason})`, zh: `无法使用数据库（${reason}）` };
  if (errno === 1045 || errno === 1698) {
    return bad(what, { en: 'DATABASE_URL: user or password are refused', zh: 'DATABASE_URL：用户名或密码被拒绝' });
  }
  if (errno === 1044 || errno === 1049) {
    return bad(what, {
      en: 'DATABASE_URL: make the database and give the user the right to it: CREATE DATABASE …; GRANT ALL ON ….* TO …',
      zh: 'DATABASE_URL：请创建数据库并授权：CREATE DATABASE …; GRANT ALL ON ….* TO …',
    });
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return bad(what, { en: 'DATABASE_URL: nobody has this host name', zh: 'DATABASE_URL：主机名无法解析' });
  }
  return bad(what, {
    en: 'DATABASE_URL: is the server running, does it listen there, does a firewall let this machine through?',
    zh: 'DATABASE_URL：请确认数据库已启动、监听该地址，且防火墙允许本机访问',
  });
}
