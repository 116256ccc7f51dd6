/** Processes of the machine: finding those of an episode, starting and ending engines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { KILL_VARIABLE } from './points.js';

/** Of the commands that an episode's engines started, wherever they hid; without this process and its children that are engines. */
export function commandsOf(ledger: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').includes(`LEDGER=${ledger}\0`))
        found.push(Number(name));
    } catch {
      // gone meanwhile, or another user's
    }
  }
  return found;
}

/** Its direct children, those of all its threads. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
}

export function kill(pid: number | undefined, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    return pid !== undefined && process.kill(pid, signal);
  } catch {
    return false;
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  /** See `KILL_VARIABLE`. */
  readonly killAt?: string;
  /** Options of Node. */
  readonly node?: readonly string[];
  /** A program that runs it, with its arguments. */
  readonly via?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A program of the tool in a process of its own. */
export class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #out = '';
  #err = '';
  readonly #waiting = new Map<string, () => void>();

  constructor(file: string, args: readonly string[], more: ProgramOptions = {}) {
    const { killAt, node = [], via = [], env = {} } = more;
    const path = fileURLToPath(new URL(file, import.meta.url));
    const [program = '', ...rest] = [...via, process.execPath, ...node, path, ...args];
    this.child = spawn(program, rest, {
      stdio: 'pipe',
      env: { ...process.env, ...env, ...(killAt === undefined ? {} : { [KILL_VARIABLE]: killAt }) },
    });
    // whoever is gone does not listen any more
    this.child.stdin?.on('error', () => undefined);
    this.child.stdout?.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.#err = `${this.#err}${chunk}`.slice(-4_000);
    });
    this.ended = new Promise((resolve) =>
      this.child.once('close', (code, signal) => resolve({ code, signal })),
    );
  }

  get out(): string {
    return this.#out;
  }

  get err(): string {
    return this.#err.trim();
  }

  /** Resolves with true once it has said the word; with false where it ends before, or the time is over. */
  says(word: string, limitMs: number): Promise<boolean> {
    if (this.#out.includes(`${word}\n`)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      const end = (isSaid: boolean) => {
        clearTimeout(timer);
        resolve(isSaid);
      };
      this.#waiting.set(word, () => end(true));
      void this.ended.then(() => end(this.#out.includes(`${word}\n`)));
    });
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    kill(this.child.pid, signal);
  }

  /** As by the end of its input: to an orderly end. */
  release(): void {
    this.child.stdin?.end();
  }

  #hear(text: string): void {
    this.#out += text;
    for (const [word, tell] of this.#waiting) {
      if (!this.#out.includes(`${word}\n`)) continue;
      this.#waiting.delete(word);
      tell();
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
