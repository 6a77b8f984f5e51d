/** Vitest's global setup: whoever compiles the sources and runs a single suite tests these sources, not the bundle before. */
export { bundle as setup } from './setup.mjs';
