import { type Config, environment, readConfig } from '../config.ts';
import { ConfigError, type Environment } from '../config-source.ts';
import { randomSecret } from '../ids.ts';
import { BorrowedPool, type MysqlPool } from '../store/borrowed-pool.ts';
import type { HostAuthenticate } from './account.ts';
import type { HostLogger } from './log.ts';

/** Every setting by its name, as in the environment. */
export type SettingName =
  | 'PORT'
  | 'HOST'
  | 'DATABASE_URL'
  | 'REDIS_URL'
  | 'JWT_SECRET'
  | 'JWT_PUBLIC_KEY'
  | 'JWKS_URL'
  | 'JWT_CLAIM_USER_ID'
  | 'JWT_CLAIM_ROLES'
  | 'JWT_CLAIM_NICKNAME'
  | 'JWT_CLAIM_AVATAR'
  | 'JWT_ADMIN_WHEN'
  | 'JWT_ISSUER'
  | 'JWT_AUDIENCE'
  | 'JWT_LEEWAY_SECONDS'
  | 'TZ_BUSINESS'
  | 'ALLOWED_ORIGINS'
  | 'LOG_LEVEL'
  | 'RATE_LIMIT'
  | 'FRAME_NAMES'
  | 'MAX_ACTIVE_SESSIONS_PER_ADMIN'
  | 'ADMIN_OFFLINE_GRACE_SECONDS'
  | 'DATA_DIR'
  | 'DATABASE_WAIT_SECONDS'
  | 'TRUST_PROXY';

/** What a text can say is a setting, by the name it has in the environment; the rest is an option. */
export type SwitchboardOptions = { readonly [name in SettingName]?: string | number | boolean | undefined } & {
  /** A URL as in `DATABASE_URL`, or a pool of mysql2 that the host already has. */
  readonly database?: string | MysqlPool | undefined;
  /** Checks the host's own tokens, in place of `JWT_SECRET`, `JWT_PUBLIC_KEY` or `JWKS_URL`. */
  readonly authenticate?: HostAuthenticate | undefined;
  /** A logger in the manner of pino; `false` for none. Without one, warnings are JSON lines on stdout. */
  readonly logger?: HostLogger | false | undefined;
  /** What stands before the paths of Switchboard on the host's server, such as `/support`. */
  readonly prefix?: string | undefined;
};

/** Options, read and checked. */
export interface Reading {
  readonly config: Config;
  readonly logLevel: string | undefined;
  readonly pool: BorrowedPool | null;
  readonly authenticate: HostAuthenticate | null;
  readonly logger: HostLogger | false | undefined;
  readonly prefix: string;
}

const OPTIONS = new Set(['database', 'authenticate', 'logger', 'prefix']);
const KEYS = ['JWT_SECRET', 'JWT_PUBLIC_KEY', 'JWKS_URL'];

/**
 * Reads options. With none at all the process's environment is read; otherwise it is not looked at.
 * @throws ConfigError or TypeError, which say what is wrong
 */
export function readOptions(options: SwitchboardOptions | undefined): Reading {
  const { database, authenticate = null, logger, prefix = '', ...rest } = options ?? {};
  for (const name of Object.keys(rest)) {
    // A whole environment may be handed in, which has many names that are none of ours.
    if (/^[a-z]+([A-Z][a-z]*)*$/.test(name)) {
      throw new TypeError(`there is no option ${name}; options are ${[...OPTIONS].join(', ')}, and settings by name`);
    }
  }
  if (prefix !== '' && !/^(\/[\w.~-]+)+$/.test(prefix)) {
    throw new TypeError(`prefix must begin with / and not end with it, such as /support`);
  }
  const named = options === undefined ? environment() : texts(rest);
  const pool = database === undefined || typeof database === 'string' ? null : new BorrowedPool(database);
  const env: Environment = {
    ...named,
    ...(typeof database === 'string' ? { DATABASE_URL: database } : {}),
    ...(authenticate === null ? {} : withoutKeys()),
  };
  if (options !== undefined && authenticate === null && !KEYS.some((key) => env[key] || env[`${key}_FILE`])) {
    throw new ConfigError('JWT_SECRET', 'must be given (or JWT_PUBLIC_KEY, or JWKS_URL, or the option authenticate)');
  }
  return { config: readConfig(env), logLevel: env['LOG_LEVEL'], pool, authenticate, logger, prefix };
}

function texts(settings: object): Record<string, string | undefined> {
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

/** With a check of the host's own no key is used, but none would mean demo mode: this one nobody knows. */
function withoutKeys(): Record<string, string | undefined> {
  const nobodys = Object.fromEntries(
    KEYS.flatMap((key) => [
      [key, undefined],
      [`${key}_FILE`, undefined],
    ]),
  );
  return { ...nobodys, JWT_SECRET: randomSecret() };
}
