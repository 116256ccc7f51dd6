/** Moves an instance forward as far as the events so far allow, without waiting for anything. */
import { approvalDigest, isApproved } from './approval.js';
import { breachesOf } from './budget.js';
import type { Draft } from './draft.js';
import { assert, failure } from './errors.js';
import { failStage } from './fail-stage.js';
import {
  isInFlight,
  isTerminal,
  type StageAction,
  type StageState,
  stageAt,
  type WorkflowInstance,
} from './instance.js';
import { irreversiblePassed } from './passed.js';
import { advanceRollback, planRollback } from './saga.js';
import { type StageTemplate, stageTemplateOf, type WorkflowTemplate } from './template.js';

export function advance(draft: Draft): void {
  advanceRollback(draft);
  const { status, rollback } = draft.state;
  if (isTerminal(status) || status === 'compensating' || rollback !== null) return;
  const failed = draft.state.stages.find((stage) => stage.status === 'failed');
  if (failed !== undefined) return onFailure(draft, failed);
  completeStages(draft);
  const broke = stopOverspent(draft);
  if (broke !== undefined) return onFailure(draft, broke);
  openStages(draft);
  // opening may have failed nothing and completed nothing, so one pass is a fixpoint
  if (draft.state.stages.every((stage) => stage.status === 'completed')) {
    resume(draft);
    draft.emit({ type: 'workflow_completed' });
    return;
  }
  settle(draft);
}

function onFailure(draft: Draft, failed: StageState): void {
  const { error } = failed;
  assert(error !== null, 'a stage fails with an error');
  const passed = irreversiblePassed(draft.template, draft.state);
  if (passed === undefined) {
    planRollback(draft, { end: 'failed' }, error, null);
    advanceRollback(draft);
    return;
  }
  if (failed.block === null) {
    const message = `stage \`${failed.name}\` failed after the point of no return \`${passed.name}\`: ${error.message}`;
    draft.emit({ type: 'stage_blocked', stage: failed.name, block: { code: 'point_of_no_return', message } });
  }
  completeStages(draft);
  settle(draft);
}

/** Whatever would go on although a budget is used up is held, or fails: answered is the first that did. What is in flight ends by itself. */
function stopOverspent(draft: Draft): StageState | undefined {
  const { template } = draft;
  for (const stageTemplate of template.stages) {
    const { name } = stageTemplate;
    if (!hasBudget(template, stageTemplate)) continue;
    const stage = draft.stage(name);
    const hasMore =
      isReady(template, draft.state, stage, stageTemplate) ||
      (stage.status === 'running' && stage.tasks.some((task) => task.status === 'pending'));
    if (stage.block !== null || !hasMore) continue;
    if (stopIfOverspent(draft, name) && template.onBreach === 'compensate') return draft.stage(name);
  }
  return undefined;
}

function hasBudget({ budget, sharedBudget }: WorkflowTemplate, stage: StageTemplate): boolean {
  return budget !== null || sharedBudget !== undefined || stage.budget !== null;
}

/** Holds the stage, or fails it, where nothing more of it may be dispatched; answers whether it did. */
export function stopIfOverspent(draft: Draft, name: string): boolean {
  const { template, state, moment } = draft;
  const [breach] = breachesOf(template, state, draft.stage(name), (of) => moment.shared(of));
  if (breach === undefined) return false;
  const { message, window } = breach;
  if (template.onBreach === 'compensate') failStage(draft, name, failure('budget_exceeded', message));
  else {
    const lifts = window === undefined ? {} : { liftsAt: window.untilAt };
    draft.emit({ type: 'stage_blocked', stage: name, block: { code: 'budget_exceeded', message, ...lifts } });
  }
  return true;
}

function completeStages(draft: Draft): void {
  for (const stage of draft.state.stages) {
    if (stage.status === 'running' && stage.tasks.every((task) => task.status === 'completed')) {
      draft.emit({ type: 'stage_completed', stage: stage.name });
    }
  }
}

function openStages(draft: Draft): void {
  for (const template of draft.template.stages) {
    const stage = draft.stage(template.name);
    if (stage.block !== null || !isReady(draft.template, draft.state, stage, template)) continue;
    if (needsApproval(draft, stage, template)) {
      const deadlineAt = template.approvalTimeoutMs === null ? null : draft.now + template.approvalTimeoutMs;
      const digest = approvalDigest(draft.template, draft.state, stage.name, draft.moment);
      draft.emit({ type: 'approval_requested', stage: stage.name, digest, deadlineAt });
    } else if (missingPermit(stage, template) === null) {
      const deadlineAt = template.timeoutMs === null ? null : draft.now + template.timeoutMs;
      draft.emit({ type: 'stage_started', stage: stage.name, deadlineAt });
    }
  }
}

function needsApproval(draft: Draft, stage: StageState, template: StageTemplate): boolean {
  if (!template.approvalRequired) return false;
  if (stage.approval?.status !== 'approved') return true;
  return !isApproved(stage, approvalDigest(draft.template, draft.state, stage.name, draft.moment));
}

/** Pending, and everything that it needs is completed. */
export function isReady(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: StageState,
  { needs }: StageTemplate,
): boolean {
  if (stage.status !== 'pending') return false;
  return needs.every((name) => stageAt(template, instance, name).status === 'completed');
}

/** The first action that the authorizer must still allow before the stage may start; null: none. */
export function missingPermit(stage: StageState, template: StageTemplate): StageAction | null {
  if (!stage.permits.includes('execute-stage')) return 'execute-stage';
  const isPassed = !template.irreversible || stage.approval?.status === 'approved';
  return isPassed || stage.permits.includes('pass-point-of-no-return') ? null : 'pass-point-of-no-return';
}

/** Sets `active`, `blocked` or `waiting_approval`, whichever the stages amount to. */
function settle(draft: Draft): void {
  const { state, template } = draft;
  const halted = state.stages.some((stage) => stage.status === 'failed');
  const isMoving = state.stages.some((stage) => {
    if (stage.status === 'running') return stage.block === null || stage.tasks.some(isInFlight);
    return (
      !halted &&
      stage.block === null &&
      isReady(template, state, stage, stageTemplateOf(template, stage.name))
    );
  });
  if (isMoving) return resume(draft);
  const blocked = state.stages.find((stage) => stage.block !== null);
  if (blocked?.block) {
    if (state.status !== 'blocked')
      draft.emit({ type: 'workflow_blocked', stage: blocked.name, block: blocked.block });
  } else if (state.status !== 'waiting_approval') {
    // a stage that was held before its approval was asked for
    resume(draft);
    draft.emit({ type: 'workflow_waiting' });
  }
}

export function resume(draft: Draft): void {
  const { status, deadlineAt } = draft.state;
  if (status === 'waiting_approval' || status === 'blocked')
    draft.emit({ type: 'workflow_resumed', deadlineAt });
}
