/** What has to be going on while the state is this. Recovery is nothing else than starting what this says. */
import { timeUpsOf } from './budget.js';
import { nextDueAt } from './deadlines.js';
import { assert } from './errors.js';
import { isReady, missingPermit } from './forward.js';
import {
  findStage,
  isInFlight,
  isTerminal,
  type StageAction,
  type StageState,
  type TaskAddress,
  type TaskKind,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';
import { type StageTemplate, stageTemplateOf, type WorkflowTemplate } from './template.js';

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
  const isOpening = opensStages(instance);
  for (const stage of instance.stages) {
    const stageTemplate = stageTemplateOf(template, stage.name);
    if (isOpening) addAuthorization(effects, template, instance, stage, stageTemplate);
    if (stage.status === 'running') {
      addTasks(effects, stage, 'execute', stage.tasks, stageTemplate.maxParallel, now);
    }
    if (stage.compensation.status === 'running') {
      addTasks(effects, stage, 'compensate', stage.compensation.tasks, 1, now);
    }
  }
  const dueAt = nextDueAt(instance, now) ?? Number.POSITIVE_INFINITY;
  const at = timeUpsOf(template, instance).reduce((first, up) => Math.min(first, up.at), dueAt);
  if (at < Number.POSITIVE_INFINITY) effects.push({ type: 'timer', at });
  return effects;
}

/** What waits for an answer: of the authorizer on an action, or of the swarm on a task. */
export type Question = Extract<Effect, { type: 'authorize' | 'assign' }>;

/** Whether the state still asks this; looks at its stage alone. */
export function asksFor(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  question: Question,
  now: number,
): boolean {
  const stage = findStage(instance, question.stage);
  if (stage === undefined) return false;
  const stageTemplate = stageTemplateOf(template, stage.name);
  const open: Effect[] = [];
  if (question.type === 'authorize') {
    if (opensStages(instance)) addAuthorization(open, template, instance, stage, stageTemplate);
    return open.some((effect) => effect.type === 'authorize' && effect.action === question.action);
  }
  const isForward = question.kind === 'execute';
  const { status, tasks } = isForward ? stage : stage.compensation;
  if (status !== 'running') return false;
  const placed = withPlace(tasks, isForward ? stageTemplate.maxParallel : 1);
  return placed.some((task) => task.role === question.role && isDue(stage, question.kind, task, now));
}

function opensStages(instance: WorkflowInstance): boolean {
  if (isTerminal(instance.status) || instance.rollback !== null) return false;
  return !instance.stages.some((stage) => stage.status === 'failed');
}

function addAuthorization(
  effects: Effect[],
  workflow: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: StageState,
  template: StageTemplate,
): void {
  const action = missingPermit(stage, template);
  if (action === null || stage.block !== null || !isReady(workflow, instance, stage, template)) return;
  effects.push({ type: 'authorize', stage: stage.name, action });
}

function isDue(stage: StageState, kind: TaskKind, task: TaskState, now: number): boolean {
  if (task.status !== 'pending' || (task.retryAt !== null && task.retryAt > now)) return false;
  return kind === 'compensate' || stage.block === null;
}

/** In order, at most `maxParallel` at a time; a task that waits for its retry keeps its place. */
function withPlace(tasks: readonly TaskState[], maxParallel: number): readonly TaskState[] {
  return tasks.filter((task) => task.status === 'pending' || isInFlight(task)).slice(0, maxParallel);
}

function addTasks(
  effects: Effect[],
  stage: StageState,
  kind: TaskKind,
  tasks: readonly TaskState[],
  maxParallel: number,
  now: number,
): void {
  for (const task of withPlace(tasks, maxParallel)) {
    const { role, attempt, agent } = task;
    if (isInFlight(task)) {
      assert(agent !== null, 'an attempt is with an agent');
      effects.push({ type: 'execute', stage: stage.name, role, kind, attempt, agent });
    } else if (isDue(stage, kind, task, now)) {
      effects.push({ type: 'assign', stage: stage.name, role, kind });
    }
  }
}
