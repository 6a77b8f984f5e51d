import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import type { Switchboard } from './app.ts';
import { mintToken } from './auth.ts';
import { systemClock } from './clock.ts';
import { type Config, ConfigError, environment, readConfig } from './config.ts';
import { createLog, type Log } from './log.ts';
import { optimiseSooner } from './optimise-sooner.ts';
import { packageRoot } from './package-root.ts';
import { settingsHelp } from './settings.ts';
import { NewerDatabaseError } from './store/migrate.ts';
import { addVerbs } from './verbs/verbs.ts';

/** Exit statuses: 0 done, 1 could not go on, 2 a setting is wrong. */
export async function run(argv: readonly string[]): Promise<number> {
  let status = 0;
  const { version } = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string };
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
  addVerbs(program, {
    withConfig,
    end: (code) => {
      status = code;
    },
  });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // It has said what there is to say.
    return error.exitCode;
  }
  return status;
}

async function withConfig(work: (config: Config) => Promise<number>): Promise<number> {
  let config: Config;
  try {
    config = readConfig(environment());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return fail(error.message, 2);
  }
  return work(config);
}

async function start(config: Config): Promise<number> {
  const log = createLog(config.logLevel);
  // Before anything is open: a signal that comes while starting must not end it half-way.
  const giveUp = new AbortController();
  const end = untilEnd(log, () => giveUp.abort());
  let switchboard: Switchboard;
  try {
    // Not before the settings are known to be good: a bad one is told at once.
    const { assemble } = await import('./app.ts');
    switchboard = await assemble(config, log, { giveUp: giveUp.signal });
  } catch (error) {
    if ((error as Error).name === 'AbortError') return await end;
    return fail(...whyNotOpened(error, config));
  }
  // Not sooner: of a start, nothing is run often.
  optimiseSooner();
  try {
    const url = await switchboard.listen();
    // Whoever started us waits for this line, whatever else they want to hear.
    log.child({}, { level: 'info' }).info({ url }, 'listening');
    if (config.demo) await sayWhatToOpen(config, url);
  } catch (error) {
    await switchboard.close().catch(() => undefined);
    return fail(...whyNotListening(error, config));
  }
  const status = await end;
  try {
    await switchboard.close();
    log.info('stopped');
  } catch (error) {
    log.error({ err: error }, 'stopped, but not in order');
  }
  return status;
}

/** How long an orderly end may take, a start that was under way included. */
const END_WITHIN_MS = 9_000;

/**
 * Resolves when the process is to end, with its exit status: 0 after a signal, 1 after an error that nobody caught.
 * @param giveUp ends a start that is still waiting
 */
function untilEnd(log: Log, giveUp: () => void): Promise<number> {
  return new Promise((resolve) => {
    const endWith = (status: number): void => {
      setTimeout(() => {
        log.warn('not everything could be ended in time');
        process.exit(status);
      }, END_WITHIN_MS).unref();
      giveUp();
      resolve(status);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        log.info({ signal }, 'stopping');
        endWith(0);
      });
    }
    // What it left half-done nobody knows: end in order, and let whoever watches over us start afresh.
    process.on('uncaughtException', (error) => {
      log.fatal({ err: error }, 'uncaught error; stopping');
      endWith(1);
    });
    // Something that nobody waited for has failed. That must be looked into, but cuts nobody off.
    process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'unhandled rejection'));
  });
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
      `  open 打开   ${url}/`,
      `  REST       curl -H "Authorization: Bearer ${both}" ${url}/api/admin/chat/sessions`,
      `  user 用户   ${ws}/chat?token=${both}`,
      `  admin 管理  ${ws}/chat?token=${both}&type=admin&role=admin`,
      '  Set JWT_SECRET for anything but trying it out. 正式使用请设置 JWT_SECRET。',
      '',
      '',
    ].join('\n'),
  );
}

type Failure = readonly [line: string, status: number];

/** What kept the store, or all that stands on it, from opening, in words of the setting that can mend it. */
function whyNotOpened(error: unknown, { database }: Config): Failure {
  const { code, errno, message } = error as { code?: string; errno?: number; message?: string };
  if (error instanceof NewerDatabaseError) return [error.message, 1];
  if (code === undefined) return [`Could not start: ${message ?? String(error)}`, 1];
  const reason = code.startsWith('ERR_') ? message : code;
  if (database.kind === 'sqlite') return [`DATABASE_URL: the file ${database.file} cannot be used (${reason})`, 2];
  if (errno === 1045 || errno === 1698) return ['DATABASE_URL: user or password are refused by the database', 2];
  if (errno === 1044 || errno === 1049) {
    return ['DATABASE_URL: there is no such database, or the user has no right to it', 2];
  }
  return [`DATABASE_URL: the database cannot be used (${reason})`, 1];
}

function whyNotListening(error: unknown, { host, port }: Config): Failure {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case 'EADDRINUSE':
      return [`PORT ${port} on ${host} is taken by another program. Example: PORT=8788`, 2];
    case 'EACCES':
      return [`PORT ${port} may not be used by this account. Example: PORT=8787`, 2];
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EAI_AGAIN':
    case 'EINVAL':
    case 'ENOTFOUND':
      return [`HOST ${host} is no address of this machine. Example: HOST=127.0.0.1`, 2];
    default:
      return [`PORT ${port} on ${host} cannot be listened on (${code ?? message})`, 1];
  }
}

/** Says on one line why it ends. */
function fail(line: string, status: number): number {
  process.stderr.write(`${line.replaceAll(/\s+/g, ' ')}\n`);
  return status;
}
