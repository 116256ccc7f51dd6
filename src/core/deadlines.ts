/** Time as data: which deadlines an instance has, and what passing one means. */

import { timeUpsOf } from './budget.js';
import type { Draft } from './draft.js';
import { assert, failure } from './errors.js';
import { failAttempt, failStage } from './fail-stage.js';
import {
  isInFlight,
  isLive,
  isTerminal,
  isWaiting,
  type StageState,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';
import { irreversiblePassed } from './passed.js';
import { planRollback } from './saga.js';

/** Whether the instance goes forward or waits to: the states in which its own deadline counts. */
function isForward(instance: WorkflowInstance): boolean {
  return !isTerminal(instance.status) && instance.rollback === null;
}

/** When something is due next: a deadline (also one that has passed), or a retry whose delay is not over; null: nothing. */
export function nextDueAt(instance: WorkflowInstance, now: number): number | null {
  let due = Number.POSITIVE_INFINITY;
  if (isForward(instance)) {
    const halted = isHalted(instance);
    if (!halted) due = Math.min(due, instance.deadlineAt ?? due);
    for (const stage of instance.stages) due = Math.min(due, forwardDueAt(stage, halted, now));
  }
  for (const stage of instance.stages) {
    if (stage.compensation.status === 'running')
      due = Math.min(due, tasksDueAt(stage.compensation.tasks, now));
  }
  return due === Number.POSITIVE_INFINITY ? null : due;
}

/**
 * When the engine has to be at the instance without being asked: 0, at once and all the time, while something goes on in it; its next
 * deadline while it waits; null: never. The store keeps this as a column, which is what recovery reads.
 */
export function wakeAtOf(instance: WorkflowInstance): number | null {
  if (isWaiting(instance)) return nextDueAt(instance, Number.NEGATIVE_INFINITY);
  return isLive(instance) ? 0 : null;
}

/**
 * A failed stage behind a point of no return: the clocks of the instance and of its approvals stand still until the operator
 * decides. What is running goes on to its end, so its clocks go on too.
 */
function isHalted(instance: WorkflowInstance): boolean {
  return instance.stages.some((stage) => stage.status === 'failed');
}

function forwardDueAt(stage: StageState, halted: boolean, now: number): number {
  const never = Number.POSITIVE_INFINITY;
  if (stage.status === 'waiting_approval' && !halted) return stage.approval?.deadlineAt ?? never;
  const liftsAt = stage.block?.liftsAt ?? never;
  if (stage.status !== 'running') return liftsAt;
  // while the stage is blocked none of its tasks is dispatched
  return Math.min(stage.deadlineAt ?? never, stage.block === null ? tasksDueAt(stage.tasks, now) : liftsAt);
}

function tasksDueAt(tasks: readonly TaskState[], now: number): number {
  let due = Number.POSITIVE_INFINITY;
  for (const task of tasks) {
    // a delay that is over leaves the task waiting for an agent, not for the clock
    if (task.status === 'pending')
      due = Math.min(due, task.retryAt !== null && task.retryAt > now ? task.retryAt : due);
    else if (isInFlight(task)) due = Math.min(due, task.deadlineAt ?? due);
  }
  return due;
}

/** Applies each deadline that has passed by `draft.now`; never one that has not. */
export function expire(draft: Draft): void {
  if (isForward(draft.state)) {
    const { deadlineAt } = draft.state;
    const halted = isHalted(draft.state);
    if (!halted && hasPassed(draft, deadlineAt)) return expireWorkflow(draft);
    for (const stage of draft.state.stages) {
      if (stage.status === 'running' && hasPassed(draft, stage.deadlineAt)) expireStage(draft, stage.name);
      if (stage.status === 'waiting_approval' && !halted) expireApproval(draft, stage);
      expireBlock(draft, stage.name);
    }
    cutOff(draft);
  }
  for (const stage of draft.state.stages) {
    if (stage.compensation.status === 'running') expireCompensation(draft, stage);
  }
}

function hasPassed(draft: Draft, at: number | null): boolean {
  return at !== null && at <= draft.now;
}

function seconds(limitMs: number | null): string {
  assert(limitMs !== null, 'a deadline comes from a limit');
  return `${limitMs / 1000} s`;
}

function expireWorkflow(draft: Draft): void {
  const cause = failure('workflow_timeout', `not done within ${seconds(draft.template.timeoutMs)}`);
  if (irreversiblePassed(draft.template, draft.state) === undefined) {
    return planRollback(draft, { end: 'failed' }, cause, null);
  }
  const open = draft.state.stages.filter(
    (stage) => stage.status === 'running' || stage.status === 'waiting_approval',
  );
  const pending = draft.state.stages.filter((stage) => stage.status === 'pending');
  for (const stage of open.length > 0 ? open : pending.slice(0, 1)) failStage(draft, stage.name, cause);
}

/** Unless it has failed meanwhile, which lifts its block. */
function expireBlock(draft: Draft, name: string): void {
  const liftsAt = draft.stage(name).block?.liftsAt ?? null;
  if (hasPassed(draft, liftsAt)) draft.emit({ type: 'stage_unblocked', stage: name });
}

/**
 * Attempts that have used up the time of a budget are called off, so that one which hangs can't overspend; what then becomes of their
 * stages is decided where anything else that is overspent is.
 */
function cutOff(draft: Draft): void {
  const over = timeUpsOf(draft.template, draft.state).filter(({ at }) => hasPassed(draft, at));
  for (const { limitMs, stages } of over) {
    for (const { name } of stages) {
      for (const { role, attempt } of draft.stage(name).tasks.filter(isInFlight)) {
        const reason = `the ${seconds(limitMs)} of its budget are used up`;
        draft.emit({ type: 'task_interrupted', stage: name, role, kind: 'execute', attempt, reason });
      }
    }
  }
}

function expireStage(draft: Draft, name: string): void {
  const limit = seconds(draft.stageTemplate(name).timeoutMs);
  failStage(draft, name, failure('stage_timeout', `stage \`${name}\` was not done within ${limit}`));
}

function expireApproval(draft: Draft, { name, approval }: StageState): void {
  assert(approval !== null, 'a waiting stage has asked for an approval');
  if (!hasPassed(draft, approval.deadlineAt)) return;
  const outcome = draft.stageTemplate(name).onApprovalTimeout;
  draft.emit({ type: 'approval_expired', stage: name, outcome });
  if (outcome === 'reject') {
    failStage(draft, name, failure('approval_timeout', `nobody approved stage \`${name}\` in time`));
  }
}

function expireCompensation(draft: Draft, stage: StageState): void {
  const message = `compensation of stage \`${stage.name}\` was not done in time`;
  const outcome = { error: failure('agent_timeout', message), isRetryable: true, log: null };
  for (const task of stage.compensation.tasks) {
    if (!isInFlight(task) || !hasPassed(draft, task.deadlineAt)) continue;
    failAttempt(draft, { stage: stage.name, role: task.role, kind: 'compensate' }, task, outcome);
  }
}
