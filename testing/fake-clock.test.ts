import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { startFakeClock } from './fake-clock.ts';
import { describeWith } from './requires.ts';

describeWith('faketime', 'a fake clock', () => {
  test('is set while the process runs, and leaves its timers alone', async () => {
    const clock = startFakeClock();
    const script = `process.stdin.on('data', () => {
      const began = performance.now();
      setTimeout(() => console.log(Date.now(), performance.now() - began), 10);
    })`;
    const child = spawn(process.execPath, ['-e', script], { env: clock.env, stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface(child.stdout);
    const ask = async (): Promise<{ hoursOff: number; tookMs: number }> => {
      child.stdin.write('?');
      const [line] = (await once(lines, 'line')) as [string];
      const [now, tookMs] = line.split(' ').map(Number) as [number, number];
      return { hoursOff: Math.round((now - Date.now()) / 3_600_000), tookMs };
    };
    for (const hours of [0, -1, 1, 0]) {
      clock.set(hours * 3_600);
      const { hoursOff, tookMs } = await ask();
      expect(hoursOff).toBeCloseTo(hours);
      expect(tookMs).toBeGreaterThan(5);
      expect(tookMs).toBeLessThan(1_800_000);
    }
  });
});
