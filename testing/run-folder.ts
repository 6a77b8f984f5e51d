/**
 * One private folder for each test process, and the promise that nothing of a test outlives it.
 *
 * A small watchdog (`sh`, reading a pipe from this process) kills what is tied to it and removes the folder as soon
 * as the pipe closes, which the kernel does however this process ends: normally, by an exception, or by SIGKILL.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const watchdogScript = `
trap '' INT TERM HUP
pids=' '
while read -r change pid; do
  case $change in
    +) pids="$pids$pid " ;;
    -) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
for disk in "$1"/disk*; do [ ! -d "$disk" ] || umount -l "$disk" 2>/dev/null; done
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
`;

/** The folder of this machine's user for all test runs: data templates, and one folder for each running process. */
export function testsFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = join(tmpdir(), `switchboard-test-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid) throw new Error(`${folder} belongs to somebody else; set TMPDIR`);
  return folder;
}

interface Run {
  readonly folder: string;
  readonly watchdog: ChildProcess;
  count: number;
}
let current: Run | undefined;

function run(): Run {
  if (current !== undefined) return current;
  const folder = mkdtempSync(join(testsFolder(), `${process.pid}-`));
  const watchdog = spawn('/bin/sh', ['-c', watchdogScript, 'watchdog', folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => {});
  watchdog.stdin.on('error', () => {});
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  current = { folder, watchdog, count: 0 };
  return current;
}

/** A path inside this process's folder that nobody has used. Short, since unix sockets allow about 100 characters. */
export function freshPath(label: string): string {
  const mine = run();
  mine.count += 1;
  return join(mine.folder, `${label}${mine.count}`);
}

/** The same, made as an empty folder. */
export function freshFolder(label: string): string {
  const folder = freshPath(label);
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** From now until its exit, this child is killed as soon as the test process is gone. */
export function tie(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const { stdin } = run().watchdog;
  stdin?.write(`+ ${pid}\n`);
  child.once('exit', () => stdin?.write(`- ${pid}\n`));
}

/** Removes what test processes that no longer exist left behind (a power cut, a killed watchdog). */
export function sweepLeftovers(): void {
  const folder = testsFolder();
  for (const name of readdirSync(folder)) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isInteger(pid) && !alive(pid)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
