/** Makes an agent of functions executable by the in-process transport. */
import { VaporaError } from '../core/errors.js';
import type { AgentInfo, TaskOrder, TaskOutcome } from '../core/ports.js';
import type { AbortSource, AttemptVoice, Runner } from '../transport/runner.js';
import { type Agent, type CompensationTask, defineAgent, type Task, verdictOf } from './agent.js';
import { AttemptContext, loadInput } from './context.js';
import { type AttemptLimits, DEFAULT_LIMITS } from './limits.js';
import { clip, completedOutcome, describe, failedOutcome, ProtocolError } from './outcome.js';
import { attemptFacts } from './task-message.js';

/** How long a function may go on after its signal was aborted. A promise can't be killed: it is then ignored. */
export const DEFAULT_STOP_GRACE_MS = 5_000;

export interface SdkRunnerOptions {
  readonly limits?: AttemptLimits;
  readonly stopGraceMs?: number;
}

/** Throws `config_invalid` where the agent is not valid, see {@link defineAgent}. */
export function createSdkRunner(agent: Agent, options: SdkRunnerOptions = {}): Runner {
  return new SdkRunner(defineAgent(agent), options);
}

class SdkRunner implements Runner {
  readonly info: AgentInfo;
  readonly stopGraceMs: number;
  readonly #agent: Agent;
  readonly #limits: AttemptLimits;

  constructor(agent: Agent, options: SdkRunnerOptions) {
    this.#agent = agent;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.stopGraceMs = options.stopGraceMs ?? DEFAULT_STOP_GRACE_MS;
    this.info = Object.freeze({
      name: agent.name,
      roles: Object.freeze([...agent.roles]),
      maxConcurrent: agent.maxConcurrent ?? 1,
      leaseMs: agent.leaseMs ?? null,
    });
  }

  async run(order: TaskOrder, voice: AttemptVoice, abort: AbortSource): Promise<TaskOutcome> {
    const ctx = new AttemptContext(order, voice, abort, this.#limits);
    let result: unknown;
    try {
      const loading = loadInput(order.input, voice);
      const input = loading instanceof Promise ? await loading : loading;
      const running = this.#call(order, input, ctx);
      result = isThenable(running) ? await running : running;
    } catch (thrown) {
      return this.#failed(thrown, ctx);
    }
    try {
      return completedOutcome(result, this.#limits, ctx.logBytes());
    } catch (error) {
      // anything else than a ProtocolError is a getter or proxy of the result that threw
      const problem = error instanceof ProtocolError ? error.message : `returned what can't be read`;
      return this.#protocol(problem, ctx);
    }
  }

  #call(order: TaskOrder, input: unknown, ctx: AttemptContext): unknown {
    const agent = this.#agent;
    if (order.type === 'task') return agent.execute(taskOf(order, input), ctx);
    if (agent.compensate === undefined) {
      throw new VaporaError(
        'task_failed',
        `it has no \`compensate\` to take stage \`${order.stage_name}\` back`,
      );
    }
    return agent.compensate(compensationOf(order, input), ctx);
  }

  #failed(thrown: unknown, ctx: AttemptContext): TaskOutcome {
    if (thrown instanceof ProtocolError) return this.#protocol(thrown.message, ctx);
    const { code, isRetryable } = verdictOf(thrown);
    const words = describe(thrown);
    if (ctx.signal.aborted && isRetryable) {
      return failedOutcome('agent_lost', `agent \`${this.#agent.name}\` was stopped`, true, ctx.logBytes());
    }
    ctx.write('error', stackOf(thrown) ?? words);
    return failedOutcome(code, `agent \`${this.#agent.name}\` failed: ${words}`, isRetryable, ctx.logBytes());
  }

  #protocol(problem: string, ctx: AttemptContext): TaskOutcome {
    const message = `agent \`${this.#agent.name}\` ${clip(problem)}`;
    return failedOutcome('agent_protocol', message, false, ctx.logBytes());
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** The stack is for the log, where the agent's author looks; it has no place in a failure's message. */
function stackOf(thrown: unknown): string | null {
  try {
    return thrown instanceof Error && typeof thrown.stack === 'string' ? thrown.stack : null;
  } catch {
    return null;
  }
}

function taskOf(order: TaskOrder, input: unknown): Task {
  return { type: 'task', ...attemptFacts(order), input, artifacts: order.artifacts };
}

function compensationOf(order: TaskOrder, input: unknown): CompensationTask {
  return {
    type: 'compensation',
    ...attemptFacts(order),
    original_context: { input, artifacts: order.artifacts },
    artifacts_to_undo: order.artifacts_to_undo,
    reason: order.reason ?? '',
  };
}
