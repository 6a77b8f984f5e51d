import { assemble, type Switchboard } from './app.ts';
import { hostLog } from './embed/log.ts';
import { readOptions, type SwitchboardOptions } from './embed/options.ts';

/**
 * Makes a chat server for a program that has one already: mount it with `attach`, or with `handler` and `upgrade`, or
 * let it `listen` by itself. The store is migrated before this resolves.
 *
 * @param options settings by name and what texts cannot say; none at all: the process's environment
 * @throws ConfigError or TypeError for a wrong option; what the store throws when it cannot be reached or migrated
 */
export async function createSwitchboard(options?: SwitchboardOptions): Promise<Switchboard> {
  const { config, logLevel, logger, ...host } = readOptions(options);
  return assemble(config, hostLog(logger, logLevel), host);
}

export type { Switchboard } from './app.ts';
export { ConfigError } from './config-source.ts';
export type { HostAccount, HostAuthenticate } from './embed/account.ts';
export type { Listener, SessionFacts, SwitchboardEvents, Who } from './embed/events.ts';
export type { HostLogger } from './embed/log.ts';
export type { HttpServer, Next } from './embed/mount.ts';
export type { SettingName, SwitchboardOptions } from './embed/options.ts';
export type { Behalf, Party, Sending, Sent } from './embed/party.ts';
export type { MysqlPool } from './store/borrowed-pool.ts';
export { ChatError } from '@switchboard/protocol';
export type { Message, Session } from '@switchboard/protocol';
