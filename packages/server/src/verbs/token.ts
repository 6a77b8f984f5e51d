import { limits } from '@switchboard/protocol';
import type { Command } from 'commander';
import { mintToken } from '../auth.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { fail, type VerbParts } from './verb.ts';

interface Asked {
  readonly user: string;
  readonly roles: string;
  readonly nickname: string;
  readonly expires: string;
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** `switchboard token`: prints a token that this server takes, and nothing else, on stdout. */
export function addTokenVerb(program: Command, { withConfig, end }: VerbParts): void {
  program
    .command('token')
    .description('print a token for trying things out; needs JWT_SECRET, or demo mode')
    .requiredOption('--user <id>', `account, 1 to ${limits.id}`)
    .option('--roles <roles>', 'user, admin, or both with a comma', 'user')
    .option('--nickname <name>', 'name to show', '')
    .option('--expires <time>', 'how long it is good, such as 30m, 24h or 7d', '24h')
    .addHelpText('after', '\nExample: switchboard token --user 31 --roles user,admin --nickname 小明')
    .action(async (asked: Asked) => end(await withConfig((config) => token(config, asked))));
}

async function token({ jwt }: Config, { user, roles, nickname, expires }: Asked): Promise<number> {
  const userId = /^\d{1,10}$/.test(user) ? Number(user) : 0;
  if (userId < 1 || userId > limits.id)
    return fail(`--user must be a whole number from 1 to ${limits.id}. Example: --user 31`, 2);
  const words = roles.split(',').map((word) => word.trim());
  const known = words.filter((word) => word === 'user' || word === 'admin');
  if (known.length !== words.length)
    return fail('--roles must be user, admin, or both with a comma. Example: --roles user,admin', 2);
  const [, count = '', unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(expires) ?? [];
  if (count === '') return fail('--expires must be a number and s, m, h or d. Example: --expires 24h', 2);
  if (jwt.key.kind !== 'secret') {
    return fail(
      'Tokens can only be made with JWT_SECRET: with JWT_PUBLIC_KEY and JWKS_URL whoever has the private key makes them',
      2,
    );
  }
  const expiresInSeconds = Number(count) * SECONDS[unit as keyof typeof SECONDS];
  const claims = { userId, roles: known, nickname, expiresInSeconds };
  process.stdout.write(`${await mintToken(jwt, claims, systemClock)}\n`);
  return 0;
}
