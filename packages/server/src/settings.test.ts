import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings, settingsExample, settingsHelp, settingsTable } from './settings.ts';

const root = new URL('../../../', import.meta.url);

test('.env.example lists every setting as the code does', () => {
  expect(readFileSync(new URL('.env.example', root), 'utf8')).toBe(settingsExample());
});

test('docs/configuration.md has the table of settings as the code has it', () => {
  expect(readFileSync(new URL('docs/configuration.md', root), 'utf8')).toContain(settingsTable());
});

test('--help names every setting once, on a line of its own', () => {
  const lines = settingsHelp().split('\n').slice(1);
  expect(lines.map((line) => line.trim().split(' ')[0])).toEqual(settings.map(({ name }) => name));
});
