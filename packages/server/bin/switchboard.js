#!/usr/bin/env node
import { existsSync } from 'node:fs';

// In a clone that was never built there is nothing to run yet.
if (existsSync(new URL('../dist/main.js', import.meta.url))) await import('../dist/main.js');
else {
  process.stderr.write('Switchboard is not built yet: run npm run setup, or npm start\n');
  process.exitCode = 1;
}
