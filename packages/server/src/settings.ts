/** What `--help`, `.env.example` and the documents say of one setting. */
export interface Setting {
  readonly name: string;
  readonly what: string;
  readonly usual: string;
  readonly example: string;
  /** Holds a secret: may also come from a file named by `NAME_FILE`, and is never shown. */
  readonly secret?: true;
}

/** Every setting, in the order of the documents. A name that is not here is not read. */
export const settings: readonly Setting[] = [
  { name: 'PORT', what: 'Port to listen on; 0 takes a free one', usual: '8787', example: '8787' },
  {
    name: 'HOST',
    what: 'Address to listen on, without a port',
    usual: '127.0.0.1 in demo mode, else 0.0.0.0',
    example: '0.0.0.0',
  },
  {
    name: 'DATABASE_URL',
    what: '`sqlite:<file>`, `sqlite::memory:`, `mysql://user:password@host:3306/db`, or with `?socketPath=`',
    usual: 'sqlite:./data/switchboard.db',
    example: 'mysql://chat:secret@127.0.0.1:3306/shop',
    secret: true,
  },
  {
    name: 'REDIS_URL',
    what: 'Unset: one node. Set: any number of nodes behind any load balancer',
    usual: 'unset',
    example: 'redis://127.0.0.1:6379',
    secret: true,
  },
  {
    name: 'JWT_SECRET',
    what: 'HS256 secret shared with the host application, 32 bytes or more (RFC 7518, 3.2). With no key set at all: demo mode, on this machine only',
    usual: 'unset',
    example: 'a-long-random-text-of-32-bytes-or-more',
    secret: true,
  },
  {
    name: 'JWT_PUBLIC_KEY',
    what: "Public key or certificate (PEM) that the host application's tokens (RS, PS, ES, EdDSA) are checked with; `\\n` may stand for line breaks",
    usual: 'unset',
    example: '-----BEGIN PUBLIC KEY-----\\n…\\n-----END PUBLIC KEY-----',
    secret: true,
  },
  {
    name: 'JWKS_URL',
    what: 'Address of the JSON Web Key Set that tokens are checked with',
    usual: 'unset',
    example: 'https://login.example.com/.well-known/jwks.json',
  },
  {
    name: 'JWT_CLAIM_USER_ID',
    what: 'Claim with the account number; dots go into nested claims. Under another name, `sub` is not read in its place',
    usual: 'userId',
    example: 'uid',
  },
  {
    name: 'JWT_CLAIM_ROLES',
    what: 'Claim with the roles, an array or one word. Under another name, `role` is not read in its place',
    usual: 'roles',
    example: 'permissions.roles',
  },
  { name: 'JWT_CLAIM_NICKNAME', what: 'Claim with the name to show', usual: 'nickname', example: 'name' },
  { name: 'JWT_CLAIM_AVATAR', what: 'Claim with the address of a picture', usual: 'avatar', example: 'picture' },
  {
    name: 'JWT_ADMIN_WHEN',
    what: 'Makes an admin of a token besides its roles: `claim=value`, or `claim~word` for a list or a text of words; commas between alternatives',
    usual: 'unset',
    example: 'isAdmin=true,scope~chat:admin',
  },
  { name: 'JWT_ISSUER', what: 'Required `iss` claim', usual: 'unset', example: 'https://login.example.com' },
  { name: 'JWT_AUDIENCE', what: 'Required `aud` claim', usual: 'unset', example: 'switchboard' },
  {
    name: 'JWT_LEEWAY_SECONDS',
    what: 'By how much the clocks of issuer and server may differ',
    usual: '0',
    example: '5',
  },
  {
    name: 'TZ_BUSINESS',
    what: 'IANA zone that "today" means in statistics',
    usual: 'Asia/Shanghai',
    example: 'Europe/Berlin',
  },
  {
    name: 'ALLOWED_ORIGINS',
    what: 'Origins of pages that may connect, commas between them; `*` for all',
    usual: "the server's own, and in demo mode any on this machine",
    example: 'https://shop.example.com,https://admin.example.com',
  },
  { name: 'LOG_LEVEL', what: 'fatal, error, warn, info, debug, trace or silent', usual: 'info', example: 'debug' },
  {
    name: 'RATE_LIMIT',
    what: '`off`, or limits as perSecond/burst: frames of one connection, requests of one account',
    usual: 'frames=50/200,requests=100/300',
    example: 'frames=20/100,requests=50/200',
  },
  {
    name: 'FRAME_NAMES',
    what: 'Other names for frames that the front ends in place expect: new_admin_message, message_ack, error',
    usual: 'unset',
    example: 'new_admin_message=admin_message',
  },
  {
    name: 'MAX_ACTIVE_SESSIONS_PER_ADMIN',
    what: 'Active sessions that automatic assignment gives one admin at most',
    usual: '10',
    example: '5',
  },
  {
    name: 'ADMIN_OFFLINE_GRACE_SECONDS',
    what: 'How long an admin may be away before their sessions wait again',
    usual: '30',
    example: '60',
  },
  {
    name: 'DATA_DIR',
    what: 'Folder for what the server keeps itself, such as the demo secret',
    usual: './data',
    example: '/var/lib/switchboard',
  },
  {
    name: 'DATABASE_WAIT_SECONDS',
    what: 'How long the start waits for a database that cannot be reached',
    usual: '30',
    example: '120',
  },
  {
    name: 'TRUST_PROXY',
    what: '`true`, `false`, or addresses and networks of proxies whose X-Forwarded-For is believed, commas between them',
    usual: 'false',
    example: '10.0.0.0/8',
  },
];

/** The settings as `--help` shows them. */
export function settingsHelp(): string {
  const width = Math.max(...settings.map((s) => s.name.length));
  const lines = settings.map((s) => `  ${s.name.padEnd(width)}  ${s.what} (default: ${s.usual})`);
  return ['Settings (environment, or a .env file; secrets also as NAME_FILE):', ...lines].join('\n');
}

/** The settings as `.env.example` lists them. */
export function settingsExample(): string {
  const head =
    '# Copy to .env and take the # off what you set. Secrets may come from files: NAME_FILE=/run/secrets/name';
  const blocks = settings.map((s) => `# ${s.what}\n# Default: ${s.usual}\n#${s.name}=${s.example}`);
  return `${[head, ...blocks].join('\n\n')}\n`;
}

/** The settings as a Markdown table. */
export function settingsTable(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = settings.map(
    (s) => `| \`${s.name}\`${s.secret ? ' 🔒' : ''} | ${cell(s.what)} | ${cell(s.usual)} | \`${cell(s.example)}\` |`,
  );
  return ['| setting | what | default | example |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
