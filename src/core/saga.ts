/**
 * Compensation: what is taken back, in which order, and when that has ended. The plan is data in the instance; entries are marked,
 * never removed, so a crash at any point leaves it where it was.
 */
import type { Draft } from './draft.js';
import { type Failure, failure } from './errors.js';
import { failStage } from './fail-stage.js';
import {
  completionOf,
  isTerminal,
  type RollbackPlan,
  type RollbackTarget,
  type StageState,
  stageOf,
  type WorkflowInstance,
} from './instance.js';
import { ancestorsOf, type StageTemplate, stageTemplateOf, type WorkflowTemplate } from './template.js';

export interface PlanEntry {
  readonly stage: string;
  /** Why there is no task for it; null: it is taken back. */
  readonly skip: string | null;
}

/**
 * What taking back down to `target` covers, first to be taken back first: the failed and running stages, then the completed ones in
 * the exact reverse of their completion. With a partial rollback to a stage: all that came after that stage's completion.
 */
export function planEntries(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  target: RollbackTarget,
): PlanEntry[] {
  const floor = floorOf(instance, target);
  // what an earlier, incomplete rollback has dealt with stays as it is
  const open = instance.stages.filter((stage) => stage.compensation.status === 'none');
  // a stage that an operator's retry has reset is pending, yet may have had effects
  const broken = open.filter((stage) => stage.startedAt !== null && stage.completion === null).reverse();
  const completed = open
    .filter((stage) => completionOf(stage) > floor)
    .sort((a, b) => completionOf(b) - completionOf(a));
  return [...broken, ...completed].map((stage) => ({
    stage: stage.name,
    skip: skipReason(stage, stageTemplateOf(template, stage.name)),
  }));
}

/** Completions up to this one stay. */
export function floorOf(instance: WorkflowInstance, target: RollbackTarget): number {
  return target.end === 'resume' ? completionOf(stageOf(instance, target.to)) : 0;
}

function skipReason(stage: StageState, template: StageTemplate): string | null {
  if (template.compensationAgents.length === 0) return 'names no compensation agents';
  if (stage.status === 'completed' || template.compensateFailed === 'always') return null;
  if (template.compensateFailed === 'never') return 'not completed, and compensate_failed is `never`';
  const hasEffect = stage.tasks.some((task) => task.status === 'completed');
  return hasEffect ? null : 'none of its tasks completed';
}

/**
 * Ends everything that goes forward and plans the way back, in one go: failure and plan are committed together.
 * With `skipAll` nothing is taken back, but every stage that keeps its effect is recorded with that reason.
 */
export function planRollback(
  draft: Draft,
  target: RollbackTarget,
  cause: Failure,
  by: string | null,
  skipAll: string | null = null,
): void {
  for (const stage of draft.state.stages) {
    if (stage.status === 'running')
      failStage(draft, stage.name, failure('stage_aborted', `aborted: ${cause.message}`));
  }
  const planned = planEntries(draft.template, draft.state, target);
  const entries =
    skipAll === null ? planned : planned.map((entry) => ({ ...entry, skip: entry.skip ?? skipAll }));
  draft.emit({ type: 'compensation_planned', target, cause, entries, by });
  if (target.end === 'resume') return;
  for (const stage of draft.state.stages) {
    if (stage.status === 'pending' || stage.status === 'waiting_approval') {
      draft.emit({ type: 'stage_skipped', stage: stage.name });
    }
  }
}

/** Starts, ends and counts compensations as far as the tasks' outcomes allow; also of a dead letter retried after the end. */
export function advanceRollback(draft: Draft): void {
  const plan = draft.state.rollback;
  if (plan === null) return;
  for (const stage of draft.state.stages) endCompensation(draft, stage);
  if (!isTerminal(draft.state.status)) {
    for (const name of plan.order) {
      if (mayStart(draft, name, plan.order)) draft.emit({ type: 'compensation_started', stage: name });
    }
    finishRollback(draft, plan);
  }
}

function endCompensation(draft: Draft, stage: StageState): void {
  if (stage.compensation.status !== 'running') return;
  const { tasks } = stage.compensation;
  // one task at a time: where one has failed for good, none is in flight
  const error = tasks.find((task) => task.status === 'failed')?.error;
  if (error) {
    draft.emit({ type: 'compensation_dead_lettered', stage: stage.name, error });
  } else if (tasks.every((task) => task.status === 'completed')) {
    draft.emit({ type: 'stage_compensated', stage: stage.name });
  }
}

/** One at a time in plan order; with more parallelism, as soon as every stage that builds upon it is settled. */
function mayStart(draft: Draft, name: string, order: readonly string[]): boolean {
  const { template } = draft;
  if (draft.stage(name).compensation.status !== 'planned') return false;
  const unsettled = order.filter((other) => !isSettled(draft.stage(other)));
  if (template.sagaParallelism === 1) return unsettled[0] === name;
  const running = unsettled.filter((other) => draft.stage(other).compensation.status === 'running').length;
  if (running >= template.sagaParallelism) return false;
  return !unsettled.some((other) => other !== name && ancestorsOf(template, other).has(name));
}

function isSettled(stage: StageState): boolean {
  const { status } = stage.compensation;
  return status !== 'planned' && status !== 'running';
}

function finishRollback(draft: Draft, plan: RollbackPlan): void {
  if (!draft.state.stages.every(isSettled)) return;
  if (plan.target.end !== 'resume') {
    draft.emit({ type: plan.target.end === 'failed' ? 'workflow_failed' : 'workflow_cancelled' });
    return;
  }
  const letter = plan.order.find((name) => draft.stage(name).compensation.status === 'dead_lettered');
  if (letter === undefined) return goOn(draft, plan.target.to, plan.order);
  if (draft.state.status === 'blocked') return;
  const message = `stage \`${letter}\` could not be taken back: retry or resolve its dead letter`;
  draft.emit({ type: 'workflow_blocked', stage: letter, block: { code: 'rollback_incomplete', message } });
}

/** After a partial rollback: whatever was taken back, failed or waits is to run anew, and what was denied is asked again. */
function goOn(draft: Draft, to: string, order: readonly string[]): void {
  for (const { name, status, block } of draft.state.stages) {
    if (order.includes(name) || status === 'failed' || status === 'waiting_approval') {
      draft.emit({ type: 'stage_reset', stage: name });
    } else if (block !== null) {
      draft.emit({ type: 'stage_unblocked', stage: name });
    }
  }
  draft.emit({ type: 'rollback_completed', to });
}
