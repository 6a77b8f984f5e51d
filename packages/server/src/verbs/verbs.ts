import type { Command } from 'commander';
import { addDoctorVerb } from './doctor.ts';
import { addMigrateVerb } from './migrate.ts';
import { addTokenVerb } from './token.ts';
import type { VerbParts } from './verb.ts';

/** Everything that `switchboard` can do besides serving. */
export function addVerbs(program: Command, parts: VerbParts): void {
  addTokenVerb(program, parts);
  addMigrateVerb(program, parts);
  addDoctorVerb(program, parts);
}
