import type { Reporter, SerializedError, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';

/**
 * Ends a test run with `N passed, N failed` (`, N skipped` if any were), alone on the very last line,
 * after one line for each skipped suite: its name says what it waits for.
 */
export class ClosingLineReporter implements Reporter {
  #filtered = false;
  #lines: string[] = [];
  #waiting = false;

  onInit(vitest: Vitest): void {
    // With `-t` every test outside the pattern counts as skipped: listing those says nothing.
    this.#filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: string): number => tests.filter((test) => test.result().state === state).length;
    // A file that does not load, a failing hook, or a stray rejection fails the run too, without a failing test.
    const brokenFiles = modules.filter((module) => !module.ok() && !hasFailedTest(module)).length;
    const failed = inState('failed') + brokenFiles + unhandled.length;
    const skipped = inState('skipped');
    this.#lines = this.#filtered
      ? []
      : modules.flatMap((module) => skippedIn(module).map((name) => `skipped: ${name}`));
    this.#lines.push(`${inState('passed')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    // Said on the way out, because Vitest itself may still have something to say.
    if (!this.#waiting) process.once('exit', () => process.stdout.write(`${this.#lines.join('\n')}\n`));
    this.#waiting = true;
  }
}

function hasFailedTest(module: TestModule): boolean {
  return [...module.children.allTests('failed')].length > 0;
}

/** The outermost skipped suites; a skipped test only where its suite runs. */
function skippedIn(parent: TestModule | TestSuite): string[] {
  return [...parent.children].flatMap((child: TestSuite | TestCase) => {
    if (child.type === 'test') {
      const result = child.result();
      if (result.state !== 'skipped') return [];
      return [result.note === undefined ? child.fullName : `${child.fullName} (${result.note})`];
    }
    // Tests behind a failing hook count as skipped too, but that suite is broken, not skipped.
    if (child.state() === 'failed') return [];
    const tests = [...child.children.allTests()];
    const all = tests.length > 0 && tests.every((test) => test.result().state === 'skipped');
    return all ? [child.fullName] : skippedIn(child);
  });
}
