import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { describeWith } from './requires.ts';
import { mountSmallDisk } from './small-disk.ts';

describeWith('small-disk', 'a small disk', () => {
  test('is filled to the last byte, and has room again afterwards', async () => {
    const disk = await mountSmallDisk(1);
    onTestFinished(() => disk.remove());
    disk.fill();
    expect(() => writeFileSync(disk.path('more'), 'x')).toThrow(/ENOSPC/);
    disk.free();
    writeFileSync(disk.path('more'), 'x');
    expect(readFileSync(disk.path('more'), 'utf8')).toBe('x');
  });

  test('leaves nothing behind', async () => {
    const disk = await mountSmallDisk(1);
    const folder = disk.path('.');
    await disk.remove();
    expect(existsSync(folder)).toBe(false);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(folder);
  });
});
