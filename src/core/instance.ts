/**
 * The state of one workflow instance: everything that recovery needs, nothing that can be derived.
 * Only `evolve` makes new ones. All times are milliseconds since the epoch.
 */
import type { Spent } from './budget.js';
import { assert, type Failure } from './errors.js';
import type { Digest, InstanceId } from './names.js';
import { positionOf, type WorkflowTemplate } from './template.js';

/**
 * Why each exists: `draft` created, not yet acting; `active` something is going on; `waiting_approval` only a person can move it;
 * `blocked` a policy said no, nobody may ever serve a role, or a point of no return was passed: an operator decides;
 * `compensating` effects are being taken back; `completed`, `failed`, `cancelled` are terminal.
 */
export const INSTANCE_TRANSITIONS = {
  draft: ['active'],
  active: ['waiting_approval', 'blocked', 'compensating', 'completed'],
  waiting_approval: ['active', 'blocked', 'compensating'],
  blocked: ['active', 'compensating'],
  // back to `active` or `blocked` only after a partial rollback
  compensating: ['failed', 'cancelled', 'active', 'blocked'],
  completed: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;
export type InstanceStatus = keyof typeof INSTANCE_TRANSITIONS;

/**
 * `waiting_approval` goes back to `pending` once approved: it then waits for the policy's word. A rollback or retry resets to
 * `pending`, also a stage that waits to run again and is taken back first for what it did before. `pending` becomes `completed` at
 * once only where a retry carries the stage over from the instance before.
 */
export const STAGE_TRANSITIONS = {
  pending: ['waiting_approval', 'running', 'failed', 'skipped', 'completed', 'pending'],
  waiting_approval: ['pending', 'failed', 'skipped'],
  running: ['completed', 'failed'],
  completed: ['pending'],
  failed: ['pending'],
  skipped: [],
} as const satisfies Record<string, readonly string[]>;
export type StageStatus = keyof typeof STAGE_TRANSITIONS;

/**
 * A task goes back to `pending` when an attempt ended without success and another one will follow; it stays there when the attempt
 * could not even be dispatched. `failed` becomes `pending` only when an operator retries a dead letter.
 */
export const TASK_TRANSITIONS = {
  pending: ['dispatched', 'failed', 'cancelled', 'pending'],
  dispatched: ['running', 'completed', 'failed', 'cancelled', 'pending'],
  running: ['completed', 'failed', 'cancelled', 'pending'],
  completed: [],
  failed: ['pending'],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;
export type TaskStatus = keyof typeof TASK_TRANSITIONS;

/** `dead_lettered` goes back to `running` when an operator retries the letter. A finished partial rollback resets to `none`. */
export const COMPENSATION_TRANSITIONS = {
  none: ['planned', 'skipped'],
  planned: ['running'],
  running: ['compensated', 'dead_lettered'],
  compensated: ['none'],
  dead_lettered: ['running', 'resolved'],
  resolved: ['none'],
  skipped: ['none'],
} as const satisfies Record<string, readonly string[]>;
export type CompensationStatus = keyof typeof COMPENSATION_TRANSITIONS;

/** Content by digest. Small UTF-8 content travels inline, so that it costs no row of its own. */
export interface BlobRef {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The content itself, where it is UTF-8 text of at most {@link MAX_INLINE_BYTES}. */
  readonly inline?: string;
}
export const MAX_INLINE_BYTES = 4_096;

/** A named, typed output of a task. */
export interface ArtifactRef extends BlobRef {
  readonly name: string;
  /** `adr`, `code`, `test_results`, `review`, `documentation` or any custom kind; a name. */
  readonly kind: string;
}

export interface Principal {
  readonly user: string;
  readonly groups: readonly string[];
}

export interface StepResult {
  readonly name: string;
  /** JSON value. */
  readonly value: unknown;
}

export type TaskKind = 'execute' | 'compensate';

export interface TaskState {
  readonly role: string;
  readonly status: TaskStatus;
  /** Number of the current or last attempt, from 1; 0 before the first. Never goes back. */
  readonly attempt: number;
  /** Attempts that failed since the count was last reset; what the retry policy counts. Interruptions do not count. */
  readonly failures: number;
  /** Attempts that were lost with their engine or agent. */
  readonly interruptions: number;
  readonly agent: string | null;
  /** Not before this time may the next attempt be dispatched. */
  readonly retryAt: number | null;
  /** When the current attempt is given up. */
  readonly deadlineAt: number | null;
  readonly dispatchedAt: number | null;
  readonly endedAt: number | null;
  readonly artifacts: readonly ArtifactRef[];
  /** JSON value given by the agent, or null. */
  readonly output: unknown;
  readonly error: Failure | null;
  /** What the agent wrote on its log in the last attempt, bounded. */
  readonly log: BlobRef | null;
  /** Durable results of `ctx.step`; dropped once the task has ended. */
  readonly steps: readonly StepResult[];
}

export interface Approval {
  readonly status: 'requested' | 'approved' | 'rejected' | 'expired';
  readonly requestedAt: number;
  readonly deadlineAt: number | null;
  /** SHA-256 over exactly what is approved: template, stage, input, artifacts so far. */
  readonly digest: Digest;
  readonly by: string | null;
  readonly decidedAt: number | null;
  readonly comment: string | null;
}

/** The authorizer's word, as kept in the event log. */
export interface Decision {
  readonly effect: 'allow' | 'deny';
  /** Ids of the policies that decided; empty: no permit matched, or nothing is enforced. */
  readonly policies: readonly string[];
  /** Why, in words: `permitted by …`, `forbidden by …`, `no permit matched`, `evaluation failed: …`, `no policies: allow-all`. */
  readonly reason: string;
  /** Errors of the evaluation; any makes the decision a deny. */
  readonly errors: readonly string[];
  /** SHA-256 of the policy set that was in force; null for allow-all. */
  readonly policySet: Digest | null;
}

export type StageAction = 'execute-stage' | 'pass-point-of-no-return';

export interface StageBlock {
  readonly code:
    | 'denied'
    | 'role_unserved'
    | 'budget_exceeded'
    | 'point_of_no_return'
    | 'rollback_incomplete';
  readonly message: string;
  /** Role that nobody serves. */
  readonly role?: string;
  /** From then on the stage goes on by itself. */
  readonly liftsAt?: number;
}

export interface CompensationState {
  readonly status: CompensationStatus;
  readonly tasks: readonly TaskState[];
  /** Why there is nothing to do, or the operator's reason for resolving it by hand. */
  readonly reason: string | null;
  readonly endedAt: number | null;
}

export interface StageState {
  readonly name: string;
  readonly status: StageStatus;
  /** 1, and one more each time the stage is reset after it was taken back. */
  readonly run: number;
  readonly approval: Approval | null;
  /** Permits of this run, by action. */
  readonly permits: readonly StageAction[];
  readonly block: StageBlock | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly deadlineAt: number | null;
  /** Position in the order of completion, from 1; null unless completed. */
  readonly completion: number | null;
  readonly tasks: readonly TaskState[];
  readonly error: Failure | null;
  readonly compensation: CompensationState;
  /** What carrying it out has used, in all its runs; taking it back has no budget. */
  readonly spent: Spent;
  /** How often an operator has granted its budget again. */
  readonly grants: number;
}

/** What the instance becomes when its compensation has ended. `resume` is a partial rollback: it goes on from `to`. */
export type RollbackTarget =
  | { readonly end: 'failed' | 'cancelled' }
  | { readonly end: 'resume'; readonly to: string };

export interface RollbackPlan {
  readonly target: RollbackTarget;
  readonly cause: Failure;
  readonly plannedAt: number;
  /** Stage names, first to be taken back first; their progress is in the stages' `compensation`. */
  readonly order: readonly string[];
}

export interface WorkflowInstance {
  readonly id: InstanceId;
  readonly templateName: string;
  readonly templateHash: Digest;
  readonly status: InstanceStatus;
  /** Commits so far. */
  readonly revision: number;
  /** Events so far. */
  readonly seq: number;
  readonly input: BlobRef;
  readonly initiator: Principal;
  /** `key=value`, sorted by key. */
  readonly labels: readonly (readonly [string, string])[];
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly endedAt: number | null;
  readonly deadlineAt: number | null;
  readonly error: Failure | null;
  /** In the template's order. */
  readonly stages: readonly StageState[];
  /** Stages completed so far; numbers {@link StageState.completion}. */
  readonly completions: number;
  readonly rollback: RollbackPlan | null;
  /** The ended instance that this one goes on from, by `retry`. */
  readonly retryOf: InstanceId | null;
  /** How often an operator has granted the budget of the whole instance again. */
  readonly grants: number;
  /** How often what it shares with others was granted to it again, in the window that begins at `fromAt`. Absent: never. */
  readonly sharedGrants?: { readonly fromAt: number; readonly count: number };
}

export function isTerminal(status: InstanceStatus): boolean {
  return INSTANCE_TRANSITIONS[status].length === 0;
}

/** A task of an instance, by where it stands. */
export interface TaskAddress {
  readonly stage: string;
  readonly role: string;
  readonly kind: TaskKind;
}

export function findStage(instance: WorkflowInstance, name: string): StageState | undefined {
  return instance.stages.find((stage) => stage.name === name);
}

/** The stage, where the caller knows that there is one. */
export function stageOf(instance: WorkflowInstance, name: string): StageState {
  const stage = findStage(instance, name);
  assert(stage !== undefined, `the instance has a stage ${name}`);
  return stage;
}

/** The same, without a search. */
export function stageAt(template: WorkflowTemplate, instance: WorkflowInstance, name: string): StageState {
  const stage = instance.stages[positionOf(template, name)];
  assert(stage?.name === name, `the instance has a stage ${name} where its template has it`);
  return stage;
}

/** Position in the order of completion, from 1; 0: not completed. */
export function completionOf(stage: StageState): number {
  return stage.completion ?? 0;
}

export function findTask(instance: WorkflowInstance, at: TaskAddress): TaskState | undefined {
  const stage = findStage(instance, at.stage);
  const tasks = at.kind === 'execute' ? stage?.tasks : stage?.compensation.tasks;
  return tasks?.find((task) => task.role === at.role);
}

/** Whether an attempt of the task is with an agent. */
export function isInFlight(task: TaskState): boolean {
  return task.status === 'dispatched' || task.status === 'running';
}

/** Whether the engine still has something to do or to wait for: not terminal, or a dead letter is being retried. */
export function isLive(instance: WorkflowInstance): boolean {
  return !isTerminal(instance.status) || isCompensating(instance);
}

/** Whether nothing goes on in it and it has not ended: a person, an agent's arrival or a deadline moves it on. */
export function isWaiting(instance: WorkflowInstance): boolean {
  const { status } = instance;
  return (status === 'waiting_approval' || status === 'blocked') && !isCompensating(instance);
}

function isCompensating(instance: WorkflowInstance): boolean {
  return instance.stages.some((stage) => stage.compensation.status === 'running');
}

/** Stages whose compensation waits for an operator. */
export function deadLettersOf(instance: WorkflowInstance): readonly StageState[] {
  return instance.stages.filter((stage) => stage.compensation.status === 'dead_lettered');
}

/** All content that the instance refers to: its input, artifacts and logs. */
export function blobsOf(instance: WorkflowInstance): readonly BlobRef[] {
  const tasks = instance.stages.flatMap((stage) => [...stage.tasks, ...stage.compensation.tasks]);
  return [
    instance.input,
    ...tasks.flatMap(({ artifacts, log }): readonly BlobRef[] =>
      log === null ? artifacts : [...artifacts, log],
    ),
  ];
}

/**
 * Stable across attempts, engines and restarts: `<instance>/<stage>/<role>/<kind>`; from a stage's second run on, `/<run>` follows,
 * because running a stage anew after it was taken back is another effect. An operator's retry of a stage that was not taken back
 * is the same run.
 */
export function idempotencyKey(instance: WorkflowInstance, at: TaskAddress): string {
  const { run } = stageOf(instance, at.stage);
  const base = `${instance.id}/${at.stage}/${at.role}/${at.kind}`;
  return run > 1 ? `${base}/${run}` : base;
}
