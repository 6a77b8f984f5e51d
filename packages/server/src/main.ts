#!/usr/bin/env node
import { run } from './cli.ts';

process.exitCode = await run(process.argv);
// All is done: whatever is still open, such as a line to a database that does not answer, must not hold the process.
setTimeout(() => process.exit(), 1_000).unref();
