/** Agents that are commands: one process, in a group of its own, for each attempt. The protocol is in `docs/agents.md`. */
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { CommandAgentConfig } from '../config/agents.js';
import type { AgentInfo, TaskOrder, TaskOutcome } from '../core/ports.js';
import type { AbortSource, AttemptVoice, Runner } from '../transport/runner.js';
import { verdictOf } from './agent.js';
import { CommandAttempt } from './command-attempt.js';
import type { CommandRunnerOptions } from './command-config.js';
import { environmentOf, makeWorkdir, removeWorkdir, writeTask } from './command-task.js';
import { DEFAULT_LIMITS } from './limits.js';
import { describe, failedOutcome } from './outcome.js';

const DEFAULT_KILL_GRACE_MS = 5_000;
const DEFAULT_MAX_STDOUT_BYTES = 16 * 1024 * 1024;

export type { CommandAgentConfig } from '../config/agents.js';
export type { CommandRunnerOptions } from './command-config.js';

/** Makes a command executable by the in-process transport; `config` is taken to be valid. */
export function createCommandRunner(config: CommandAgentConfig, options: CommandRunnerOptions): Runner {
  return new CommandRunner(config, options);
}

class CommandRunner implements Runner {
  readonly info: AgentInfo;
  /** Killing is certain. */
  readonly stopGraceMs = null;
  readonly #config: CommandAgentConfig;
  readonly #options: Required<CommandRunnerOptions>;

  constructor(config: CommandAgentConfig, options: CommandRunnerOptions) {
    this.#config = config;
    this.#options = {
      limits: DEFAULT_LIMITS,
      workRoot: tmpdir(),
      killGraceMs: DEFAULT_KILL_GRACE_MS,
      maxStdoutBytes: DEFAULT_MAX_STDOUT_BYTES,
      ...options,
    };
    const { name, roles, maxConcurrent } = config;
    this.info = Object.freeze({ name, roles: Object.freeze([...roles]), maxConcurrent, leaseMs: null });
  }

  async run(order: TaskOrder, voice: AttemptVoice, abort: AbortSource): Promise<TaskOutcome> {
    let workdir: string | null = null;
    try {
      const missing = await this.#missingDirectory();
      if (missing !== null) return missing;
      workdir = await makeWorkdir(this.#options.workRoot);
      return await this.#attempt(order, voice, abort.signal, workdir);
    } catch (error) {
      // before the command was started: a read or a write that failed
      const { code, isRetryable } = verdictOf(error);
      const message = `agent \`${this.#config.name}\` could not be given its task: ${describe(error)}`;
      return failedOutcome(code, message, isRetryable, null);
    } finally {
      if (workdir !== null) await removeWorkdir(workdir);
    }
  }

  async #attempt(
    order: TaskOrder,
    voice: AttemptVoice,
    signal: AbortSignal,
    workdir: string,
  ): Promise<TaskOutcome> {
    const stdin = await writeTask(order, voice, workdir);
    if (signal.aborted) {
      return failedOutcome('agent_lost', `agent \`${this.#config.name}\` was stopped`, true, null);
    }
    const env = environmentOf(order, { parent: process.env, configured: this.#config.env, workdir });
    return new CommandAttempt(this.#config, this.#options, order, voice).run({ signal, workdir, stdin, env });
  }

  /** Starting a program in a directory that is not there fails as if the program were not there. */
  async #missingDirectory(): Promise<TaskOutcome | null> {
    const { cwd, name } = this.#config;
    const found = await stat(cwd).catch(() => null);
    if (found?.isDirectory()) return null;
    const message = `agent \`${name}\` can't be started: its directory \`${cwd}\` does not exist`;
    return failedOutcome('agent_missing', message, false, null);
  }
}
