/** `npm start`: sets the clone up if need be, then becomes the server, in this very process. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, setUpToRun } from './setup.mjs';

setUpToRun();
const main = join(root, 'packages/server/dist/main.js');
process.argv[1] = main;
await import(pathToFileURL(main).href);
