/** Holds the document and the tests together: no rule without a test, no test without a rule. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { limits } from '@switchboard/protocol';
import { parseSync, Visitor } from 'oxc-parser';
import { describe, expect, test } from 'vitest';

const folder = fileURLToPath(new URL('.', import.meta.url));
const document = readFileSync(fileURLToPath(new URL('../docs/protocol.md', import.meta.url)), 'utf8');

/** In the order of the document. */
const rules = [...document.matchAll(/^(?:- |\| )\*\*(R\d+\.\d+)\*\*/gm)].map(([, rule]) => rule as string);

interface Titled {
  readonly file: string;
  readonly title: string;
}

/** The tests of every file but this one. */
const tests = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.test.ts') && file !== 'rules.test.ts')
  .flatMap((file) => titlesIn(readFileSync(folder + file, 'utf8'), file).map((title) => ({ file, title })));

const rulesIn = (title: string): string[] => title.match(/\bR\d+\.\d+\b/g) ?? [];

describe('docs/protocol.md and conformance/', () => {
  test('the rules are numbered in order, each once', () => {
    expect(rules.length).toBeGreaterThan(150);
    const numbers = rules.map((rule) => rule.slice(1).split('.').map(Number) as [number, number]);
    for (const [i, [chapter, number]] of numbers.entries()) {
      const [before, last] = numbers[i - 1] ?? [0, 0];
      expect([chapter, number]).toEqual(chapter === before ? [chapter, last + 1] : [before + 1, 1]);
    }
  });

  test('every rule is named by a test', () => {
    const named = new Set(tests.flatMap(({ title }) => rulesIn(title)));
    expect(rules.filter((rule) => !named.has(rule))).toEqual([]);
  });

  test('every test names a rule first, and none that is not there', () => {
    const known = new Set(rules);
    // In the folders below are tools, whose own tests prove no rule, and rules that others wrote.
    const wrong: Titled[] = tests.filter(
      ({ file, title }) =>
        (!file.includes('/') && !/^R\d+\.\d+ /.test(title)) || rulesIn(title).some((rule) => !known.has(rule)),
    );
    expect(wrong).toEqual([]);
    expect(tests.length).toBeGreaterThan(150);
  });

  test('rules speak only of rules that are there', () => {
    const known = new Set(rules);
    const spoken = [...document.matchAll(/\bR\d+\.\d+\b/g)].map(([rule]) => rule);
    expect(spoken.filter((rule) => !known.has(rule))).toEqual([]);
  });

  test('the limits that the document quotes are the limits', () => {
    const quoted: [string, number][] = [
      ['R3.6', limits.pageSize],
      ['R3.21', limits.contentCharacters],
      ['R3.22', limits.attachments],
      ['R4.21', limits.frameBytes],
      ['R7.9', limits.ratingCommentCharacters],
      ['R13.2', limits.page],
      ['R13.23', limits.jsonDepth],
      ['R13.23', limits.jsonKeys],
      ['R13.26', limits.bodyBytes],
    ];
    for (const [rule, limit] of quoted) {
      const line = document.split('\n').find((each) => each.includes(`**${rule}**`));
      expect(line).toMatch(new RegExp(`\\b${limit.toLocaleString('en')}\\b`));
    }
  });
});

/** What the tests of a source are called: the first argument of `test`, `test.concurrent`, `test.for(…)` and the like. */
function titlesIn(source: string, file: string): string[] {
  const titles: string[] = [];
  const { program } = parseSync(file, source);
  new Visitor({
    CallExpression({ callee, arguments: [first] }) {
      const text = source.slice(callee.start, callee.end);
      if (!/^(?:test|it)\b/.test(text) || /\.(?:for|each|skipIf|runIf)$/.test(text)) return;
      if (first?.type === 'Literal' && typeof first.value === 'string') titles.push(first.value);
      else if (first?.type === 'TemplateLiteral') titles.push(source.slice(first.start + 1, first.end - 1));
      else titles.push(`(not a plain text: ${source.slice(first?.start ?? 0, first?.end ?? 0)})`);
    },
  }).visit(program);
  return titles;
}
