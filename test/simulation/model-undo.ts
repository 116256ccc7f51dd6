/** The reference model's part about taking back: what, in which order, and when it is done. */
import type { WorkflowEvent } from '../../src/core/events.js';
import type { Reading } from './model.js';
import { demand, hasEnded, type ModelStage, newModelTask } from './model-state.js';

const UNDO_EVENTS = [
  'compensation_planned',
  'compensation_started',
  'stage_compensated',
  'compensation_dead_lettered',
  'dead_letter_retried',
  'dead_letter_resolved',
  'workflow_failed',
  'workflow_cancelled',
  'rollback_completed',
] as const;
type UndoEvent = Extract<WorkflowEvent, { type: (typeof UNDO_EVENTS)[number] }>;
type EventOf<T extends UndoEvent['type']> = Extract<UndoEvent, { type: T }>;

export function isUndoEvent(event: WorkflowEvent): event is UndoEvent {
  return (UNDO_EVENTS as readonly string[]).includes(event.type);
}

export function applyUndoEvent(reading: Reading, event: UndoEvent): void {
  const { model, at } = reading;
  switch (event.type) {
    case 'compensation_planned':
      return plan(reading, event);
    case 'workflow_failed':
    case 'workflow_cancelled': {
      const status = event.type === 'workflow_failed' ? 'failed' : 'cancelled';
      demand(model.rollback?.target.end === status, `it becomes ${status}, which is not its target`);
      demand(model.stages.every(isSettled), `it becomes ${status} before everything is taken back`);
      return model.become(status);
    }
    case 'rollback_completed':
      return goOn(reading, event);
    default: {
      const stage = model.stage(event.stage);
      return applyToStage(reading, stage, event, at);
    }
  }
}

function applyToStage(
  reading: Reading,
  stage: ModelStage,
  event: EventOf<
    | 'compensation_started'
    | 'stage_compensated'
    | 'compensation_dead_lettered'
    | 'dead_letter_retried'
    | 'dead_letter_resolved'
  >,
  at: number,
): void {
  const { model } = reading;
  const where = `${event.type} of stage ${stage.name}`;
  switch (event.type) {
    case 'compensation_started':
      demand(mayStart(reading, stage), `${where}: it is not its turn`);
      model.setUndo(stage, 'running');
      stage.isLetter = false;
      stage.undoTasks = stage.template.compensationAgents.map(
        (role) => stage.undoTasks.find((task) => task.role === role) ?? newModelTask(role),
      );
      return;
    case 'stage_compensated':
      demand(stage.undo === 'running' && isUndone(stage), `${where}: its tasks are not done`);
      return model.setUndo(stage, 'compensated');
    case 'compensation_dead_lettered':
      demand(stage.undo === 'running' && hasGivenUp(stage), `${where}: no task of it has failed for good`);
      return model.setUndo(stage, 'dead_lettered');
    case 'dead_letter_retried':
      demand(reading.takeDue(`retry_letter ${stage.name}`), `${where}: nobody asked for it`);
      model.setUndo(stage, 'running');
      stage.isLetter = true;
      for (const task of stage.undoTasks) {
        if (task.status !== 'failed') continue;
        model.setTask(task, 'pending');
        Object.assign(task, { failures: 0, retryAt: null });
      }
      return;
    case 'dead_letter_resolved':
      demand(reading.takeDue(`resolve_letter ${stage.name}`), `${where}: nobody asked for it at ${at}`);
      return model.setUndo(stage, 'resolved');
  }
}

function isSettled({ undo }: ModelStage): boolean {
  return undo !== 'planned' && undo !== 'running';
}

function isUndone({ undoTasks }: ModelStage): boolean {
  return undoTasks.every(({ status }) => status === 'completed');
}

function hasGivenUp({ undoTasks }: ModelStage): boolean {
  return undoTasks.some(({ status }) => status === 'failed');
}

/** What is taken back, in this order, and why some of it is not. */
function expectedPlan(
  reading: Reading,
  floor: number,
  isBare: boolean,
): { stage: string; skip: string | null }[] {
  const open = reading.model.stages.filter(({ undo }) => undo === 'none');
  const broken = open.filter(({ wasStarted, completion }) => wasStarted && completion === null).reverse();
  const done = open.filter(({ completion }) => completion !== null && completion > floor);
  done.sort((a, b) => (b.completion ?? 0) - (a.completion ?? 0));
  return [...broken, ...done].map((stage) => {
    const skip = skipOf(stage);
    return { stage: stage.name, skip: skip ?? (isBare ? 'cancelled without compensation' : null) };
  });
}

function skipOf({ template, completion, tasks }: ModelStage): string | null {
  if (template.compensationAgents.length === 0) return 'names no compensation agents';
  if (completion !== null || template.compensateFailed === 'always') return null;
  if (template.compensateFailed === 'never') return 'not completed, and compensate_failed is `never`';
  const hasEffect = tasks.some(({ status }) => status === 'completed');
  return hasEffect ? null : 'none of its tasks completed';
}

function plan(reading: Reading, event: EventOf<'compensation_planned'>): void {
  const { model } = reading;
  const { target, entries, cause } = event;
  // whatever was aborted was aborted for this
  while (reading.takeDue('plan'));
  const isBare = reading.takeDue('bare cancel');
  const wish = target.end === 'resume' ? `rollback to ${target.to}` : `rollback ${target.end}`;
  const isWished = isBare || reading.takeDue(wish);
  const isFailed =
    reading.isForward() && target.end === 'failed' && model.stages.some((s) => s.status === 'failed');
  const isLate =
    cause.code === 'workflow_timeout' && reading.isOver(model.deadlineAt) && target.end === 'failed';
  demand(isWished || isFailed || isLate, 'a plan that nothing calls for');
  demand(
    model.stages.every(({ status }) => status !== 'running'),
    'a plan while a stage is at work',
  );
  const floor = target.end === 'resume' ? (model.stage(target.to).completion ?? 0) : 0;
  const expected = expectedPlan(reading, floor, isBare);
  const text = (list: typeof expected) => list.map(({ stage, skip }) => `${stage}${skip ?? ''}`).join('; ');
  demand(text(expected) === text([...entries]), `the plan is ${text([...entries])}, not ${text(expected)}`);
  const isPast = reading.passed().some(({ completion }) => completion === null || completion > floor);
  demand(!isPast || entries.every(({ skip }) => skip !== null), 'a plan to take back a point of no return');
  for (const { stage, skip } of entries)
    model.setUndo(model.stage(stage), skip === null ? 'planned' : 'skipped');
  model.become('compensating');
  model.rollback = { target, order: entries.map(({ stage }) => stage), plannedAt: reading.at };
  if (target.end === 'resume') return;
  for (const { name, status } of model.stages) {
    if (status === 'pending' || status === 'waiting_approval') reading.due.push(`skip ${name}`);
  }
}

/** One at a time, or as far as no stage that builds upon it is still to be taken back. */
function mayStart({ model }: Reading, stage: ModelStage): boolean {
  if (stage.undo !== 'planned' || model.rollback === null || hasEnded(model)) return false;
  const open = model.rollback.order.map((name) => model.stage(name)).filter((other) => !isSettled(other));
  const { sagaParallelism } = model.template;
  if (sagaParallelism === 1) return open[0] === stage;
  if (open.filter(({ undo }) => undo === 'running').length >= sagaParallelism) return false;
  return !open.some((other) => other !== stage && buildsUpon(model.template.stages, other.name, stage.name));
}

/** Whether `below` has to be completed before `name`, directly or through others. */
export function buildsUpon(
  stages: readonly { name: string; needs: readonly string[] }[],
  name: string,
  below: string,
): boolean {
  const needs = stages.find((stage) => stage.name === name)?.needs ?? [];
  return needs.some((need) => need === below || buildsUpon(stages, need, below));
}

function goOn(reading: Reading, { to }: EventOf<'rollback_completed'>): void {
  const { model, at } = reading;
  const { rollback } = model;
  demand(
    rollback?.target.end === 'resume' && rollback.target.to === to,
    'it goes on where nobody wanted it to',
  );
  for (const name of rollback.order) {
    const stage = model.stage(name);
    demand(stage.status === 'pending' && stage.undo === 'none', `it goes on without stage ${name}`);
  }
  const isClean = model.stages.every(
    ({ status, block }) => status !== 'failed' && status !== 'waiting_approval' && block === null,
  );
  demand(isClean, 'it goes on with a stage as it was before');
  if (model.deadlineAt !== null) model.deadlineAt += at - rollback.plannedAt;
  model.rollback = null;
  model.become('active');
}

/** At the end of a commit: what can be started or ended on the way back was. */
export function checkUndo(reading: Reading): void {
  const { model } = reading;
  for (const stage of model.stages) {
    const isOver = stage.undo === 'running' && (isUndone(stage) || hasGivenUp(stage));
    demand(!isOver, `the compensation of stage ${stage.name} is over and not ended`);
    demand(!mayStart(reading, stage), `the compensation of stage ${stage.name} could begin and does not`);
  }
  if (model.rollback === null || hasEnded(model)) return;
  demand(
    model.stages.every(({ status }) => status !== 'running'),
    'a stage is at work during a rollback',
  );
  const isStuck =
    model.rollback.target.end === 'resume' && model.stages.some((s) => s.undo === 'dead_lettered');
  if (!model.stages.every(isSettled)) {
    const isLegal =
      model.status === 'compensating' ||
      (model.status === 'blocked' && model.rollback.target.end === 'resume');
    demand(isLegal, `it is ${model.status} while it is taken back`);
  } else {
    demand(isStuck, 'everything is taken back and it does not end');
    demand(model.status === 'blocked', `it is ${model.status} with a dead letter in its way`);
  }
}
