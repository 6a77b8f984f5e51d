import { expect } from 'vitest';
import { ConfigError, readConfig } from '../../src/config.ts';

export const SECRET = 'a secret of these tests with more than 32 bytes';
/** What a configuration needs at least. */
export const base = { JWT_SECRET: SECRET };

/** The fault that readConfig finds; every one is one line that names the setting and holds none of these texts. */
export function faultOf(env: Record<string, string>, never: readonly string[] = []): ConfigError {
  try {
    readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).toMatch(/^[\x20-\x7e…]+$/);
    expect(error.message.startsWith(error.variable)).toBe(true);
    expect(error.message).toContain('Example: ');
    expect(error.message.length).toBeLessThan(400);
    for (const text of [SECRET, ...never]) expect(error.message).not.toContain(text);
    return error;
  }
  throw new Error(`not refused: ${JSON.stringify(env)}`);
}
