/** `npm run faults -- NAME …`: runs a fault under load; see `conformance/storm/run.ts`. */
import { runTypeScript } from './run-typescript.mjs';

runTypeScript('conformance/storm/run.ts');
