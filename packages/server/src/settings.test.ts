import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings, settingsExample, settingsTable } from './settings.ts';

const root = new URL('../../../', import.meta.url);

test('.env.example lists every setting as the code does', () => {
  expect(readFileSync(new URL('.env.example', root), 'utf8')).toBe(settingsExample());
});

test('docs/configuration.md has the table of settings as the code has it', () => {
  expect(readFileSync(new URL('docs/configuration.md', root), 'utf8')).toContain(settingsTable());
});

test('config.ts reads every setting, and none that is not listed', () => {
  const source = readFileSync(new URL('config.ts', import.meta.url), 'utf8');
  const read = new Set([...source.matchAll(/(?:read\(|read, |name\()'([A-Z_]+)'/g)].map((m) => m[1]));
  expect([...read].toSorted()).toEqual(settings.map((s) => s.name).toSorted());
});
