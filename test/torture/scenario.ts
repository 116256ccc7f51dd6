/** A fault other than a kill: how it is brought about, and what must be true after it. */
import { spawnSync } from 'node:child_process';
import type { Finding } from './check.js';
import { childrenOf, kill, type Program } from './processes.js';

export interface Trial {
  readonly directory: string;
  readonly seed: string;
}

export interface ScenarioResult {
  readonly instances: number;
  readonly findings: readonly Finding[];
  /** What was seen, in one line. */
  readonly seen: string;
}

export interface Scenario {
  readonly name: string;
  /** Why this machine can't do it, and what would help; null: it can. */
  obstacle(): string | null;
  run(trial: Trial): Promise<ScenarioResult>;
}

/** Not what must be true, or not what the fault was to bring about. */
export function findingOf(message: string): Finding {
  return { fault: 'loss', id: '', message };
}

export function missingStrace(): string | null {
  const { status } = spawnSync('strace', ['-V'], { stdio: 'ignore' });
  return status === 0 ? null : 'strace is not here: `apt-get install strace`, or the like';
}

export function missingMount(): string | null {
  if (process.platform !== 'linux') return 'a small file system of its own is made on Linux only';
  return process.getuid?.() === 0 ? null : 'only root may mount a small file system';
}

export function missingProc(): string | null {
  return process.platform === 'linux' ? null : 'processes are looked up in `/proc`, which is Linux';
}

export function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

export function unmount(directory: string): void {
  spawnSync('umount', ['-l', directory], { stdio: 'ignore' });
}

/** strace with faults, in front of a program: each as strace writes them, on the files only where some are given. */
export function withFaults(faults: readonly string[], files: readonly string[] = []): string[] {
  const calls = new Set(faults.flatMap((fault) => fault.slice(0, fault.indexOf(':')).split(',')));
  return [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-qqq',
    ...['-o', '/dev/null', '-e', `trace=${[...calls].join(',')}`],
    ...faults.flatMap((fault) => ['-e', `inject=${fault}`]),
    ...files.flatMap((file) => ['-P', file]),
  ];
}

/** Kills what runs under strace: strace itself would let go of it, and end after it. */
export function killTraced(traced: Program): void {
  for (const pid of childrenOf(traced.child.pid ?? 0)) kill(pid);
}
