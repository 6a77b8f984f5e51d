import type { Command } from 'commander';
import { addTokenVerb } from './token.ts';
import type { VerbParts } from './verb.ts';

/** Everything that `switchboard` can do besides serving. What a verb needs is loaded when it is its turn. */
export function addVerbs(program: Command, parts: VerbParts): void {
  const { withConfig, end } = parts;
  addTokenVerb(program, parts);
  program
    .command('migrate')
    .description("bring the database to this version's tables, as a start would do, and end")
    .action(async () => {
      const { migrate } = await import('./migrate.ts');
      end(await withConfig(migrate));
    });
  program
    .command('doctor')
    .description('look at settings, database, Redis and proxy, and say what to do about each finding')
    .option('--url <address>', 'address that browsers use, such as https://chat.example.com: is WebSocket passed on?')
    .action(async ({ url }: { url?: string }) => {
      const { doctor } = await import('./doctor.ts');
      end(await doctor(url));
    });
}
