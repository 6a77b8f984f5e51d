/** `npm run retries -- …`: sets the clone up if need be, then hands messages in again and again; see `conformance/retries/run.ts`. */
import { runTypeScript } from './run-typescript.mjs';

runTypeScript('conformance/retries/run.ts');
