/** Time as data: which deadlines an instance has, and what passing one means. */

import type { Draft } from './draft.js';
import { failure } from './errors.js';
import { failAttempt, failStage } from './fail-stage.js';
import {
  isInFlight,
  isTerminal,
  type StageState,
  type TaskKind,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';
import { irreversiblePassed } from './passed.js';
import { planRollback } from './saga.js';

/** Whether the instance goes forward or waits to: the states in which its own deadline counts. */
function isForward(instance: WorkflowInstance): boolean {
  return !isTerminal(instance.status) && instance.rollback === null;
}

/** When something is due next: a deadline, or a retry whose delay ends; null: nothing. */
export function nextDueAt(instance: WorkflowInstance): number | null {
  let due = Number.POSITIVE_INFINITY;
  if (isForward(instance) && !isHalted(instance)) {
    due = Math.min(due, instance.deadlineAt ?? due);
    for (const stage of instance.stages) due = Math.min(due, forwardDueAt(stage));
  }
  for (const stage of instance.stages) {
    if (stage.compensation.status === 'running') due = Math.min(due, tasksDueAt(stage.compensation.tasks));
  }
  return due === Number.POSITIVE_INFINITY ? null : due;
}

/** A failed stage behind a point of no return: the clock stands still until the operator decides. */
function isHalted(instance: WorkflowInstance): boolean {
  return instance.stages.some((stage) => stage.status === 'failed');
}

function forwardDueAt(stage: StageState): number {
  const never = Number.POSITIVE_INFINITY;
  if (stage.status === 'waiting_approval') return stage.approval?.deadlineAt ?? never;
  if (stage.status !== 'running') return never;
  return Math.min(stage.deadlineAt ?? never, tasksDueAt(stage.tasks));
}

function tasksDueAt(tasks: readonly TaskState[]): number {
  let due = Number.POSITIVE_INFINITY;
  for (const task of tasks) {
    if (task.status === 'pending') due = Math.min(due, task.retryAt ?? due);
    else if (isInFlight(task)) due = Math.min(due, task.deadlineAt ?? due);
  }
  return due;
}

/** Applies each deadline that has passed by `draft.now`; never one that has not. */
export function expire(draft: Draft): void {
  if (isForward(draft.state) && !isHalted(draft.state)) {
    const { deadlineAt } = draft.state;
    if (deadlineAt !== null && deadlineAt <= draft.now) return expireWorkflow(draft);
    for (const stage of draft.state.stages) expireStage(draft, stage);
  }
  for (const stage of draft.state.stages) {
    if (stage.compensation.status === 'running')
      expireAttempts(draft, stage.name, 'compensate', stage.compensation.tasks);
  }
}

function expireWorkflow(draft: Draft): void {
  const cause = failure('workflow_timeout', `not done within ${(draft.template.timeoutMs ?? 0) / 1000} s`);
  if (irreversiblePassed(draft.template, draft.state) === undefined) {
    return planRollback(draft, { end: 'failed' }, cause, null);
  }
  const open = draft.state.stages.filter(
    (stage) => stage.status === 'running' || stage.status === 'waiting_approval',
  );
  const first = draft.state.stages.find((stage) => stage.status === 'pending');
  for (const stage of open.length > 0 ? open : first ? [first] : []) failStage(draft, stage.name, cause);
}

function expireStage(draft: Draft, stage: StageState): void {
  if (stage.status === 'running' && stage.deadlineAt !== null && stage.deadlineAt <= draft.now) {
    const limit = (draft.stageTemplate(stage.name).timeoutMs ?? 0) / 1000;
    failStage(
      draft,
      stage.name,
      failure('stage_timeout', `stage \`${stage.name}\` was not done within ${limit} s`),
    );
    return;
  }
  const approvalDue = stage.status === 'waiting_approval' ? stage.approval?.deadlineAt : null;
  if (approvalDue == null || approvalDue > draft.now) return;
  const outcome = draft.stageTemplate(stage.name).onApprovalTimeout;
  draft.emit({ type: 'approval_expired', stage: stage.name, outcome });
  if (outcome === 'reject') {
    failStage(
      draft,
      stage.name,
      failure('approval_timeout', `nobody approved stage \`${stage.name}\` in time`),
    );
  }
}

function expireAttempts(draft: Draft, stage: string, kind: TaskKind, tasks: readonly TaskState[]): void {
  for (const task of tasks) {
    if (!isInFlight(task) || task.deadlineAt === null || task.deadlineAt > draft.now) continue;
    const error = failure('agent_timeout', `compensation of stage \`${stage}\` was not done in time`);
    failAttempt(draft, { stage, role: task.role, kind }, task, { error, isRetryable: true, log: null });
  }
}
