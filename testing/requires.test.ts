import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { available } from './requires.ts';
import { freshFolder } from './run-folder.ts';

afterEach(() => void vi.unstubAllEnvs());

describe('available', () => {
  test('says what is missing and how to get it', () => {
    vi.stubEnv('CHROMIUM_PATH', '/no/such/chromium');
    expect(available('chromium')).toEqual({
      ok: false,
      why: 'no Chromium (apt-get install chromium, or set CHROMIUM_PATH)',
    });
  });

  test('takes a URL for a server', () => {
    vi.stubEnv('TEST_REDIS_URL', 'redis://127.0.0.1:6379');
    expect(available('redis')).toEqual({ ok: true, why: 'TEST_REDIS_URL is set' });
  });

  test('does not offer somebody else’s server to a suite that stops it', () => {
    vi.stubEnv('TEST_REDIS_URL', 'redis://127.0.0.1:6379');
    expect(available('redis', { own: true }).why).not.toBe('TEST_REDIS_URL is set');
  });

  test('takes SKIP_SERVICES at its word', () => {
    vi.stubEnv('SKIP_SERVICES', 'mysql,chromium');
    expect(available('chromium')).toEqual({ ok: false, why: 'chromium is named in SKIP_SERVICES' });
  });
});

describe('describeWith', () => {
  test.for([
    { env: {}, status: 'skipped' },
    { env: { REQUIRE_SERVICES: '1' }, status: 'failed' },
    { env: { REQUIRE_SERVICES: '1', SKIP_SERVICES: 'chromium' }, status: 'skipped' },
  ])('makes one $status test of a suite that lacks its service, with $env', async ({ env, status }) => {
    const [only, ...others] = await outcomes({ CHROMIUM_PATH: '/no/such/chromium', ...env });
    expect(others).toEqual([]);
    expect(only?.title).toMatch(/^a suite \(.*chromium.*\)$/i);
    expect(only?.status).toBe(status);
  });

  test('runs a suite that has its service', async () => {
    const found = await outcomes({ CHROMIUM_PATH: process.execPath, REQUIRE_SERVICES: '1' });
    expect(found).toMatchObject([
      { title: 'one', status: 'passed' },
      { title: 'two', status: 'passed' },
    ]);
  });
});

interface Outcome {
  readonly title: string;
  readonly status: string;
}

/** Runs Vitest on a suite of two tests that needs Chromium. */
async function outcomes(env: Readonly<Record<string, string>>): Promise<Outcome[]> {
  const folder = freshFolder('suite');
  const requires = fileURLToPath(new URL('requires.ts', import.meta.url));
  const suite = `
    import { describeWith } from ${JSON.stringify(requires)};
    describeWith('chromium', 'a suite', () => { test('one', () => {}); test('two', () => {}); });
  `;
  await writeFile(join(folder, 'suite.test.js'), suite);
  const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
  const report = join(folder, 'report.json');
  const run = spawn(
    process.execPath,
    [vitest, 'run', '--globals', '--reporter=json', `--outputFile=${report}`, `--root=${folder}`],
    { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' },
  );
  await once(run, 'exit');
  const { testResults } = JSON.parse(await readFile(report, 'utf8')) as {
    testResults: { assertionResults: Outcome[] }[];
  };
  return testResults.flatMap(({ assertionResults }) => assertionResults);
}
