/** Loaded before a server (`--expose-gc --import`): SIGUSR2 runs a full collection, so that garbage can be told from need. */
process.on('SIGUSR2', () => globalThis.gc?.());
