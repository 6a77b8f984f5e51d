import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { tie } from './run-folder.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerCommand {
  /** What error messages call it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Asked every few milliseconds until true; gets what this start has written to stdout so far. */
  readonly ready: (stdout: string) => boolean | Promise<boolean>;
  readonly readyTimeoutMs?: number;
}

/** A server as a child process: started until it is ready, ended in every way a fault test needs, all output kept. */
export class ServerProcess {
  readonly #command: ServerCommand;
  #child: ChildProcess | undefined;
  #exit: Promise<Exit> | undefined;
  #output = '';
  #stdout = '';
  #startedAt = 0;

  constructor(command: ServerCommand) {
    this.#command = command;
  }

  /** Of the running process; undefined when there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Everything that every start so far wrote, stdout and stderr as they came. */
  get output(): string {
    return this.#output;
  }

  /** Everything that every start so far wrote to stdout. */
  get stdout(): string {
    return this.#stdout;
  }

  /** How the process ended, once it has; the last one, when none runs. */
  get exit(): Promise<Exit> {
    if (this.#exit === undefined) throw new Error(`${this.#command.name} was never started`);
    return this.#exit;
  }

  /** Runs it and waits until it is ready. If it ends or takes too long instead, the error carries its output. */
  async start(): Promise<void> {
    this.spawn();
    const { name, ready, readyTimeoutMs = 60_000 } = this.#command;
    const deadline = performance.now() + readyTimeoutMs;
    let exit: Exit | undefined;
    void this.exit.then((end) => (exit = end));
    while (!(await ready(this.#stdout.slice(this.#startedAt)))) {
      if (exit !== undefined) throw new Error(`${name} ended before it was ready (${describe(exit)})\n${this.tail()}`);
      if (performance.now() > deadline) {
        await this.kill();
        throw new Error(`${name} was not ready after ${readyTimeoutMs} ms\n${this.tail()}`);
      }
      await sleep(10);
    }
  }

  /** Runs it without waiting for anything. */
  spawn(): void {
    const { name, command, args, cwd, env } = this.#command;
    if (this.#child !== undefined) throw new Error(`${name} is already running`);
    this.#startedAt = this.#stdout.length;
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    tie(child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    this.#exit = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#child = undefined;
        resolve({ code, signal });
      };
      child.once('error', (error) => {
        this.#output += `${error.message}\n`;
        if (child.pid === undefined) ended(null, null);
      });
      child.once('close', ended);
    });
  }

  /** SIGTERM, and SIGKILL for one that has not ended after `graceMs`. */
  async terminate(graceMs = 15_000): Promise<Exit> {
    this.resume();
    this.#child?.kill('SIGTERM');
    const late = setTimeout(() => this.#child?.kill('SIGKILL'), graceMs);
    const exit = await this.exit;
    clearTimeout(late);
    return exit;
  }

  /** SIGKILL: no last words, as at a crash. */
  async kill(): Promise<Exit> {
    this.#child?.kill('SIGKILL');
    return this.exit;
  }

  /** An orderly end and a new start. */
  async restart(): Promise<void> {
    await this.terminate();
    await this.start();
  }

  /** SIGSTOP: its sockets stay open, and nothing answers. */
  async pause(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    process.kill(pid, 'SIGSTOP');
    // The signal is sent at once, but each thread stops when it comes to see it.
    while (this.pid === pid && !stands(pid)) await sleep(1);
  }

  /** SIGCONT. */
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** The last of the output, for error messages. */
  tail(): string {
    return this.#output.split('\n').slice(-40).join('\n');
  }
}

/** Whether all threads of a process have been stopped. */
function stands(pid: number): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      // The program's name is in parentheses and may hold anything; the state follows it.
      return status.slice(status.lastIndexOf(')') + 2).startsWith('T');
    });
  } catch {
    // A thread, or the process, ended while it was looked at.
    return false;
  }
}

function describe(exit: Exit): string {
  return exit.signal === null ? `exit status ${exit.code ?? 'none'}` : exit.signal;
}

/** Somebody else may take the port between the look and the start: then with another one. */
export async function startOnFreePort<Server extends ServerProcess & { stop(): Promise<void> }>(
  make: (port: number) => Server | Promise<Server>,
): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const server = await make(await freePort());
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (attempt === 3 || !server.output.includes('ddress already in use')) throw error;
    }
  }
}
