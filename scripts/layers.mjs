/**
 * The layer table: which room of the house may import what. This is its only copy, and
 * `check-layers.mjs` enforces it. A file belongs to the first room whose `files` matches its path;
 * unit tests (`*.test.ts` beside the source) are free.
 *
 * @typedef {object} Room
 * @property {RegExp} files
 * @property {string[]} rooms other rooms it may import from; `type x` allows only types of x
 * @property {string[]} packages npm packages it may import; `*` is any (Knip asks that each is declared)
 * @property {boolean} node whether it may import Node's built-in modules
 */

/** @type {Record<string, Room>} */
export const layers = {
  protocol: { files: /^packages\/protocol\/src\//, rooms: [], packages: ['typebox'], node: false },
  domain: { files: /^packages\/server\/src\/domain\//, rooms: ['protocol'], packages: [], node: false },
  store: {
    files: /^packages\/server\/src\/store\//,
    rooms: ['domain', 'protocol', 'log'],
    packages: ['kysely', 'mysql2', '@photostructure/sqlite'],
    node: true,
  },
  bus: {
    files: /^packages\/server\/src\/bus\//,
    rooms: ['domain', 'protocol', 'log'],
    packages: ['@redis/client'],
    node: true,
  },
  realtime: {
    files: /^packages\/server\/src\/realtime\//,
    rooms: ['domain', 'protocol', 'doors', 'log'],
    packages: ['*'],
    node: true,
  },
  http: {
    files: /^packages\/server\/src\/http\//,
    rooms: ['domain', 'protocol', 'doors', 'log'],
    packages: ['*'],
    node: true,
  },
  log: { files: /^packages\/server\/src\/log\.ts$/, rooms: [], packages: ['pino'], node: true },
  app: {
    files: /^packages\/server\/src\/((app|cli|index|main|open-store)\.ts$|(demo|embed|verbs)\/)/,
    rooms: ['domain', 'store', 'bus', 'realtime', 'http', 'doors', 'log', 'protocol'],
    packages: ['*'],
    node: true,
  },
  /** The single files of server/src that each open onto one part of the world: config, clock, ids, auth, … */
  doors: {
    files: /^packages\/server\/src\/[^/]+\.ts$/,
    rooms: ['domain', 'protocol', 'log'],
    packages: ['*'],
    node: true,
  },
  client: { files: /^packages\/client\/src\//, rooms: ['type protocol'], packages: [], node: false },
  console: {
    files: /^packages\/console\/src\//,
    rooms: ['client', 'type protocol'],
    packages: ['preact', '@preact/signals', 'uplot'],
    node: false,
  },
  widget: {
    files: /^packages\/widget\/src\//,
    rooms: ['client', 'type protocol'],
    packages: ['preact', '@preact/signals'],
    node: false,
  },
  /** Knows a URL and nothing else; `app` only to boot a server. */
  conformance: {
    files: /^conformance\//,
    rooms: ['client', 'protocol', 'app', 'testing'],
    packages: ['*'],
    node: true,
  },
  testing: { files: /^testing\//, rooms: ['client', 'protocol', 'app'], packages: ['*'], node: true },
};

/** The room behind the public door of each workspace package. */
export const publicDoors = /** @type {Record<string, string>} */ ({
  '@switchboard/protocol': 'protocol',
  '@switchboard/server': 'app',
  '@switchboard/client': 'client',
});

/** Where "now" comes from; everywhere else in packages/ `new Date()` needs an argument. */
export const clocks = /^packages\/(server\/src\/clock\.ts$|console\/|widget\/|client\/)/;
