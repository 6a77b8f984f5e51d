import { readFileSync } from 'node:fs';
import { settings } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One setting's value; undefined when it is not set. */
export type Read = (name: string) => string | undefined;

/** A setting that cannot be used: one line that names it, its fault and an example. Never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly variable: string;

  constructor(variable: string, fault: string) {
    const example = settings.find((s) => s.name === variable)?.example;
    super(`${variable} ${fault}${example === undefined ? '' : `. Example: ${variable}=${example}`}`);
    this.variable = variable;
  }
}

/** Reads values out of an environment. An empty one counts as none. A secret may come from the file that `NAME_FILE` names. */
export function reader(env: Environment): Read {
  return (name) => {
    const value = env[name] || undefined;
    const file = env[`${name}_FILE`];
    if (!file || !settings.find((s) => s.name === name)?.secret) return value;
    if (value !== undefined) throw new ConfigError(name, `cannot be set both by itself and by ${name}_FILE`);
    return contentsOf(file, name);
  };
}

function contentsOf(file: string, name: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch {
    throw new ConfigError(name, `cannot be read from the file in ${name}_FILE`);
  }
  if (text === '') throw new ConfigError(name, `has nothing in the file in ${name}_FILE`);
  return text;
}

/** A value as an error quotes it, cut and on one line. Never called with a secret. */
export function shown(text: string): string {
  // What has an @ may be a URL with a password, set by mistake.
  if (text.includes('@')) return '…';
  return `"${text.slice(0, 60).replaceAll(/[^\x20-\x7e]/g, '?')}"`;
}

export function parsedUrl(name: string, text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new ConfigError(name, 'is not a valid URL; special characters in a password must be percent-encoded');
  }
}
