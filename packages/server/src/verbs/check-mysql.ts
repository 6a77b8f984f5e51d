import type { Clock } from '../domain/ports.ts';
import type { Dialect, Row } from '../store/dialect.ts';
import { bad, type Finding, good, note } from './finding.ts';

const MEBIBYTE = 1_048_576;
/** From here on leases and "today" are noticeably off. */
const CLOCK_MS = 2_000;

/** Looks at a MySQL or MariaDB server: version, clock, isolation, durability, and what else a chat rests on. */
export async function checkMysql(dialect: Dialect, clock: Clock): Promise<Finding[]> {
  const asked = clock.now();
  const { row, flags, tables } = await dialect.transaction(async (tx) => ({
    row: (await tx.rows('SELECT VERSION() AS version, DATABASE() AS name, UTC_TIMESTAMP(3) AS now', []))[0] as Row,
    flags: await tx.rows(
      `SHOW VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin', 'binlog_format',
       'read_only', 'max_allowed_packet', 'transaction_isolation', 'tx_isolation', 'character_set_database',
       'character_set_client', 'time_zone')`,
      [],
    ),
    tables: await tx.rows(
      `SELECT table_name AS name, table_collation AS collation FROM information_schema.tables
       WHERE table_schema = DATABASE() AND table_name IN ('chat_sessions', 'chat_messages')`,
      [],
    ),
  }));
  const answered = clock.now();
  const flag = new Map(flags.map((f) => [String(f['Variable_name']), String(f['Value'])]));
  return [
    checkVersion(String(row['version']), String(row['name'])),
    checkClock(Date.parse(`${String(row['now']).replace(' ', 'T')}Z`), asked, answered),
    checkIsolation(flag.get('transaction_isolation') ?? flag.get('tx_isolation') ?? '?', flag.get('time_zone') ?? '?'),
    checkCharacterSet(flag.get('character_set_client') ?? '?', flag.get('character_set_database') ?? '?', tables),
    ...checkWrites(flag),
    ...(await checkDurability(dialect)),
  ];
}

function checkVersion(version: string, database: string): Finding {
  const isMariadb = /mariadb/i.test(version);
  const [, major = 0, minor = 0] = (/^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  const name = isMariadb ? 'MariaDB' : 'MySQL';
  const recent = isMariadb ? major > 10 || (major === 10 && minor >= 5) : major >= 8;
  if (recent) return good(`${name} ${version}, database ${database}`, `${name} ${version}，数据库 ${database}`);
  return bad(
    { en: `${name} ${version} is too old`, zh: `${name} ${version} 版本过旧` },
    {
      en: 'Use MySQL 8.0 or newer, or MariaDB 10.5 or newer',
      zh: '请使用 MySQL 8.0 或更新版本，或 MariaDB 10.5 或更新版本',
    },
  );
}

function checkClock(theirs: number, asked: number, answered: number): Finding {
  const off = Math.round(theirs - (asked + answered) / 2);
  const seconds = (off / 1000).toFixed(2);
  if (Math.abs(off) < CLOCK_MS) return good(`its clock differs by ${seconds} s`, `时钟相差 ${seconds} 秒`);
  return bad(
    { en: `its clock differs by ${seconds} s`, zh: `时钟相差 ${seconds} 秒` },
    {
      en: 'Set both machines by NTP (timedatectl set-ntp true)',
      zh: '请在两台机器上启用 NTP 对时（timedatectl set-ntp true）',
    },
  );
}

function checkIsolation(isolation: string, zone: string): Finding {
  if (isolation === 'READ-COMMITTED' && zone === '+00:00') {
    return good('its sessions are READ COMMITTED, in UTC', '会话隔离级别为 READ COMMITTED，时区为 UTC');
  }
  return bad(
    {
      en: `a session has ${isolation} and the zone ${zone}, though others were asked for`,
      zh: `会话实际为 ${isolation}、时区 ${zone}，与要求不符`,
    },
    {
      en: 'Something between here and the server (a proxy such as ProxySQL) drops SET SESSION: connect directly, or let it pass them',
      zh: '中间代理（如 ProxySQL）丢弃了 SET SESSION：请直连数据库，或让代理放行',
    },
  );
}

function checkCharacterSet(client: string, database: string, tables: readonly Row[]): Finding {
  const wrong = tables
    .filter((table) => !String(table['collation']).startsWith('utf8mb4'))
    .map((table) => String(table['name']));
  if (client === 'utf8mb4' && wrong.length === 0) {
    return good(`utf8mb4 (the database's own default is ${database})`, `字符集 utf8mb4（数据库默认为 ${database}）`);
  }
  if (client === 'utf8mb4') {
    return note(
      { en: `${wrong.join(', ')} not utf8mb4 yet`, zh: `${wrong.join('、')} 尚不是 utf8mb4` },
      { en: 'The migrations change that: switchboard migrate', zh: '迁移会修正：switchboard migrate' },
    );
  }
  return bad(
    {
      en: `the connection speaks ${client}, not utf8mb4: emoji would be lost`,
      zh: `连接字符集为 ${client} 而非 utf8mb4：表情符号会丢失`,
    },
    {
      en: 'Remove skip-character-set-client-handshake from the server',
      zh: '请从服务器配置中移除 skip-character-set-client-handshake',
    },
  );
}

function checkWrites(flag: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  if (flag.get('read_only') === 'ON' || flag.get('read_only') === '1') {
    findings.push(
      bad(
        { en: 'the server is read only', zh: '数据库为只读' },
        { en: 'DATABASE_URL leads to a replica: name the primary', zh: 'DATABASE_URL 指向了从库，请改为主库' },
      ),
    );
  }
  if (flag.get('log_bin') === 'ON' && flag.get('binlog_format') === 'STATEMENT') {
    findings.push(
      bad(
        {
          en: 'binlog_format is STATEMENT, which refuses READ COMMITTED',
          zh: 'binlog_format 为 STATEMENT，无法使用 READ COMMITTED',
        },
        { en: 'Set binlog_format = ROW in the server’s configuration', zh: '请在数据库配置中设置 binlog_format = ROW' },
      ),
    );
  }
  const packet = Number(flag.get('max_allowed_packet')) / MEBIBYTE;
  if (packet < 16) {
    findings.push(
      bad(
        {
          en: `max_allowed_packet is ${packet} MiB: many long messages at once would not fit`,
          zh: `max_allowed_packet 仅 ${packet} MiB，大量长消息同时写入会失败`,
        },
        { en: 'Set max_allowed_packet = 64M', zh: '请设置 max_allowed_packet = 64M' },
      ),
    );
  }
  return findings;
}

async function checkDurability(dialect: Dialect): Promise<Finding[]> {
  const faults = await dialect.durabilityFaults();
  if (faults.length === 0) return [good('what is committed survives a power loss', '已提交的数据断电不丢失')];
  return faults.map((fault) => {
    const name = fault.split(' ')[0] ?? '';
    return bad(
      {
        en: `${fault}, or acknowledged messages may be lost at a power loss`,
        zh: `${fault}：断电可能丢失已确认的消息`,
      },
      { en: `SET GLOBAL ${name} = 1, and the same in my.cnf`, zh: `执行 SET GLOBAL ${name} = 1，并写入 my.cnf` },
    );
  });
}
