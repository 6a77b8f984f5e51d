import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 optimise what runs often sooner. As Node.js 20 comes, the way of a message needs some two thousand of them before
 * it is compiled, hours where little is said, and takes twice the CPU until then. Newer engines have a compiler for the
 * time between, and no such setting.
 */
export function optimiseSooner(): void {
  // Bytes of bytecode that a function runs before its next step up; 67,584 otherwise.
  if (process.versions.v8.startsWith('11.')) setFlagsFromString('--interrupt-budget=20000');
}
