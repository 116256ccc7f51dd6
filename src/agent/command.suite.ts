/** What the tests of command agents share: scripts in a temporary directory and a look at the machine's processes. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TaskOrder, TaskOutcome } from '../core/ports.js';
import { MemorySink, orderOf, realClock } from '../transport/attempt.suite.js';
import { InProcessTransport } from '../transport/in-process.js';
import { type CommandAgentConfig, type CommandRunnerOptions, createCommandRunner } from './command.js';

export interface Bench {
  /** Working directory of the agents. */
  readonly cwd: string;
  /** Where private directories are made. */
  readonly workRoot: string;
}

export async function makeBench(): Promise<Bench> {
  const cwd = await realpath(await mkdtemp(join(tmpdir(), 'vapora-test-')));
  return { cwd, workRoot: await realpath(await mkdtemp(join(tmpdir(), 'vapora-test-'))) };
}

export interface Started {
  readonly transport: InProcessTransport;
  readonly sink: MemorySink;
  readonly order: TaskOrder;
}

export interface Setting {
  readonly config?: Partial<CommandAgentConfig>;
  readonly options?: Partial<CommandRunnerOptions>;
  readonly order?: Partial<TaskOrder>;
  readonly sink?: MemorySink;
}

export function startCommand(bench: Bench, command: readonly string[], setting: Setting = {}): Started {
  const runner = createCommandRunner(
    {
      name: 'robot',
      roles: ['deployer'],
      maxConcurrent: 1,
      command,
      cwd: bench.cwd,
      env: {},
      timeoutMs: 20_000,
      ...setting.config,
    },
    {
      clock: realClock,
      owner: `tests-${process.pid}`,
      workRoot: bench.workRoot,
      killGraceMs: 200,
      ...setting.options,
    },
  );
  const transport = new InProcessTransport(realClock, [runner]);
  const sink = setting.sink ?? new MemorySink();
  const order = orderOf(setting.order);
  transport.dispatch(order, sink);
  return { transport, sink, order };
}

/** Runs it to its end and checks what must hold for every attempt: one outcome, nothing left on the disk. */
export async function runCommand(
  bench: Bench,
  command: readonly string[],
  setting: Setting = {},
): Promise<TaskOutcome> {
  const { sink } = startCommand(bench, command, setting);
  const outcome = await sink.ended;
  expect(sink.outcomes).toHaveLength(1);
  expect(await readdir(bench.workRoot)).toEqual([]);
  return outcome;
}

export const runShell = (bench: Bench, script: string, setting: Setting = {}) =>
  runCommand(bench, ['/bin/sh', '-c', script], setting);

export async function runNode(bench: Bench, source: string, setting: Setting = {}): Promise<TaskOutcome> {
  const file = join(bench.cwd, 'agent.mjs');
  await writeFile(file, source);
  return runCommand(bench, [process.execPath, file], setting);
}

/** Processes whose command line contains `text`, other than this one; zombies have none. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}
