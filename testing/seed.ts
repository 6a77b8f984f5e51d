import fc from 'fast-check';

const asked = process.env['TEST_SEED'];

/**
 * What everything that tests draw by lot begins with. `TEST_SEED` sets it. By default every run draws other lots, so that
 * in time they find what nobody thought of; only under `CI` all runs draw the same, as there the change is judged, not luck.
 */
export const seed = Number(
  asked ?? (process.env['CI'] === 'true' ? 1 : Math.trunc(performance.timeOrigin) % 1_000_000),
);
if (!Number.isSafeInteger(seed)) throw new Error(`TEST_SEED must be a whole number, and is ${asked}`);

fc.configureGlobal({ seed });
