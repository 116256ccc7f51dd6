/** The reference model's part about tasks and attempts. */
import type { WorkflowEvent } from '../../src/core/events.js';
import type { Reading } from './model.js';
import { isCutOff, isSpent } from './model-budget.js';
import { demand, isInFlight, type ModelStage, type ModelTask } from './model-state.js';

const TASK_EVENTS = [
  'task_dispatched',
  'task_started',
  'step_completed',
  'task_completed',
  'task_failed',
  'task_interrupted',
  'task_cancelled',
] as const;
type TaskEvent = Extract<WorkflowEvent, { type: (typeof TASK_EVENTS)[number] }>;
type EventOf<T extends TaskEvent['type']> = Extract<TaskEvent, { type: T }>;

export function isTaskEvent(event: WorkflowEvent): event is TaskEvent {
  return (TASK_EVENTS as readonly string[]).includes(event.type);
}

export function applyTaskEvent(reading: Reading, event: TaskEvent): void {
  const { model, at } = reading;
  const task = model.task(event);
  const where = `${event.type} of ${event.stage}/${event.role}/${event.kind}#${event.attempt}`;
  if (event.type === 'task_dispatched') return dispatch(reading, task, event, where);
  demand(event.attempt === task.attempt, `${where}: attempt ${task.attempt} is the current one`);
  const wasInFlight = isInFlight(task);
  applyToCurrent(reading, task, event, where);
  const hasEnded = wasInFlight && !isInFlight(task);
  if (event.kind === 'execute' && hasEnded) model.stage(event.stage).usedMs += at - task.dispatchedAt;
}

function applyToCurrent(
  reading: Reading,
  task: ModelTask,
  event: Exclude<TaskEvent, EventOf<'task_dispatched'>>,
  where: string,
): void {
  const { model, oracle } = reading;
  const key = keyOf(reading, event);
  switch (event.type) {
    case 'task_started':
      demand(task.status === 'dispatched', `${where}: it is ${task.status}`);
      return model.setTask(task, 'running');
    case 'step_completed':
      return demand(isInFlight(task), `${where}: it is ${task.status}`);
    case 'task_completed':
      demand(isInFlight(task), `${where}: it is ${task.status}`);
      demand(
        oracle.answersOf(`${key}#${event.attempt}`, 'completed') !== undefined,
        `${where}: nobody said so`,
      );
      return end(reading, task, 'completed');
    case 'task_failed':
      return fail(reading, task, event, where);
    case 'task_interrupted':
      demand(isInFlight(task), `${where}: it is ${task.status}`);
      demand(
        isCutOff(reading, model.stage(event.stage), event.kind, event.reason) ||
          oracle.canBeLost(`${key}#${event.attempt}`, event.reason),
        `${where}: it is not lost`,
      );
      task.deadlineAt = null;
      return model.setTask(task, 'pending');
    case 'task_cancelled':
      demand(
        event.kind === 'execute' && (isInFlight(task) || task.status === 'pending'),
        `${where}: it has ended`,
      );
      demand(model.stage(event.stage).status !== 'completed', `${where}: its stage is done`);
      return end(reading, task, 'cancelled');
  }
}

function end(reading: Reading, task: ModelTask, status: 'completed' | 'failed' | 'cancelled'): void {
  reading.model.setTask(task, status);
  task.retryAt = null;
  task.deadlineAt = null;
}

export function keyOf({ model, id }: Reading, at: { stage: string; role: string; kind: string }): string {
  const { run } = model.stage(at.stage);
  return `${id}/${at.stage}/${at.role}/${at.kind}${run > 1 ? `/${run}` : ''}`;
}

/** The task is one of those that an agent is wanted for now. */
function isAwaiting({ at }: Reading, stage: ModelStage, task: ModelTask, kind: string): boolean {
  if (task.status !== 'pending' || (task.retryAt !== null && task.retryAt > at)) return false;
  const isUndo = kind === 'compensate';
  if (isUndo ? stage.undo !== 'running' : stage.status !== 'running' || stage.block !== null) return false;
  const tasks = isUndo ? stage.undoTasks : stage.tasks;
  const open = tasks.filter((other) => other.status === 'pending' || isInFlight(other));
  return open.indexOf(task) < (isUndo ? 1 : stage.template.maxParallel);
}

function dispatch(reading: Reading, task: ModelTask, event: EventOf<'task_dispatched'>, where: string): void {
  const { model, at, oracle } = reading;
  const stage = model.stage(event.stage);
  demand(isAwaiting(reading, stage, task, event.kind), `${where}: nobody is wanted for it`);
  demand(event.attempt === task.attempt + 1, `${where}: ${task.attempt + 1} is the next one`);
  demand(event.idempotencyKey === keyOf(reading, event), `${where}: with the key ${event.idempotencyKey}`);
  demand(
    oracle.agentServes(event.assignment.agent, event.role),
    `${where}: the agent does not serve the role`,
  );
  demand(event.kind === 'compensate' || !isSpent(reading, stage), `${where}: its budget is used up`);
  const deadlineAt = event.kind === 'compensate' ? at + stage.template.compensationTimeoutMs : null;
  demand(event.deadlineAt === deadlineAt, `${where}: with another time limit`);
  model.setTask(task, 'dispatched');
  Object.assign(task, { attempt: event.attempt, retryAt: null, deadlineAt, dispatchedAt: at });
}

function fail(reading: Reading, task: ModelTask, event: EventOf<'task_failed'>, where: string): void {
  const { model, at, oracle } = reading;
  const stage = model.stage(event.stage);
  const isUndo = event.kind === 'compensate';
  let said: ReadonlySet<boolean> = new Set([true]);
  if (isUndo && event.error.code === 'role_unserved') {
    demand(isAwaiting(reading, stage, task, event.kind), `${where}: nobody is wanted for it`);
  } else {
    demand(isInFlight(task), `${where}: it is ${task.status}`);
    if (isUndo && event.error.code === 'agent_timeout') {
      demand(reading.isOver(task.deadlineAt), `${where}: its time is not over`);
    } else {
      const answers = oracle.answersOf(`${keyOf(reading, event)}#${event.attempt}`, 'failed');
      demand(answers !== undefined, `${where}: nobody said so`);
      said = answers;
    }
  }
  task.failures += 1;
  const policy = isUndo ? stage.template.compensationRetry : stage.template.retry;
  const isLast = event.retryAt === null;
  demand(
    [...said].some((isRetryable) => isLast === (!isRetryable || task.failures >= policy.maxAttempts)),
    `${where}: after ${task.failures} of ${policy.maxAttempts} failures`,
  );
  if (isLast) {
    end(reading, task, 'failed');
    if (!isUndo) reading.due.push(`fail ${event.stage}`);
    return;
  }
  const full = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (task.failures - 1));
  const waitMs = (event.retryAt ?? 0) - at;
  const isWithin = waitMs >= Math.floor(full * (1 - policy.jitter)) && waitMs <= Math.ceil(full);
  demand(isWithin, `${where}: the next attempt is ${waitMs} ms away, of ${full}`);
  model.setTask(task, 'pending');
  Object.assign(task, { retryAt: event.retryAt, deadlineAt: null });
}
