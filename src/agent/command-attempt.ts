/** One attempt of a command agent, from start to outcome. */

import type { CommandAgentConfig } from '../config/agents.js';
import type { ErrorCode } from '../core/errors.js';
import type { StepResult } from '../core/instance.js';
import type { OutputArtifact, TaskOrder, TaskOutcome } from '../core/ports.js';
import type { AttemptVoice } from '../transport/runner.js';
import { verdictOf } from './agent.js';
import { readArtifactFile } from './command-artifacts.js';
import type { CommandRunnerOptions } from './command-config.js';
import { type ProcessEnd, TaskProcess } from './command-process.js';
import { StdoutReader, type Word } from './command-protocol.js';
import { LogTail } from './log-tail.js';
import {
  ArtifactBudget,
  checkOutput,
  checkResult,
  describe,
  encodeContent,
  failedOutcome,
  ProtocolError,
} from './outcome.js';
import { MARK_VARIABLE, markChain, newMark } from './process-marks.js';

/** `EX_TEMPFAIL` of sysexits.h: the command asks to be tried again. */
const EXIT_TRY_AGAIN = 75;
/** The machine is short of something; anything else that keeps a program from starting stays as it is. */
const SHORTAGES: readonly unknown[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

export interface AttemptParts {
  readonly signal: AbortSignal;
  readonly workdir: string;
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Why the attempt failed. `message` goes on after the agent's name. */
interface Cause {
  readonly code: ErrorCode;
  readonly message: string;
  readonly isRetryable: boolean;
}

export class CommandAttempt {
  readonly #config: CommandAgentConfig;
  readonly #options: Required<CommandRunnerOptions>;
  readonly #voice: AttemptVoice;
  readonly #log: LogTail;
  readonly #stdout: StdoutReader;
  readonly #keptBefore: ReadonlySet<string>;
  readonly #steps = new Set<string>();
  /** Steps are kept in the order in which they were said. Never rejects. */
  #keeping: Promise<void> = Promise.resolve();
  /** The first thing that went wrong decides, whatever the command still does when it is ended for it. */
  #cause: Cause | null = null;
  #process: TaskProcess | null = null;
  #hasExited = false;

  constructor(
    config: CommandAgentConfig,
    options: Required<CommandRunnerOptions>,
    order: TaskOrder,
    voice: AttemptVoice,
  ) {
    this.#config = config;
    this.#options = options;
    this.#voice = voice;
    this.#log = new LogTail(options.limits.maxLogBytes);
    this.#stdout = new StdoutReader(options.maxStdoutBytes);
    this.#keptBefore = new Set(order.steps.map((step) => step.name));
  }

  /** Resolves once nothing of the attempt is left running. */
  async run(parts: AttemptParts): Promise<TaskOutcome> {
    const { clock } = this.#options;
    const { timeoutMs } = this.#config;
    const onAbort = () => this.#terminate({ code: 'agent_lost', message: 'was stopped', isRetryable: true });
    const cancelTimeout =
      timeoutMs === null ? () => undefined : clock.after(timeoutMs, () => this.#onTimeout(timeoutMs));
    parts.signal.addEventListener('abort', onAbort, { once: true });
    try {
      this.#process = this.#start(parts);
      const end = await this.#process.ended;
      const result = this.#finish(end);
      await this.#keeping;
      return this.#cause === null ? await this.#completed(result, parts.workdir) : this.#failed(this.#cause);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#failed({ code: 'agent_protocol', message: error.message, isRetryable: false });
    } finally {
      cancelTimeout();
      parts.signal.removeEventListener('abort', onAbort);
    }
  }

  #start(parts: AttemptParts): TaskProcess {
    const mark = newMark(this.#options.owner);
    const env = { ...parts.env, [MARK_VARIABLE]: markChain(mark, process.env[MARK_VARIABLE]) };
    const order = {
      argv: this.#config.command,
      cwd: this.#config.cwd,
      env,
      stdin: parts.stdin,
      mark,
      onStdout: (chunk: Uint8Array) => this.#onStdout(chunk),
      onStderr: (chunk: Uint8Array) => {
        this.#log.write(chunk);
        this.#voice.heartbeat();
      },
      onExit: () => {
        this.#hasExited = true;
      },
    };
    return new TaskProcess(order, this.#options.clock);
  }

  #onTimeout(timeoutMs: number): void {
    this.#terminate({
      code: 'agent_timeout',
      message: `did not end within its ${timeoutMs} ms`,
      isRetryable: true,
    });
  }

  #terminate(cause: Cause): void {
    // what it has done in time counts, even if we are still clearing up after it
    if (this.#hasExited || this.#cause !== null) return;
    this.#cause = cause;
    this.#process?.terminate(this.#options.killGraceMs);
  }

  #breakOff(cause: Cause): void {
    this.#cause ??= cause;
    this.#process?.kill();
  }

  #onStdout(chunk: Uint8Array): void {
    // what a command says after it was broken off is not even read
    if (this.#cause !== null) return;
    this.#voice.heartbeat();
    try {
      this.#hear(this.#stdout.push(chunk));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#breakOff({ code: 'agent_protocol', message: error.message, isRetryable: false });
    }
  }

  #hear(words: readonly Word[]): void {
    for (const word of words) if (word.type === 'step') this.#keep(word.step);
    // of the many that may come at once only the last is worth showing
    const last = words.findLast((word) => word.type === 'progress');
    if (last?.type === 'progress') this.#voice.progress(last.progress);
  }

  #keep(step: StepResult): void {
    const { name } = step;
    // a command that did not look at its kept steps may do them again; what is kept stays
    if (this.#keptBefore.has(name)) return;
    if (this.#steps.has(name)) throw new ProtocolError(`wrote the step \`${name}\` twice`);
    const { limits } = this.#options;
    if (this.#steps.size >= limits.maxSteps) {
      throw new ProtocolError(`wrote more than the ${limits.maxSteps} steps allowed`);
    }
    this.#steps.add(name);
    const value = checkOutput(step.value, limits, `a value of step \`${name}\``);
    this.#keeping = this.#keeping
      .then(() => this.#voice.step({ name, value }))
      .catch((error) => {
        const message = `has a step \`${name}\` that could not be kept: ${describe(error)}`;
        this.#breakOff({ ...verdictOf(error), message });
      });
  }

  /** What was said in the end; sets the cause where that, or the way it ended, is a failure. */
  #finish(end: ProcessEnd): unknown {
    this.#cause ??= this.#causeOf(end);
    if (this.#cause !== null) {
      // with the result of no use, the rest may say why
      this.#log.write(this.#stdout.rest());
      return undefined;
    }
    const { words, result, noise } = this.#stdout.end();
    this.#hear(words);
    this.#log.write(noise);
    return result;
  }

  #causeOf(end: ProcessEnd): Cause | null {
    if (end.type === 'not_started') {
      const [program = ''] = this.#config.command;
      const reason = end.error.code === 'ENOENT' ? 'is not there' : `failed with ${String(end.error.code)}`;
      const message = `can't be started: \`${program}\` ${reason}`;
      return SHORTAGES.includes(end.error.code)
        ? { code: 'agent_failed', message, isRetryable: true }
        : { code: 'agent_missing', message, isRetryable: false };
    }
    if (end.code === 0) return null;
    const lastLine = this.#log.lastLine();
    const words = lastLine === null ? '' : `: ${lastLine}`;
    if (end.code === null) {
      return { code: 'agent_failed', message: `was ended by ${end.signal}${words}`, isRetryable: true };
    }
    const message = `exited with ${end.code}${words}`;
    return end.code === EXIT_TRY_AGAIN
      ? { code: 'agent_failed', message, isRetryable: true }
      : { code: 'task_failed', message, isRetryable: false };
  }

  #failed(cause: Cause): TaskOutcome {
    const message = `agent \`${this.#config.name}\` ${cause.message}`;
    return failedOutcome(cause.code, message, cause.isRetryable, this.#log.bytes());
  }

  async #completed(result: unknown, workdir: string): Promise<TaskOutcome> {
    const { limits } = this.#options;
    const log = this.#log.bytes();
    if (result === undefined) return { status: 'completed', artifacts: [], output: null, log };
    const checked = checkResult(result, ['content', 'path'], limits);
    const budget = new ArtifactBudget(limits);
    const artifacts: OutputArtifact[] = [];
    for (const { name, kind, entry } of checked.artifacts) {
      const content = await this.#contentOf(name, entry, workdir);
      budget.spend(name, content.length);
      artifacts.push({ name, kind, content });
    }
    return { status: 'completed', artifacts, output: checked.output, log, ...checked.used };
  }

  async #contentOf(
    name: string,
    entry: Readonly<Record<string, unknown>>,
    workdir: string,
  ): Promise<Uint8Array> {
    if (entry.content !== undefined) return encodeContent(name, entry.content);
    if (typeof entry.path !== 'string') {
      throw new ProtocolError(`returned artifact \`${name}\` with a \`path\` that is no text`);
    }
    // the private directory first: what lies there is certainly of this attempt
    return readArtifactFile(entry.path, [workdir, this.#config.cwd], this.#options.limits.maxArtifactBytes);
  }
}
