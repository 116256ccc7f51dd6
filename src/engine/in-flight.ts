/** The attempts that agents have been given, as a state says: what a process that comes after another has to take up. */
import {
  isInFlight,
  type TaskAddress,
  type TaskKind,
  type TaskState,
  type WorkflowInstance,
} from '../core/instance.js';
import { taskIdOf } from './orders.js';

export interface InFlight {
  readonly taskId: string;
  readonly at: TaskAddress;
  readonly attempt: number;
  readonly agent: string;
}

export function inFlight(instance: WorkflowInstance): InFlight[] {
  return instance.stages.flatMap(({ name, tasks, compensation }) => [
    ...given(instance, name, 'execute', tasks.filter(isInFlight)),
    ...given(instance, name, 'compensate', compensation.tasks.filter(isInFlight)),
  ]);
}

/**
 * Tasks that were called off and are still to be taken back: the process that did may not have lived to see the agent end, and an
 * agent elsewhere may not know of it yet.
 */
export function calledOff(instance: WorkflowInstance): InFlight[] {
  return instance.stages.flatMap(({ name, tasks, compensation }) => {
    if (compensation.status !== 'planned' && compensation.status !== 'running') return [];
    return given(
      instance,
      name,
      'execute',
      tasks.filter(({ status }) => status === 'cancelled'),
    );
  });
}

/** Those of the tasks that an agent has been given. */
function given(
  instance: WorkflowInstance,
  stage: string,
  kind: TaskKind,
  tasks: readonly TaskState[],
): InFlight[] {
  return tasks.flatMap(({ role, attempt, agent }) => {
    const at = { stage, role, kind };
    return agent === null ? [] : [{ taskId: taskIdOf(instance, at, attempt), at, attempt, agent }];
  });
}
