/** How events change a task, forward or compensating, and the compensation around it. */
import { plus, type Spent } from './budget.js';
import { assert } from './errors.js';
import type { WorkflowEvent } from './events.js';
import {
  COMPENSATION_TRANSITIONS,
  type CompensationState,
  type CompensationStatus,
  isInFlight,
  type StageState,
  TASK_TRANSITIONS,
  type TaskState,
  type TaskStatus,
} from './instance.js';
import type { StageTemplate } from './template.js';

type EventOf<T extends WorkflowEvent['type']> = Extract<WorkflowEvent, { type: T }>;
type TaskEvent = EventOf<
  | 'task_dispatched'
  | 'task_started'
  | 'step_completed'
  | 'task_completed'
  | 'task_failed'
  | 'task_interrupted'
  | 'task_cancelled'
>;
type CompensationEvent = EventOf<
  | 'compensation_started'
  | 'stage_compensated'
  | 'compensation_dead_lettered'
  | 'dead_letter_retried'
  | 'dead_letter_resolved'
>;

export function newTask(role: string): TaskState {
  return {
    role,
    status: 'pending',
    attempt: 0,
    failures: 0,
    interruptions: 0,
    agent: null,
    retryAt: null,
    deadlineAt: null,
    dispatchedAt: null,
    endedAt: null,
    artifacts: [],
    output: null,
    error: null,
    log: null,
    steps: [],
  };
}

/** The task of a new run: nothing is left of the run before but its last attempt's number. */
export function renumbered(task: TaskState): TaskState {
  return { ...newTask(task.role), attempt: task.attempt };
}

/** The task of a stage that goes on with its run. */
export function continued(task: TaskState): TaskState {
  return task.status === 'completed' ? task : { ...renumbered(task), steps: task.steps };
}

export function evolveTask(stage: StageState, event: TaskEvent, at: number): StageState {
  const tasks = event.kind === 'execute' ? stage.tasks : stage.compensation.tasks;
  const index = tasks.findIndex((task) => task.role === event.role);
  const task = tasks[index];
  assert(task !== undefined, `stage ${stage.name} has a task for ${event.role}`);
  const next = tasks.with(index, changedTask(task, event, at));
  return event.kind === 'execute'
    ? { ...stage, tasks: next, spent: spentAfter(stage.spent, task, event, at) }
    : { ...stage, compensation: { ...stage.compensation, tasks: next } };
}

/** An attempt counts once it has ended, however it did. */
function spentAfter(spent: Spent, task: TaskState, event: TaskEvent, at: number): Spent {
  switch (event.type) {
    case 'task_completed':
    case 'task_failed':
    case 'task_interrupted':
    case 'task_cancelled': {
      // what never was with an agent took nobody's time
      const since = isInFlight(task) ? task.dispatchedAt : null;
      const usage = event.type === 'task_completed' || event.type === 'task_failed' ? event.usage : undefined;
      return plus(spent, usage, since === null ? 0 : at - since);
    }
    default:
      return spent;
  }
}

function changedTask(task: TaskState, event: TaskEvent, at: number): TaskState {
  switch (event.type) {
    case 'task_dispatched': {
      const { attempt, assignment, deadlineAt } = event;
      assert(attempt === task.attempt + 1, 'attempts are numbered without gaps');
      const agent = assignment.agent;
      return {
        ...toStatus(task, 'dispatched'),
        attempt,
        agent,
        deadlineAt,
        dispatchedAt: at,
        retryAt: null,
        log: null,
      };
    }
    case 'task_started':
      return toStatus(task, 'running');
    case 'step_completed':
      return { ...task, steps: [...task.steps, { name: event.name, value: event.value }] };
    case 'task_completed': {
      const { artifacts, output, log } = event;
      return { ...ended(task, 'completed', at), artifacts, output, log, error: null, steps: [] };
    }
    case 'task_failed': {
      const failed = { error: event.error, failures: task.failures + 1, log: event.log };
      if (event.retryAt === null) return { ...ended(task, 'failed', at), ...failed };
      return {
        ...toStatus(task, 'pending'),
        ...failed,
        agent: null,
        deadlineAt: null,
        retryAt: event.retryAt,
      };
    }
    case 'task_interrupted':
      return {
        ...toStatus(task, 'pending'),
        interruptions: task.interruptions + 1,
        agent: null,
        deadlineAt: null,
      };
    case 'task_cancelled':
      return ended(task, 'cancelled', at);
  }
}

function ended(task: TaskState, status: TaskStatus, at: number): TaskState {
  return { ...toStatus(task, status), deadlineAt: null, retryAt: null, endedAt: at };
}

function toStatus(task: TaskState, to: TaskStatus): TaskState {
  const legal: readonly string[] = TASK_TRANSITIONS[task.status];
  assert(legal.includes(to), `task ${task.role} can't go from ${task.status} to ${to}`);
  return { ...task, status: to };
}

export function evolveCompensation(
  template: StageTemplate,
  compensation: CompensationState,
  event: CompensationEvent,
  at: number,
): CompensationState {
  switch (event.type) {
    case 'compensation_started':
      return {
        ...toCompensation(compensation, 'running'),
        tasks: template.compensationAgents.map(
          (role) => compensation.tasks.find((task) => task.role === role) ?? newTask(role),
        ),
      };
    case 'stage_compensated':
      return { ...toCompensation(compensation, 'compensated'), endedAt: at };
    case 'compensation_dead_lettered':
      return { ...toCompensation(compensation, 'dead_lettered'), reason: event.error.message, endedAt: at };
    case 'dead_letter_retried':
      return {
        ...toCompensation(compensation, 'running'),
        reason: null,
        endedAt: null,
        tasks: compensation.tasks.map((task) => (task.status === 'failed' ? again(task) : task)),
      };
    case 'dead_letter_resolved':
      return { ...toCompensation(compensation, 'resolved'), reason: event.reason, endedAt: at };
  }
}

/** The attempt number goes on, so that a late result of an earlier attempt is never taken for this one's. */
function again(task: TaskState): TaskState {
  return { ...toStatus(task, 'pending'), failures: 0, endedAt: null, agent: null };
}

export function toCompensation(compensation: CompensationState, to: CompensationStatus): CompensationState {
  const legal: readonly string[] = COMPENSATION_TRANSITIONS[compensation.status];
  assert(legal.includes(to), `compensation can't go from ${compensation.status} to ${to}`);
  return { ...compensation, status: to };
}
