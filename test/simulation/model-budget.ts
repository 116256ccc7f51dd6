/** The reference model's part about budgets of time: agents of these worlds count nothing else. */

import type { Budget } from '../../src/core/budget.js';
import type { WorkflowEvent } from '../../src/core/events.js';
import type { Reading } from './model.js';
import { demand, isInFlight, type ModelStage } from './model-state.js';

const CUT_OFF = /^the .* of its budget are used up$/;

/** Used by attempts that have ended; by those in flight too, up to `at`. */
function usedMs(stages: readonly ModelStage[], at?: number): number {
  const ended = stages.reduce((all, stage) => all + stage.usedMs, 0);
  if (at === undefined) return ended;
  const since = stages.flatMap(({ tasks }) =>
    tasks.filter(isInFlight).map(({ dispatchedAt }) => dispatchedAt),
  );
  return since.reduce((all, from) => all + at - from, ended);
}

function isOver(budget: Budget | null, grants: number, used: number): boolean {
  return budget?.ms != null && used >= budget.ms * (1 + grants);
}

/** Nothing more of the stage may be dispatched. */
export function isSpent({ model }: Reading, stage: ModelStage, at?: number): boolean {
  return (
    isOver(stage.template.budget, stage.grants, usedMs([stage], at)) ||
    isOver(model.template.budget, model.grants, usedMs(model.stages, at))
  );
}

/** What of the stage would be dispatched next, if it may. */
export function hasMore(reading: Reading, stage: ModelStage): boolean {
  if (reading.isReady(stage)) return true;
  return stage.status === 'running' && stage.tasks.some(({ status }) => status === 'pending');
}

/** Whether the attempt is called off because its time is used up: that must be so, then. */
export function isCutOff(reading: Reading, stage: ModelStage, kind: string, reason: string): boolean {
  if (!CUT_OFF.test(reason)) return false;
  demand(kind === 'execute' && isSpent(reading, stage, reading.at), 'an attempt is cut off early');
  return true;
}

export function grant(reading: Reading, event: Extract<WorkflowEvent, { type: 'budget_granted' }>): void {
  const { model } = reading;
  const stage = model.stage(event.stage);
  demand(reading.due.includes(`unblock ${stage.name}`), 'a budget is granted that nobody asked for');
  demand(stage.block?.code === 'budget_exceeded', 'a budget is granted that is not used up');
  const isOwn = event.scope === 'stage';
  const of = isOwn ? stage : model;
  const limitMs = of.template.budget?.ms ?? Number.POSITIVE_INFINITY;
  const used = usedMs(isOwn ? [stage] : model.stages);
  demand(event.grants === Math.floor(used / limitMs) && event.grants > of.grants, 'it takes another grant');
  of.grants = event.grants;
}
