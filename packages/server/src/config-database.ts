import { ConfigError, parsedUrl } from './config-source.ts';

export type Database =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'mysql'; readonly options: MysqlTarget };

interface MysqlTarget {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Reads `DATABASE_URL`. Faults never quote it: any part of it may be a piece of a password. */
export function database(text: string): Database {
  if (text.startsWith('sqlite:')) return { kind: 'sqlite', file: sqliteFile(text.slice('sqlite:'.length)) };
  if (text.startsWith('mysql://')) return { kind: 'mysql', options: mysqlTarget(parsedUrl('DATABASE_URL', text)) };
  throw new ConfigError('DATABASE_URL', 'must begin with sqlite: or mysql://');
}

/** `./a.db`, `/a.db` or `:memory:`, after `//` or not. */
function sqliteFile(text: string): string {
  const file = text.replace(/^\/\//, '').trim();
  if (file === '' || /[/\\]$|\0/.test(file)) throw new ConfigError('DATABASE_URL', 'names no file after sqlite:');
  if (file.includes('?'))
    throw new ConfigError('DATABASE_URL', 'has parameters after ?, but sqlite: takes only a file');
  return file;
}

function mysqlTarget(url: URL): MysqlTarget {
  const name = decoded(url.pathname.slice(1));
  if (name === '' || name.includes('/'))
    throw new ConfigError('DATABASE_URL', 'names no single database after the host');
  if (url.username === '') throw new ConfigError('DATABASE_URL', 'names no user before the host');
  if (url.hash !== '') throw new ConfigError('DATABASE_URL', 'has a #; write %23 for one in a password');
  if ([...url.searchParams.keys()].some((key) => key !== 'socketPath')) {
    throw new ConfigError('DATABASE_URL', 'has a parameter that is not known; only socketPath is');
  }
  const account = { user: decoded(url.username), password: decoded(url.password), database: name };
  const socketPath = url.searchParams.get('socketPath');
  if (socketPath) return { ...account, socketPath };
  return { ...account, host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 3306) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError('DATABASE_URL', 'has a percent sign that encodes nothing; write %25 for %');
  }
}

/** Checks `REDIS_URL` as the driver would. */
export function redisUrl(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = parsedUrl('REDIS_URL', text);
  if (!/^rediss?:$/.test(url.protocol) || url.hostname === '') {
    throw new ConfigError('REDIS_URL', 'must begin with redis:// or rediss:// and a host');
  }
  if (!/^\/?\d*$/.test(url.pathname))
    throw new ConfigError('REDIS_URL', 'must end with the host or the number of a database');
  return text;
}
