/** What an agent in TypeScript is made of: the public words of the SDK. */
import { type ErrorCode, VaporaError } from '../core/errors.js';
import { isName, NAME_RULE } from '../core/names.js';
import type { InputArtifact } from '../core/ports.js';

/** What the task of a stage and its compensation have in common. Fields are named as in the JSON that commands get. */
interface Order {
  /** Unique to this attempt. */
  readonly task_id: string;
  readonly workflow_id: string;
  /** Name of the template. */
  readonly workflow: string;
  readonly stage_name: string;
  readonly role: string;
  readonly agent: string;
  /** From 1. */
  readonly attempt: number;
  /** The same for every attempt: what to hand to a service so that it does the work once. */
  readonly idempotency_key: string;
  readonly initiator: string;
  readonly labels: Readonly<Record<string, string>>;
  /** When the engine gives the attempt up; milliseconds since the epoch, or null. */
  readonly deadline_at: number | null;
  /** W3C trace context of the attempt: the parent of the agent's own spans; null where the engine traces nothing. */
  readonly traceparent: string | null;
}

export interface Task extends Order {
  readonly type: 'task';
  /** The instance's input: any JSON value. */
  readonly input: unknown;
  /** Of the stages before, in the order in which they were made; content by `ctx.artifacts`. */
  readonly artifacts: readonly InputArtifact[];
}

/** An order to take a completed stage back. */
export interface CompensationTask extends Order {
  readonly type: 'compensation';
  /** What the stage had when it was carried out. */
  readonly original_context: { readonly input: unknown; readonly artifacts: readonly InputArtifact[] };
  /** What the stage had made. */
  readonly artifacts_to_undo: readonly InputArtifact[];
  /** Why the stage is taken back. */
  readonly reason: string;
}

/** Narrows a name down where several stages or roles made an artifact of the same name. */
export interface ArtifactFilter {
  readonly stage?: string;
  readonly role?: string;
  readonly kind?: string;
}

/**
 * Content of earlier artifacts, loaded when asked for. By name, the one that was made last is meant; a compensation looks
 * into what it has to undo first. Reading what is not there throws a {@link PermanentError} that says what is.
 */
export interface ArtifactReader {
  list(filter?: ArtifactFilter): readonly InputArtifact[];
  bytes(which: string | InputArtifact, filter?: ArtifactFilter): Promise<Uint8Array>;
  /** Decoded as UTF-8. */
  text(which: string | InputArtifact, filter?: ArtifactFilter): Promise<string>;
  /** Throws a {@link PermanentError} where the content is not JSON. */
  json(which: string | InputArtifact, filter?: ArtifactFilter): Promise<unknown>;
}

/** Writes to the log that is kept with the attempt; only its last 64 KiB are. `data` is written as JSON. */
export interface TaskLog {
  info(message: string, data?: unknown): void;
  warn(message: string, data?: unknown): void;
  error(message: string, data?: unknown): void;
}

/** Functions of the attempt; each may be taken out of the object and called alone. */
export interface TaskContext {
  /** Aborted when the attempt is to end: a timeout, a cancel or a shutdown. What happens afterwards is ignored. */
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  readonly artifacts: ArtifactReader;
  /** A sign of life; needed only by agents with a `leaseMs` that work for longer without a word. */
  heartbeat(): void;
  /** Shown to whoever watches, not kept. `fraction` is 0 to 1. */
  progress(message: string, fraction?: number): void;
  /**
   * Runs `run` once and keeps its result durably: a later attempt gets the kept value and does not run it again. The value must be
   * JSON (`undefined` becomes null). Between the end of `run` and the commit a crash can still repeat it: use the idempotency key.
   * A name can be used once in an attempt. Rejects with what `run` rejects with.
   */
  step<T>(name: string, run: () => T | Promise<T>): Promise<T>;
}

/** An artifact to hand in. `name` and `kind` are names; content that is neither text nor bytes is written as JSON. */
export interface TaskArtifact {
  readonly name: string;
  /** `adr`, `code`, `test_results`, `review`, `documentation` or any custom kind. */
  readonly kind: string;
  readonly content: unknown;
}

export interface TaskResult {
  readonly artifacts?: readonly TaskArtifact[];
  /** A small JSON value that is kept with the task. */
  readonly output?: unknown;
  /** What the attempt has used of a language model; counts against budgets. `usd` is US dollars. */
  readonly usage?: {
    readonly model?: string;
    readonly input_tokens?: number;
    readonly output_tokens?: number;
    readonly usd?: number;
  };
}

/** Nothing at all is a success without artifacts. */
type MaybeResult = TaskResult | undefined | void | Promise<TaskResult | undefined> | Promise<void>;

/**
 * Functions that carry out tasks in the engine's process. Throw a {@link PermanentError} where trying again is useless; anything
 * else that is thrown is a retryable failure (`agent_failed`).
 */
export interface Agent {
  readonly name: string;
  readonly roles: readonly string[];
  /** Attempts at once; default 1. */
  readonly maxConcurrent?: number;
  /** An attempt that gives no sign of life for this long is given up; default: never, the process is the sign. */
  readonly leaseMs?: number;
  execute(task: Task, ctx: TaskContext): MaybeResult;
  /** Takes a completed stage back. An agent without it fails such an order for good. */
  compensate?(task: CompensationTask, ctx: TaskContext): MaybeResult;
}

// a registered symbol: the engine and the agent may have loaded this module from different places
const RETRYABLE = Symbol.for('vapora.agent.isRetryable');

/** Trying again is useless: the task fails at once with `task_failed`, and its retries are not used. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  readonly [RETRYABLE] = false;
}

/** Trying again may help: the attempt fails with `agent_failed` and the stage's retry policy decides. */
export class RetryableError extends Error {
  override readonly name = 'RetryableError';
  readonly [RETRYABLE] = true;
}

/** How an agent's failure counts, by what it threw. */
export function verdictOf(error: unknown): { readonly code: ErrorCode; readonly isRetryable: boolean } {
  if (error instanceof VaporaError) return { code: error.code, isRetryable: error.isRetryable };
  const isPermanent =
    typeof error === 'object' && error !== null && RETRYABLE in error && error[RETRYABLE] === false;
  return isPermanent
    ? { code: 'task_failed', isRetryable: false }
    : { code: 'agent_failed', isRetryable: true };
}

/** Checks an agent and returns it. Throws `config_invalid` with every problem at once. */
export function defineAgent(agent: Agent): Agent {
  const problems = problemsOf(agent).map((message) => ({ message, severity: 'error' as const }));
  const [first] = problems;
  if (first === undefined) return agent;
  throw new VaporaError('config_invalid', first.message, { problems });
}

function problemsOf(agent: Agent): string[] {
  const problems: string[] = [];
  const place = typeof agent.name === 'string' ? `agent \`${agent.name.slice(0, 200)}\`` : 'an agent';
  if (typeof agent.name !== 'string' || !isName(agent.name)) {
    problems.push(`${place} has a name that is not ${NAME_RULE}`);
  }
  if (!Array.isArray(agent.roles) || agent.roles.length === 0) problems.push(`${place} has no roles`);
  else {
    for (const role of agent.roles) {
      if (typeof role !== 'string' || !isName(role)) {
        problems.push(`${place} has the role \`${String(role).slice(0, 200)}\`, which is not ${NAME_RULE}`);
      }
    }
    if (new Set(agent.roles).size !== agent.roles.length) problems.push(`${place} has a role twice`);
  }
  const { maxConcurrent = 1, leaseMs = 1 } = agent;
  if (!Number.isSafeInteger(maxConcurrent) || maxConcurrent < 1) {
    problems.push(`${place} has \`maxConcurrent\` ${maxConcurrent}, which is not a whole number above 0`);
  }
  if (!Number.isFinite(leaseMs) || leaseMs <= 0) {
    problems.push(`${place} has \`leaseMs\` ${leaseMs}, which is not a number of milliseconds above 0`);
  }
  if (typeof agent.execute !== 'function') problems.push(`${place} has no function \`execute\``);
  if (agent.compensate !== undefined && typeof agent.compensate !== 'function') {
    problems.push(`${place} has a \`compensate\` that is no function`);
  }
  return problems;
}
