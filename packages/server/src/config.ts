import { BlockList, isIP } from 'node:net';
import { clientFrames, serverFrames } from '@switchboard/protocol';
import type { JwtSettings } from './auth.ts';
import { type AdminRule, type ClaimNames, usualClaims } from './claims.ts';
import { type Database, database, redisUrl } from './config-database.ts';
import { demoSecret, signingKey } from './config-key.ts';
import { ConfigError, type Environment, parsedUrl, type Read, reader, shown } from './config-source.ts';

export { ConfigError };

/** Everything that a start needs to know. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly database: Database;
  readonly redisUrl: string | null;
  readonly jwt: JwtSettings;
  /** No key was configured: loopback only, with a secret of our own. */
  readonly demo: boolean;
  readonly businessZone: string;
  /** Exact origins or `*`; null: the default. */
  readonly allowedOrigins: readonly string[] | null;
  readonly logLevel: string;
  /** Null: off. */
  readonly rateLimit: { readonly frames: Rate; readonly requests: Rate } | null;
  readonly frameNames: Readonly<Record<string, string>>;
  readonly maxActiveSessionsPerAdmin: number;
  readonly adminOfflineGraceSeconds: number;
  readonly databaseWaitSeconds: number;
  readonly trustProxy: boolean | string;
}

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** The process's environment, with what a `.env` file in the working folder adds to it. */
export function environment(): Environment {
  try {
    process.loadEnvFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ConfigError('.env', 'cannot be read');
  }
  return process.env;
}

/**
 * Reads the settings.
 * @param env usually `process.env`
 * @throws ConfigError for the first setting that cannot be used
 */
export function readConfig(env: Environment): Config {
  const read = reader(env);
  const key = signingKey(read);
  const demo = key === null;
  if (demo && env['NODE_ENV'] === 'production') {
    throw new ConfigError(
      'JWT_SECRET',
      'must be set when NODE_ENV=production (or JWT_PUBLIC_KEY, or JWKS_URL): without a key anybody could be an admin',
    );
  }
  const config = {
    host: host(read('HOST'), demo),
    port: integer(read, 'PORT', 8787, 0, 65_535),
    database: database(read('DATABASE_URL') ?? 'sqlite:./data/switchboard.db'),
    redisUrl: redisUrl(read('REDIS_URL')),
    demo,
    businessZone: zone(read('TZ_BUSINESS') ?? 'Asia/Shanghai'),
    allowedOrigins: origins(read('ALLOWED_ORIGINS')),
    logLevel: oneOf('LOG_LEVEL', read('LOG_LEVEL') ?? 'info', [
      'fatal',
      'error',
      'warn',
      'info',
      'debug',
      'trace',
      'silent',
    ]),
    rateLimit: rateLimit(read('RATE_LIMIT') ?? ''),
    frameNames: frameNames(read('FRAME_NAMES') ?? ''),
    maxActiveSessionsPerAdmin: integer(read, 'MAX_ACTIVE_SESSIONS_PER_ADMIN', 10, 1, 100_000),
    adminOfflineGraceSeconds: integer(read, 'ADMIN_OFFLINE_GRACE_SECONDS', 30, 0, 86_400),
    databaseWaitSeconds: integer(read, 'DATABASE_WAIT_SECONDS', 30, 0, 3_600),
    trustProxy: trustProxy(read('TRUST_PROXY') ?? 'false'),
  };
  const rules = {
    claims: claimNames(read),
    adminWhen: adminRules(read('JWT_ADMIN_WHEN') ?? ''),
    leewaySeconds: integer(read, 'JWT_LEEWAY_SECONDS', 0, 0, 600),
    issuer: read('JWT_ISSUER') ?? null,
    audience: read('JWT_AUDIENCE') ?? null,
  };
  const dataDir = read('DATA_DIR') ?? './data';
  // Last, because it writes: nothing is made while another setting is still wrong.
  return { ...config, jwt: { ...rules, key: key ?? { kind: 'secret', secret: demoSecret(dataDir) } } };
}

function host(text: string | undefined, demo: boolean): string {
  const given = (text ?? (demo ? '127.0.0.1' : '0.0.0.0')).replace(/^\[(.*)\]$/, '$1');
  // All digits and dots, it would be an address.
  if (isIP(given) === 0 && (!/^[\w-]+(\.[\w-]+)*\.?$/.test(given) || /^[\d.]+$/.test(given))) {
    throw new ConfigError('HOST', `is ${shown(given)}, must be an address or a name of this machine, without a port`);
  }
  if (demo && !isLoopback(given)) {
    throw new ConfigError(
      'JWT_SECRET',
      `must be set to listen on HOST=${given}: without a key the server runs in demo mode, on this machine only`,
    );
  }
  return given;
}

function isLoopback(given: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return given === 'localhost' || (isIP(given) !== 0 && loopback.check(given, isIP(given) === 4 ? 'ipv4' : 'ipv6'));
}

function integer(read: Read, name: string, usual: number, least: number, most: number): number {
  const text = read(name);
  if (text === undefined) return usual;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new ConfigError(name, `is ${shown(text)}, must be a whole number from ${least} to ${most}`);
  }
  return value;
}

function oneOf(name: string, value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value)) throw new ConfigError(name, `is ${shown(value)}, must be one of ${allowed.join(', ')}`);
  return value;
}

function zone(name: string): string {
  try {
    // Later Node.js versions take distances such as +08:00 for zones, earlier ones do not.
    if (!/^[A-Za-z]/.test(name)) throw new RangeError(name);
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name;
  } catch {
    throw new ConfigError('TZ_BUSINESS', `is ${shown(name)}, which is no IANA time zone`);
  }
}

function origins(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  return listed(text).map((entry) => {
    if (entry === '*') return entry;
    const url = parsedUrl('ALLOWED_ORIGINS', entry);
    // Of schemes that the URL standard does not know, such as an app's own, the origin is what stands there.
    const origin = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
    if (origin !== entry || url.host === '') {
      throw new ConfigError(
        'ALLOWED_ORIGINS',
        `has ${shown(entry)}, which is no origin: scheme, host and port only, in lower case, no slash at the end`,
      );
    }
    if (entry.includes('*'))
      throw new ConfigError('ALLOWED_ORIGINS', `has ${shown(entry)}, but * can only stand alone, for all`);
    return entry;
  });
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function rateLimit(text: string): Config['rateLimit'] {
  if (text === 'off') return null;
  const rates = { frames: { perSecond: 50, burst: 200 }, requests: { perSecond: 100, burst: 300 } };
  for (const part of listed(text)) {
    const [, what, perSecond, burst] = /^(frames|requests)=(\d{1,7})\/(\d{1,7})$/.exec(part) ?? [];
    if ((what !== 'frames' && what !== 'requests') || Number(perSecond) < 1 || Number(burst) < 1) {
      throw new ConfigError(
        'RATE_LIMIT',
        `has ${shown(part)}, must be off, or frames=perSecond/burst,requests=perSecond/burst`,
      );
    }
    rates[what] = { perSecond: Number(perSecond), burst: Number(burst) };
  }
  return rates;
}

/** Frames that the requirements leave unnamed; the others' names are fixed by the front ends in place. */
const RENAMEABLE = ['new_admin_message', 'message_ack', 'error'];
const FRAMES = Object.keys({ ...clientFrames, ...serverFrames });

function frameNames(text: string): Readonly<Record<string, string>> {
  const names: Record<string, string> = {};
  for (const part of listed(text)) {
    const [, from = '', to = ''] = /^(\w+)=([A-Za-z0-9_.:-]{1,64})$/.exec(part) ?? [];
    if (!RENAMEABLE.includes(from) || from in names) {
      throw new ConfigError(
        'FRAME_NAMES',
        `has ${shown(part)}, must be name=other, each of ${RENAMEABLE.join(', ')} once at most`,
      );
    }
    if (Object.values(names).includes(to) || (FRAMES.includes(to) && to !== from)) {
      throw new ConfigError('FRAME_NAMES', `gives ${shown(to)} to ${from}, but another frame has that name`);
    }
    names[from] = to;
  }
  return names;
}

function claimNames(read: Read): ClaimNames {
  const name = (setting: string, usual: string): string => {
    const value = read(setting) ?? usual;
    if (!/^[\w:/-]+(\.[\w:/-]+)*$/.test(value)) {
      throw new ConfigError(setting, `is ${shown(value)}, must be a claim's name, with dots between nested ones`);
    }
    return value;
  };
  return {
    userId: name('JWT_CLAIM_USER_ID', usualClaims.userId),
    roles: name('JWT_CLAIM_ROLES', usualClaims.roles),
    nickname: name('JWT_CLAIM_NICKNAME', usualClaims.nickname),
    avatar: name('JWT_CLAIM_AVATAR', usualClaims.avatar),
  };
}

function adminRules(text: string): readonly AdminRule[] {
  return listed(text).map((part) => {
    const [, claim = '', how = '', value = ''] = /^([\w:/.-]+)([=~])(.+)$/.exec(part) ?? [];
    if (claim === '') throw new ConfigError('JWT_ADMIN_WHEN', `has ${shown(part)}, must be claim=value or claim~word`);
    return { claim, how: how === '=' ? 'equals' : 'contains', value };
  });
}

function trustProxy(text: string): boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  const proxies = listed(text);
  const wrong = proxies.find((proxy) => !isNetwork(proxy));
  if (wrong !== undefined || proxies.length === 0) {
    throw new ConfigError(
      'TRUST_PROXY',
      `has ${shown(wrong ?? text)}, must be true, false, or addresses and networks with commas between them`,
    );
  }
  return proxies.join(',');
}

/** An address, a network such as 10.0.0.0/8, or a name that proxies go by. */
function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [, address = '', bits = '1'] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  return isIP(address) !== 0 && Number(bits) >= 1 && Number(bits) <= (isIP(address) === 4 ? 32 : 128);
}
