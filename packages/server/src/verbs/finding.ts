import type { Language } from '@switchboard/protocol';

/** A text for people, in each of their languages. */
export type Text = Readonly<Record<Language, string>>;

/** One thing that was looked at. */
export interface Finding {
  /** `good`; `note`: worth knowing; `bad`: to be mended. */
  readonly verdict: 'good' | 'note' | 'bad';
  readonly what: Text;
  /** What to do about it. */
  readonly advice?: Text;
}

export const good = (en: string, zh: string): Finding => ({ verdict: 'good', what: { en, zh } });

export const note = (what: Text, advice?: Text): Finding => ({ verdict: 'note', what, ...(advice && { advice }) });

export const bad = (what: Text, advice: Text): Finding => ({ verdict: 'bad', what, advice });

const SIGNS = { good: '✓', note: '·', bad: '✗' };

/** Findings as lines, the advice below what it is for. */
export function report(heading: Text, findings: readonly Finding[], language: Language): string {
  const lines = findings.flatMap(({ verdict, what, advice }) => [
    `  ${SIGNS[verdict]} ${what[language]}`,
    ...(advice ? [`      → ${advice[language]}`] : []),
  ]);
  return [heading[language], ...lines, ''].join('\n');
}

/** The language of a terminal, by the variables that POSIX has for it. */
export function languageOf(env: Readonly<Record<string, string | undefined>>): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  return locale.startsWith('zh') ? 'zh' : 'en';
}

/** What went wrong, in a few words and on one line. */
export function reasonOf(error: unknown): string {
  const { code, message, errors } = error as { code?: string; message?: string; errors?: unknown[] };
  const first = errors?.[0];
  return (code ?? (message || (first ? reasonOf(first) : String(error)))).replaceAll(/\s+/g, ' ').slice(0, 200);
}
