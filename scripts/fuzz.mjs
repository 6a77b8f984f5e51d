/** `npm run fuzz -- frames|rest|tcp …`: sets the clone up if need be, then runs a fuzzer; see `conformance/fuzz/run.ts`. */
import { runTypeScript } from './run-typescript.mjs';

runTypeScript('conformance/fuzz/run.ts');
