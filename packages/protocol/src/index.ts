export * from './decode.ts';
export * from './entities.ts';
export * from './errors.ts';
export * from './faults.ts';
export * from './frames.ts';
export * from './limits.ts';
export * from './rest.ts';
