import { parseArgs } from 'node:util';

export const LOAD_SHAPES = ['1x1', '64x1', '64x16', '1000x1', 'half-load'] as const;
export const SHAPES = [...LOAD_SHAPES, 'store', 'idle', 'resume', 'start', 'lists'] as const;
export type ShapeName = (typeof SHAPES)[number];

export interface Options {
  readonly shapes: ReadonlySet<ShapeName>;
  readonly rounds: number;
  readonly measureMs: number;
  readonly database: 'mariadb' | 'mysql';
  /** Other builds to run beside this one: a name and the `main.js`. */
  readonly against: readonly { readonly name: string; readonly entry: string }[];
  /** Null: all that a shape has. */
  readonly subjects: ReadonlySet<string> | null;
  /** Where Switchboard writes CPU profiles. */
  readonly profile: string | null;
  /** Sessions of the largest list. */
  readonly largest: number;
  readonly connections: number;
  /** Whether RESULTS.md and the pictures are written. */
  readonly write: boolean;
}

const HELP = `npm run bench -- [options]
  --quick              three short rounds, lists up to 100,000 sessions
  --only A,B           of ${SHAPES.join(', ')}
  --rounds N           default 5
  --seconds N          of measuring in each run; default 3
  --database mysql     instead of mariadb
  --against NAME=FILE  another build's main.js beside this one; may be repeated
  --subjects A,B       only these, such as switchboard,socket.io
  --profile FOLDER     CPU profiles of Switchboard go there
  --write              writes RESULTS.md even after part of the bench (all of it always does)
`;

/** @throws Error that says which option is wrong */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      database: { type: 'string', default: 'mariadb' },
      against: { type: 'string', multiple: true, default: [] },
      subjects: { type: 'string' },
      profile: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const { database } = values;
  if (database !== 'mariadb' && database !== 'mysql') throw new Error('--database must be mariadb or mysql');
  const shapes = new Set(values.only === undefined ? SHAPES : values.only.split(',').map(shapeName));
  return {
    shapes,
    rounds: count(values.rounds, '--rounds', values.quick ? 3 : 5),
    measureMs: count(values.seconds, '--seconds', values.quick ? 2 : 3) * 1000,
    database,
    against: values.against.map(readBuild),
    subjects: values.subjects === undefined ? null : new Set(values.subjects.split(',')),
    profile: values.profile ?? null,
    largest: values.quick ? 100_000 : 1_000_000,
    connections: 10_000,
    write: values.write || (values.only === undefined && values.subjects === undefined && !values.quick),
  };
}

function shapeName(text: string): ShapeName {
  const name = SHAPES.find((shape) => shape === text);
  if (name === undefined) throw new Error(`--only: no shape ${text}; there are ${SHAPES.join(', ')}`);
  return name;
}

function count(text: string | undefined, option: string, usual: number): number {
  if (text === undefined) return usual;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 100) throw new Error(`${option} must be 1 to 100`);
  return number;
}

function readBuild(text: string): { name: string; entry: string } {
  const [name = '', entry = ''] = text.split('=', 2);
  if (name === '' || entry === '') throw new Error('--against must be NAME=path/to/main.js');
  return { name, entry };
}
