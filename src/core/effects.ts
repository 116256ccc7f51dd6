/** What has to be going on while the state is this. Recovery is nothing else than starting what this says. */
import { nextDueAt } from './deadlines.js';
import { assert } from './errors.js';
import { isReady, missingPermit } from './forward.js';
import {
  isInFlight,
  isTerminal,
  type StageAction,
  type StageState,
  type TaskAddress,
  type TaskKind,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';
import { stageTemplateOf, type WorkflowTemplate } from './template.js';

export type Effect =
  /** The authorizer has to be asked. */
  | { readonly type: 'authorize'; readonly stage: string; readonly action: StageAction }
  /** An agent has to be found. */
  | (TaskAddress & { readonly type: 'assign' })
  /** An agent has to be at it. */
  | (TaskAddress & { readonly type: 'execute'; readonly attempt: number; readonly agent: string })
  /** The instance has to be looked at again at this time, in milliseconds since the epoch. */
  | { readonly type: 'timer'; readonly at: number };

export function effectsOf(template: WorkflowTemplate, instance: WorkflowInstance, now: number): Effect[] {
  const effects: Effect[] = [];
  const isForward = !isTerminal(instance.status) && instance.rollback === null;
  const isHalted = instance.stages.some((stage) => stage.status === 'failed');
  for (const stage of instance.stages) {
    const stageTemplate = stageTemplateOf(template, stage.name);
    const isOpen = isForward && !isHalted && stage.block === null && isReady(instance, stage, stageTemplate);
    const action = missingPermit(stage, stageTemplate);
    if (isOpen && action !== null) effects.push({ type: 'authorize', stage: stage.name, action });
    if (stage.status === 'running') {
      addTasks(effects, stage, 'execute', stage.tasks, stageTemplate.maxParallel, now);
    }
    if (stage.compensation.status === 'running') {
      addTasks(effects, stage, 'compensate', stage.compensation.tasks, 1, now);
    }
  }
  const at = nextDueAt(instance, now);
  if (at !== null) effects.push({ type: 'timer', at });
  return effects;
}

/** Whether two effects wait for the same answer: of the authorizer on an action, or of the swarm on a task. */
export function isSameQuestion(a: Effect, b: Effect): boolean {
  if (a.type === 'authorize') return b.type === 'authorize' && a.stage === b.stage && a.action === b.action;
  if (a.type !== 'assign' || b.type !== 'assign') return false;
  return a.stage === b.stage && a.role === b.role && a.kind === b.kind;
}

/** In order, at most `maxParallel` at a time; a task that waits for its retry keeps its place. */
function addTasks(
  effects: Effect[],
  stage: StageState,
  kind: TaskKind,
  tasks: readonly TaskState[],
  maxParallel: number,
  now: number,
): void {
  let free = maxParallel;
  for (const task of tasks) {
    if (free === 0) break;
    const at = { stage: stage.name, role: task.role, kind };
    if (isInFlight(task)) {
      free -= 1;
      assert(task.agent !== null, 'an attempt is with an agent');
      effects.push({ type: 'execute', ...at, attempt: task.attempt, agent: task.agent });
    } else if (task.status === 'pending') {
      free -= 1;
      const isDue = task.retryAt === null || task.retryAt <= now;
      if (isDue && !(kind === 'execute' && stage.block !== null)) effects.push({ type: 'assign', ...at });
    }
  }
}
