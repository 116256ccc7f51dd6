/** Keeps every transition that scenarios make, as `machine: from -> to`. */
import type { WorkflowEvent } from './events.js';
import {
  COMPENSATION_TRANSITIONS,
  INSTANCE_TRANSITIONS,
  STAGE_TRANSITIONS,
  TASK_TRANSITIONS,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';

export const MACHINES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  instance: INSTANCE_TRANSITIONS,
  stage: STAGE_TRANSITIONS,
  task: TASK_TRANSITIONS,
  compensation: COMPENSATION_TRANSITIONS,
};

export const seenTransitions = new Set<string>();

export function recordTransitions(
  before: WorkflowInstance,
  after: WorkflowInstance,
  event: WorkflowEvent,
): void {
  note('instance', before.status, after.status, false);
  for (const [index, was] of before.stages.entries()) {
    const is = after.stages[index];
    if (is === undefined) continue;
    const isTarget = 'stage' in event && event.stage === was.name;
    note('stage', was.status, is.status, isTarget && event.type === 'stage_reset');
    note('compensation', was.compensation.status, is.compensation.status, false);
    // these begin new tasks rather than move the old ones
    if (event.type === 'stage_reset' || event.type === 'stage_carried_over') continue;
    const isFailing = isTarget && event.type === 'task_failed';
    noteTasks(was.tasks, is.tasks, false);
    noteTasks(was.compensation.tasks, is.compensation.tasks, isFailing);
  }
}

function noteTasks(before: readonly TaskState[], after: readonly TaskState[], isSelf: boolean): void {
  for (const was of before) {
    const is = after.find((task) => task.role === was.role);
    if (is !== undefined) note('task', was.status, is.status, isSelf && was !== is);
  }
}

/** A state that stays counts only where the event is known to have gone from it to itself. */
function note(machine: string, from: string, to: string, isSelf: boolean): void {
  if (from !== to || isSelf) seenTransitions.add(`${machine}: ${from} -> ${to}`);
}
