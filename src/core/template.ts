/** A workflow template: what `[[workflows]]` describes, validated, with every default filled in. Immutable. */
import type { Budget, OnBreach, SharedBudget } from './budget.js';
import { assert } from './errors.js';
import type { Digest } from './names.js';
import type { Trigger } from './trigger.js';

export interface RetryPolicy {
  /** Attempts in all, the first included; at least 1. */
  readonly maxAttempts: number;
  readonly initialMs: number;
  readonly maxMs: number;
  /** Growth of the delay from one retry to the next; at least 1. */
  readonly factor: number;
  /** Share of the delay that is drawn at random, 0 to 1. */
  readonly jitter: number;
}

export type CompensateFailed = 'completed_tasks' | 'always' | 'never';
export type OnDeny = 'block' | 'compensate';
export type OnApprovalTimeout = 'reject' | 'approve';

export interface StageTemplate {
  readonly name: string;
  /** Roles; one task each. No role stands twice. */
  readonly agents: readonly string[];
  readonly parallel: boolean;
  /** How many tasks of the stage may be in flight; 1 unless `parallel`. */
  readonly maxParallel: number;
  readonly approvalRequired: boolean;
  /** How long the approval may take; null: for ever. */
  readonly approvalTimeoutMs: number | null;
  readonly onApprovalTimeout: OnApprovalTimeout;
  /** Roles whose agents take the stage back, in this order; empty: the stage can't be taken back. */
  readonly compensationAgents: readonly string[];
  /** Names of the stages that must be completed before. */
  readonly needs: readonly string[];
  /** From the stage's start to its completion, retries included; null: no limit. */
  readonly timeoutMs: number | null;
  readonly retry: RetryPolicy;
  readonly compensationRetry: RetryPolicy;
  /** Of one compensation attempt. */
  readonly compensationTimeoutMs: number;
  readonly compensateFailed: CompensateFailed;
  /** A point of no return: once its first task is dispatched the instance only goes forward or stops for an operator. */
  readonly irreversible: boolean;
  /** What its tasks may use in all runs of an instance; null: no limit. */
  readonly budget: Budget | null;
}

export interface WorkflowTemplate {
  readonly name: string;
  /** SHA-256 of the canonical encoding of everything else in here. */
  readonly hash: Digest;
  /** What starts instances besides people, who always may. */
  readonly trigger: 'manual' | Trigger;
  /** In the order written, which is a topological order of `needs`. */
  readonly stages: readonly StageTemplate[];
  /** From start to end, compensation not included; null: no limit. */
  readonly timeoutMs: number | null;
  readonly onDeny: OnDeny;
  /** How many compensations may run side by side. */
  readonly sagaParallelism: number;
  /** What the tasks of one instance may use; null: no limit. */
  readonly budget: Budget | null;
  /** What the tasks of all instances may use together. Absent: no limit; templates without one have the hash that they always had. */
  readonly sharedBudget?: SharedBudget;
  /** What becomes of a stage that would go on although a budget is used up. */
  readonly onBreach: OnBreach;
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  initialMs: 1_000,
  maxMs: 60_000,
  factor: 2,
  jitter: 0.2,
};
/** Undoing matters more than doing: a compensation is tried for longer. */
export const DEFAULT_COMPENSATION_RETRY: RetryPolicy = { ...DEFAULT_RETRY, maxAttempts: 5 };
export const DEFAULT_COMPENSATION_TIMEOUT_MS = 300_000;

/** Templates don't change, and a decision asks for every stage: a search each time would make long templates cubic. */
const positions = new WeakMap<WorkflowTemplate, ReadonlyMap<string, number>>();

/** Where the stage stands in the template, and its state in every instance; -1: nowhere. */
export function positionOf(template: WorkflowTemplate, name: string): number {
  let known = positions.get(template);
  if (known === undefined) {
    known = new Map(template.stages.map((stage, at) => [stage.name, at]));
    positions.set(template, known);
  }
  return known.get(name) ?? -1;
}

/** The stage's template, where the caller knows that there is one. */
export function stageTemplateOf(template: WorkflowTemplate, name: string): StageTemplate {
  const stage = template.stages[positionOf(template, name)];
  assert(stage !== undefined, `the template has a stage ${name}`);
  return stage;
}

/** The stages that `name` waits for, directly or through others. */
export function ancestorsOf(template: WorkflowTemplate, name: string): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = [...stageTemplateOf(template, name).needs];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    queue.push(...stageTemplateOf(template, next).needs);
  }
  return found;
}
