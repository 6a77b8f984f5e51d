import { createRequire } from 'node:module';
import { Command } from 'commander';
import { createSwitchboard } from './app.ts';
import { mintToken } from './auth.ts';
import { systemClock } from './clock.ts';
import { ConfigError, type Config, environment, readConfig } from './config.ts';
import { createLog } from './log.ts';
import { settingsHelp } from './settings.ts';
import { NewerDatabaseError } from './store/migrate.ts';

/** Exit statuses: 0 done, 1 could not go on, 2 a setting is wrong. */
export async function run(argv: readonly string[]): Promise<number> {
  let status = 0;
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
  const program = new Command('switchboard')
    .description('Customer-service chat server')
    .version(version)
    .addHelpText('after', `\n${settingsHelp()}`)
    .exitOverride();
  program
    .command('start', { isDefault: true })
    .description('serve until SIGTERM or SIGINT')
    .action(async () => {
      status = await withConfig(start);
    });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    // Commander has said what there is to say.
    return (error as { exitCode?: number }).exitCode ?? 1;
  }
  return status;
}

async function withConfig(work: (config: Config) => Promise<number>): Promise<number> {
  let config: Config;
  try {
    config = readConfig(environment());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  return work(config);
}

async function start(config: Config): Promise<number> {
  const log = createLog(config.logLevel);
  // Asked for before anything is open: a signal that comes while starting must not end it half-way.
  const stop = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  let switchboard: Awaited<ReturnType<typeof createSwitchboard>> | undefined;
  try {
    switchboard = await createSwitchboard(config, log);
    const url = await switchboard.listen();
    log.info({ url }, 'listening');
    if (config.demo) await sayWhatToOpen(config, url);
  } catch (error) {
    await switchboard?.close().catch(() => undefined);
    return sayWhyNot(error, config);
  }
  const signal = await stop;
  log.info({ signal }, 'stopping');
  await switchboard.close();
  log.info('stopped');
  return 0;
}

/** For people at a terminal; the log is for machines. */
async function sayWhatToOpen(config: Config, url: string): Promise<void> {
  const token = (userId: number, roles: ('user' | 'admin')[], nickname: string): Promise<string> =>
    mintToken(config.jwt, { userId, roles, nickname, expiresInSeconds: 86_400 }, systemClock);
  const ws = url.replace(/^http/, 'ws');
  const both = await token(31, ['user', 'admin'], '小明');
  process.stderr.write(
    [
      '',
      'Switchboard · demo mode, on this machine only · 演示模式，仅限本机',
      `  REST       curl -H "Authorization: Bearer ${both}" ${url}/api/admin/chat/sessions`,
      `  user 用户   ${ws}/chat?token=${both}`,
      `  admin 管理  ${ws}/chat?token=${both}&type=admin&role=admin`,
      '  Set JWT_SECRET for anything but trying it out. 正式使用请设置 JWT_SECRET。',
      '',
      '',
    ].join('\n'),
  );
}

/** One line that says what is wrong with what, in words of the setting that can mend it. */
function sayWhyNot(error: unknown, { database, host, port }: Config): number {
  const { code, message, errno } = error as { code?: string; message?: string; errno?: number };
  if (error instanceof NewerDatabaseError) return fail(message ?? '', 1);
  if (code === 'EADDRINUSE') return fail(`PORT ${port} on ${host} is taken by another program. Example: PORT=8788`, 2);
  if (code === 'EADDRNOTAVAIL' || (code === 'ENOTFOUND' && message?.includes(host)))
    return fail(`HOST ${host} is no address of this machine. Example: HOST=127.0.0.1`, 2);
  if (code === 'EACCES') return fail(`PORT ${port} may not be used by this account. Example: PORT=8787`, 2);
  if (errno === 1045 || errno === 1698) return fail('DATABASE_URL: user or password are refused by the database', 2);
  if (errno === 1044 || errno === 1049)
    return fail('DATABASE_URL: there is no such database, or the user has no right to it', 2);
  if (database.kind === 'mysql') return fail(`DATABASE_URL: the database cannot be used (${code ?? message})`, 1);
  return fail(`Could not start: ${message ?? String(error)}`, 1);
}

function fail(line: string, status: number): number {
  process.stderr.write(`${line.replaceAll('\n', ' ')}\n`);
  return status;
}
