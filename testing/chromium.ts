import { canRun, findProgram } from './find-program.ts';

/** `CHROMIUM_PATH`, else what is installed. */
export function findChromium(): string | undefined {
  const chosen = process.env['CHROMIUM_PATH'];
  if (chosen !== undefined && chosen !== '') return canRun(chosen) ? chosen : undefined;
  return findProgram('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome');
}

/** Nothing but the page under test: no first-run pages, and no connections of the browser's own. */
export const chromiumArgs: readonly string[] = [
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // Chromium's sandbox refuses to run as root, which containers usually are.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];

export interface ChromiumLaunch {
  readonly executablePath: string;
  readonly args: string[];
  readonly headless: true;
}

/** What playwright-core's `chromium.launch()` takes. */
export function chromiumLaunch(): ChromiumLaunch {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no Chromium on this machine');
  return { executablePath, args: [...chromiumArgs], headless: true };
}
