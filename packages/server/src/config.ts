import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { AdminRule, ClaimNames, JwtSettings } from './auth.ts';
import { randomSecret } from './ids.ts';
import { settings } from './settings.ts';

/** Everything that a start needs to know. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly database:
    | { readonly kind: 'sqlite'; readonly file: string }
    | { readonly kind: 'mysql'; readonly url: string; readonly options: MysqlTarget };
  readonly dataDir: string;
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
  readonly production: boolean;
  readonly trustProxy: boolean | string;
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface MysqlTarget {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A setting that cannot be used: one line that names it, its fault and an example. Never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly variable: string;

  constructor(variable: string, fault: string) {
    const example = settings.find((s) => s.name === variable)?.example;
    super(`${variable} ${fault}${example === undefined ? '' : `. Example: ${variable}=${example}`}`);
    this.variable = variable;
  }
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

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings.
 * @param env usually `process.env`
 * @throws ConfigError for the first setting that cannot be used
 */
export function readConfig(env: Environment): Config {
  const read = reader(env);
  const production = env['NODE_ENV'] === 'production';
  const dataDir = read('DATA_DIR') ?? './data';
  const key = signingKey(read, production);
  const demo = key === null;
  const host = read('HOST') ?? (demo ? '127.0.0.1' : '0.0.0.0');
  if (demo && !isLoopback(host)) {
    throw new ConfigError('JWT_SECRET', `must be set to listen on HOST=${host}: without a key the server runs in demo mode, on 127.0.0.1 only`);
  }
  const config = {
    host,
    port: integer(read, 'PORT', 8787, 0, 65_535),
    database: database(read('DATABASE_URL') ?? 'sqlite:./data/switchboard.db'),
    dataDir,
    redisUrl: redisUrl(read('REDIS_URL')),
    businessZone: zone(read('TZ_BUSINESS') ?? 'Asia/Shanghai'),
    allowedOrigins: origins(read('ALLOWED_ORIGINS')),
    logLevel: oneOf('LOG_LEVEL', read('LOG_LEVEL') ?? 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    rateLimit: rateLimit(read('RATE_LIMIT') ?? 'frames=50/200,requests=100/300'),
    frameNames: frameNames(read('FRAME_NAMES')),
    maxActiveSessionsPerAdmin: integer(read, 'MAX_ACTIVE_SESSIONS_PER_ADMIN', 10, 1, 100_000),
    adminOfflineGraceSeconds: integer(read, 'ADMIN_OFFLINE_GRACE_SECONDS', 30, 0, 86_400),
    databaseWaitSeconds: integer(read, 'DATABASE_WAIT_SECONDS', 30, 0, 3_600),
    production,
    trustProxy: trustProxy(read('TRUST_PROXY')),
  };
  const rules = {
    claims: claimNames(read),
    adminWhen: adminRules(read('JWT_ADMIN_WHEN')),
    leewaySeconds: integer(read, 'JWT_LEEWAY_SECONDS', 0, 0, 600),
    issuer: read('JWT_ISSUER') ?? null,
    audience: read('JWT_AUDIENCE') ?? null,
  };
  // Last, because it writes: nothing is made while another setting is still wrong.
  return { ...config, demo, jwt: { ...rules, key: key ?? { kind: 'secret', secret: demoSecret(dataDir) } } };
}

type Read = (name: string) => string | undefined;

/** An empty value counts as none. A secret may come from the file that `NAME_FILE` names. */
function reader(env: Environment): Read {
  return (name) => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    const file = env[`${name}_FILE`];
    if (file === undefined || file === '' || !settings.find((s) => s.name === name)?.secret) return undefined;
    try {
      return readFileSync(file, 'utf8').trim() || undefined;
    } catch {
      throw new ConfigError(name, `cannot be read from the file in ${name}_FILE`);
    }
  };
}

function signingKey(read: Read, production: boolean): JwtSettings['key'] | null {
  const secret = read('JWT_SECRET');
  const pem = read('JWT_PUBLIC_KEY');
  const url = read('JWKS_URL');
  const given = [secret, pem, url].filter((v) => v !== undefined).length;
  if (given > 1) throw new ConfigError('JWT_SECRET', 'cannot be combined with JWT_PUBLIC_KEY or JWKS_URL: set one of them');
  if (secret !== undefined) {
    const bytes = Buffer.byteLength(secret);
    if (bytes < 32) throw new ConfigError('JWT_SECRET', `has ${bytes} bytes, must have 32 or more (RFC 7518, 3.2); \`openssl rand -base64 48\` makes one`);
    return { kind: 'secret', secret };
  }
  if (pem !== undefined) {
    const text = pem.replaceAll('\\n', '\n');
    if (!/^-----BEGIN (PUBLIC KEY|CERTIFICATE)-----/.test(text.trim())) throw new ConfigError('JWT_PUBLIC_KEY', 'must be a PEM public key (SPKI) or certificate');
    return { kind: 'public', pem: text };
  }
  if (url !== undefined) {
    if (!/^https?:$/.test(parsedUrl('JWKS_URL', url).protocol)) throw new ConfigError('JWKS_URL', 'must be an http or https address');
    return { kind: 'jwks', url };
  }
  if (production) throw new ConfigError('JWT_SECRET', 'must be set when NODE_ENV=production (or JWT_PUBLIC_KEY, or JWKS_URL): without a key anybody could be an admin');
  return null;
}

/** Made once, kept for the next start, readable by its owner only. */
function demoSecret(dataDir: string): string {
  const file = path.join(dataDir, 'demo-secret');
  try {
    mkdirSync(dataDir, { recursive: true });
    // `wx`: of two first starts at once, one makes it and both read it.
    writeFileSync(file, randomSecret(), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new ConfigError('DATA_DIR', `cannot be written to: ${dataDir}`);
  }
  chmodSync(file, 0o600);
  const secret = readFileSync(file, 'utf8').trim();
  if (Buffer.byteLength(secret) < 32) throw new ConfigError('DATA_DIR', `holds a demo-secret that is too short; delete ${file}`);
  return secret;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function integer(read: Read, name: string, usual: number, least: number, most: number): number {
  const text = read(name);
  if (text === undefined) return usual;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) throw new ConfigError(name, `is "${shown(text)}", must be a whole number from ${least} to ${most}`);
  return value;
}

function oneOf(name: string, value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value)) throw new ConfigError(name, `is "${shown(value)}", must be one of ${allowed.join(', ')}`);
  return value;
}

/** Values are quoted in errors, so they are cut and kept on one line. Never called with a secret. */
function shown(text: string): string {
  return text.slice(0, 60).replaceAll(/[^\x20-\x7e]/g, '?');
}

function parsedUrl(name: string, text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new ConfigError(name, 'is not a valid URL');
  }
}

function database(text: string): Config['database'] {
  if (text.startsWith('sqlite:')) {
    const file = text.slice('sqlite:'.length).replace(/^\/\/(?=\/|\.)/, '');
    if (file === '') throw new ConfigError('DATABASE_URL', 'names no file after sqlite:');
    return { kind: 'sqlite', file };
  }
  if (!text.startsWith('mysql://')) throw new ConfigError('DATABASE_URL', 'must begin with sqlite: or mysql://');
  const url = parsedUrl('DATABASE_URL', text);
  const name = decoded(url.pathname.slice(1));
  if (name === '') throw new ConfigError('DATABASE_URL', 'names no database after the host');
  if (url.username === '') throw new ConfigError('DATABASE_URL', 'names no user before the host');
  const unknown = [...url.searchParams.keys()].find((key) => key !== 'socketPath');
  if (unknown !== undefined) throw new ConfigError('DATABASE_URL', `has an unknown parameter "${shown(unknown)}"; only socketPath is known`);
  const socketPath = url.searchParams.get('socketPath');
  const account = { user: decoded(url.username), password: decoded(url.password), database: name };
  const place = socketPath ? { socketPath } : { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 3306) };
  return { kind: 'mysql', url: text, options: { ...account, ...place } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError('DATABASE_URL', 'has a percent sign that encodes nothing; write %25 for %');
  }
}

function redisUrl(text: string | undefined): string | null {
  if (text === undefined) return null;
  const { protocol } = parsedUrl('REDIS_URL', text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw new ConfigError('REDIS_URL', 'must begin with redis:// or rediss://');
  return text;
}

function zone(name: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name;
  } catch {
    throw new ConfigError('TZ_BUSINESS', `is "${shown(name)}", which is no IANA time zone`);
  }
}

function origins(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  return listed(text).map((entry) => {
    if (entry === '*') return entry;
    const url = parsedUrl('ALLOWED_ORIGINS', entry);
    if (url.origin !== entry) throw new ConfigError('ALLOWED_ORIGINS', `has "${shown(entry)}", which is no origin: scheme, host and port only, in lower case, no slash at the end`);
    return entry;
  });
}

function listed(text: string): string[] {
  return text.split(',').map((part) => part.trim()).filter((part) => part !== '');
}

function rateLimit(text: string): Config['rateLimit'] {
  if (text === 'off') return null;
  const rates = { frames: { perSecond: 50, burst: 200 }, requests: { perSecond: 100, burst: 300 } };
  for (const part of listed(text)) {
    const [, what, perSecond, burst] = /^(frames|requests)=(\d{1,7})\/(\d{1,7})$/.exec(part) ?? [];
    if ((what !== 'frames' && what !== 'requests') || Number(perSecond) < 1 || Number(burst) < 1) {
      throw new ConfigError('RATE_LIMIT', `has "${shown(part)}", must be off, or frames=perSecond/burst,requests=perSecond/burst`);
    }
    rates[what] = { perSecond: Number(perSecond), burst: Number(burst) };
  }
  return rates;
}

/** Frames that the requirements leave unnamed; the others' names are fixed by the front ends in place. */
const RENAMEABLE = ['new_admin_message', 'message_ack', 'error'];
const FIXED = ['send_message', 'new_user_message', 'session_status_changed'];

function frameNames(text: string | undefined): Readonly<Record<string, string>> {
  const names: Record<string, string> = {};
  for (const part of listed(text ?? '')) {
    const [, from = '', to = ''] = /^(\w+)=([A-Za-z0-9_.:-]{1,64})$/.exec(part) ?? [];
    if (!RENAMEABLE.includes(from)) throw new ConfigError('FRAME_NAMES', `has "${shown(part)}"; only ${RENAMEABLE.join(', ')} can be renamed, as name=other`);
    const taken = FIXED.includes(to) || Object.values(names).includes(to) || (RENAMEABLE.includes(to) && to !== from);
    if (taken) throw new ConfigError('FRAME_NAMES', `gives "${shown(to)}" to ${from}, but another frame has that name`);
    names[from] = to;
  }
  return names;
}

function claimNames(read: Read): ClaimNames {
  const name = (setting: string, usual: string): string => {
    const value = read(setting) ?? usual;
    if (!/^[\w:/-]+(\.[\w:/-]+)*$/.test(value)) throw new ConfigError(setting, `is "${shown(value)}", must be a claim's name, with dots between nested ones`);
    return value;
  };
  return {
    userId: name('JWT_CLAIM_USER_ID', 'userId'),
    roles: name('JWT_CLAIM_ROLES', 'roles'),
    nickname: name('JWT_CLAIM_NICKNAME', 'nickname'),
    avatar: name('JWT_CLAIM_AVATAR', 'avatar'),
  };
}

function adminRules(text: string | undefined): readonly AdminRule[] {
  return listed(text ?? '').map((part) => {
    const [, claim = '', how = '', value = ''] = /^([\w:/.-]+?)([=~])(.+)$/.exec(part) ?? [];
    if (claim === '') throw new ConfigError('JWT_ADMIN_WHEN', `has "${shown(part)}", must be claim=value or claim~word`);
    return { claim, how: how === '=' ? 'equals' : 'contains', value };
  });
}

function trustProxy(text: string | undefined): boolean | string {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  if (!/^[0-9a-fA-F.:/, ]+$|^(loopback|linklocal|uniquelocal)$/.test(text)) throw new ConfigError('TRUST_PROXY', `is "${shown(text)}", must be true, false, or addresses`);
  return text;
}
