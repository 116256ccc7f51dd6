/** The fold: the only way state changes. Total over events; an illegal transition is a programmer error. */
import { NOTHING_SPENT } from './budget.js';
import { assert } from './errors.js';
import type { Entry, WorkflowEvent } from './events.js';
import {
  continued,
  evolveCompensation,
  evolveTask,
  newTask,
  renumbered,
  toCompensation,
} from './evolve-task.js';
import {
  type CompensationState,
  INSTANCE_TRANSITIONS,
  type InstanceStatus,
  STAGE_TRANSITIONS,
  type StageState,
  type StageStatus,
  type WorkflowInstance,
} from './instance.js';
import type { InstanceId } from './names.js';
import { type StageTemplate, stageTemplateOf, type WorkflowTemplate } from './template.js';

export interface EventMeta {
  readonly id: InstanceId;
  readonly at: number;
}

type EventOf<T extends WorkflowEvent['type']> = Extract<WorkflowEvent, { type: T }>;
type Change = Exclude<WorkflowEvent, { type: 'workflow_created' }>;

export function evolve(
  template: WorkflowTemplate,
  instance: WorkflowInstance | null,
  event: WorkflowEvent,
  meta: EventMeta,
): WorkflowInstance {
  if (event.type === 'workflow_created') {
    assert(instance === null, 'an instance is created once');
    return created(template, event, meta);
  }
  assert(instance !== null, `\`${event.type}\` before \`workflow_created\``);
  const next = changed(template, instance, event, meta.at);
  return { ...next, seq: instance.seq + 1, updatedAt: meta.at };
}

/** Folds one commit. */
export function applyEntry(
  template: WorkflowTemplate,
  instance: WorkflowInstance | null,
  entry: Pick<Entry, 'instance' | 'revision' | 'firstSeq' | 'at' | 'events'>,
): WorkflowInstance {
  let state = instance;
  for (const event of entry.events)
    state = evolve(template, state, event, { id: entry.instance, at: entry.at });
  assert(state !== null, 'an entry has events');
  return { ...state, revision: entry.revision };
}

function created(
  template: WorkflowTemplate,
  event: EventOf<'workflow_created'>,
  meta: EventMeta,
): WorkflowInstance {
  return {
    id: meta.id,
    templateName: event.template,
    templateHash: event.templateHash,
    status: 'draft',
    revision: 0,
    seq: 1,
    input: event.input,
    initiator: event.initiator,
    labels: event.labels,
    createdAt: meta.at,
    updatedAt: meta.at,
    endedAt: null,
    deadlineAt: event.deadlineAt,
    error: null,
    stages: template.stages.map((stage) => newStage(stage.name, 1)),
    completions: 0,
    rollback: null,
    retryOf: event.retryOf,
    grants: 0,
  };
}

const NO_COMPENSATION: CompensationState = { status: 'none', tasks: [], reason: null, endedAt: null };

function newStage(name: string, run: number): StageState {
  return {
    name,
    status: 'pending',
    run,
    approval: null,
    permits: [],
    block: null,
    startedAt: null,
    endedAt: null,
    deadlineAt: null,
    completion: null,
    tasks: [],
    error: null,
    compensation: NO_COMPENSATION,
    spent: NOTHING_SPENT,
    grants: 0,
  };
}

function changed(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  event: Change,
  at: number,
): WorkflowInstance {
  switch (event.type) {
    case 'workflow_started':
    case 'workflow_waiting':
    case 'workflow_blocked':
    case 'workflow_resumed':
    case 'workflow_completed':
    case 'workflow_failed':
    case 'workflow_cancelled':
      return evolveStatus(instance, event, at);
    case 'compensation_planned':
      return planned(instance, event, at);
    case 'rollback_completed':
      return wentOn(instance, at);
    case 'budget_granted':
      return granted(instance, event);
    case 'action_authorized':
    case 'late_result_ignored':
      return instance;
    case 'stage_completed':
    case 'stage_carried_over':
      return completed(template, instance, event, at);
    case 'task_dispatched':
    case 'task_started':
    case 'step_completed':
    case 'task_completed':
    case 'task_failed':
    case 'task_interrupted':
    case 'task_cancelled':
      return withStage(instance, event.stage, (stage) => evolveTask(stage, event, at));
    case 'compensation_started':
    case 'stage_compensated':
    case 'compensation_dead_lettered':
    case 'dead_letter_retried':
    case 'dead_letter_resolved':
      return withStage(instance, event.stage, (stage) => ({
        ...stage,
        compensation: evolveCompensation(
          stageTemplateOf(template, event.stage),
          stage.compensation,
          event,
          at,
        ),
      }));
    default:
      return withStage(instance, event.stage, (stage) =>
        evolveStage(stageTemplateOf(template, event.stage), stage, event, at),
      );
  }
}

function evolveStatus(
  instance: WorkflowInstance,
  event: Extract<Change, { type: `workflow_${string}` }>,
  at: number,
): WorkflowInstance {
  switch (event.type) {
    case 'workflow_started':
      return moved(instance, 'active');
    case 'workflow_waiting':
      return moved(instance, 'waiting_approval');
    case 'workflow_blocked':
      return moved(instance, 'blocked');
    case 'workflow_resumed':
      return { ...moved(instance, 'active'), deadlineAt: event.deadlineAt };
    case 'workflow_completed':
      return { ...moved(instance, 'completed'), endedAt: at };
    case 'workflow_failed':
      return takenBack(instance, 'failed', at);
    case 'workflow_cancelled':
      return takenBack(instance, 'cancelled', at);
  }
}

function takenBack(instance: WorkflowInstance, to: 'failed' | 'cancelled', at: number): WorkflowInstance {
  assert(instance.rollback !== null, 'what does not complete is taken back');
  return { ...moved(instance, to), endedAt: at, error: instance.rollback.cause };
}

function moved(instance: WorkflowInstance, to: InstanceStatus): WorkflowInstance {
  const legal: readonly string[] = INSTANCE_TRANSITIONS[instance.status];
  assert(legal.includes(to), `instance can't go from ${instance.status} to ${to}`);
  return { ...instance, status: to };
}

function granted(instance: WorkflowInstance, event: EventOf<'budget_granted'>): WorkflowInstance {
  const { scope, grants, fromAt } = event;
  if (scope === 'shared') {
    assert(fromAt !== undefined, 'what is shared is granted for a window');
    return { ...instance, sharedGrants: { fromAt, count: grants } };
  }
  if (scope === 'workflow') return { ...instance, grants };
  return withStage(instance, event.stage, (stage) => ({ ...stage, grants }));
}

/** The time that a partial rollback took does not count against the instance's deadline. */
function wentOn(instance: WorkflowInstance, at: number): WorkflowInstance {
  assert(instance.rollback !== null, 'a rollback was planned');
  const tookMs = at - instance.rollback.plannedAt;
  const deadlineAt = instance.deadlineAt === null ? null : instance.deadlineAt + tookMs;
  return { ...moved(instance, 'active'), rollback: null, deadlineAt };
}

function planned(
  instance: WorkflowInstance,
  event: EventOf<'compensation_planned'>,
  at: number,
): WorkflowInstance {
  const skips = new Map(event.entries.map((entry) => [entry.stage, entry.skip]));
  const stages = instance.stages.map((stage) => {
    const skip = skips.get(stage.name);
    if (skip === undefined) return stage;
    const to = toCompensation(stage.compensation, skip === null ? 'planned' : 'skipped');
    return { ...stage, compensation: { ...to, reason: skip, endedAt: skip === null ? null : at } };
  });
  const order = event.entries.map((entry) => entry.stage);
  const rollback = { target: event.target, cause: event.cause, plannedAt: at, order };
  return { ...moved(instance, 'compensating'), stages, rollback };
}

function completed(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  event: EventOf<'stage_completed' | 'stage_carried_over'>,
  at: number,
): WorkflowInstance {
  const completion = instance.completions + 1;
  const next = withStage(instance, event.stage, (stage) => {
    const done = { ...toStatus(stage, 'completed'), endedAt: at, completion };
    if (event.type === 'stage_completed') return done;
    const tasks = stageTemplateOf(template, event.stage).agents.map((role) => {
      const from = event.artifacts.find((item) => item.role === role);
      return {
        ...newTask(role),
        status: 'completed' as const,
        artifacts: from?.artifacts ?? [],
        output: from?.output ?? null,
        endedAt: at,
      };
    });
    return { ...done, tasks };
  });
  return { ...next, completions: completion };
}

type StageEvent = EventOf<
  | 'stage_authorized'
  | 'approval_requested'
  | 'approval_given'
  | 'approval_rejected'
  | 'approval_expired'
  | 'stage_started'
  | 'stage_blocked'
  | 'stage_unblocked'
  | 'stage_failed'
  | 'stage_skipped'
  | 'stage_reset'
>;

function evolveStage(template: StageTemplate, stage: StageState, event: StageEvent, at: number): StageState {
  switch (event.type) {
    case 'stage_authorized':
      return event.decision.effect === 'allow'
        ? { ...stage, permits: [...stage.permits, event.action] }
        : stage;
    case 'approval_requested':
    case 'approval_given':
    case 'approval_rejected':
    case 'approval_expired':
      return evolveApproval(stage, event, at);
    case 'stage_started':
      return {
        ...toStatus(stage, 'running'),
        startedAt: at,
        deadlineAt: event.deadlineAt,
        tasks: template.agents.map((role) => stage.tasks.find((task) => task.role === role) ?? newTask(role)),
      };
    case 'stage_blocked':
      return { ...stage, block: event.block };
    case 'stage_unblocked':
      // the policy's word is asked for again
      return { ...stage, block: null, permits: [] };
    case 'stage_failed':
      // what it waited for no longer matters
      return { ...toStatus(stage, 'failed'), endedAt: at, error: event.error, block: null };
    case 'stage_skipped':
      return { ...toStatus(stage, 'skipped'), endedAt: at };
    case 'stage_reset':
      return reset(stage);
  }
}

/**
 * A stage that was taken back starts a new run, that is another effect; one that was not goes on with the run it is in, so that what
 * completed does not run again and the rest keeps its idempotency key. Attempt numbers go on either way: the late result of an
 * attempt before the reset must not pass for one after it.
 */
function reset(stage: StageState): StageState {
  // what a run before has used was used all the same
  const { spent, grants } = stage;
  const fresh = { ...newStage(stage.name, stage.run), spent, grants };
  const pending = { ...toStatus(stage, 'pending'), ...fresh };
  if (stage.compensation.status === 'none') {
    const { startedAt, compensation } = stage;
    return { ...pending, startedAt, compensation, tasks: stage.tasks.map(continued) };
  }
  const compensation = toCompensation(stage.compensation, 'none');
  return {
    ...pending,
    run: stage.run + 1,
    tasks: stage.tasks.map(renumbered),
    compensation: { ...compensation, tasks: compensation.tasks.map(renumbered), reason: null, endedAt: null },
  };
}

function evolveApproval(
  stage: StageState,
  event: EventOf<'approval_requested' | 'approval_given' | 'approval_rejected' | 'approval_expired'>,
  at: number,
): StageState {
  if (event.type === 'approval_requested') {
    const { digest, deadlineAt } = event;
    const approval = {
      status: 'requested',
      requestedAt: at,
      deadlineAt,
      digest,
      by: null,
      decidedAt: null,
      comment: null,
    } as const;
    return { ...toStatus(stage, 'waiting_approval'), approval };
  }
  assert(stage.approval !== null, `approval of ${stage.name} was requested`);
  const decided = { ...stage.approval, decidedAt: at };
  switch (event.type) {
    case 'approval_given':
      return {
        ...toStatus(stage, 'pending'),
        approval: {
          ...decided,
          status: 'approved',
          by: event.by,
          comment: event.comment,
          digest: event.digest,
        },
      };
    case 'approval_rejected':
      return { ...stage, approval: { ...decided, status: 'rejected', by: event.by, comment: event.reason } };
    case 'approval_expired':
      return event.outcome === 'approve'
        ? { ...toStatus(stage, 'pending'), approval: { ...decided, status: 'approved' } }
        : { ...stage, approval: { ...decided, status: 'expired' } };
  }
}

function toStatus(stage: StageState, to: StageStatus): StageState {
  const legal: readonly string[] = STAGE_TRANSITIONS[stage.status];
  assert(legal.includes(to), `stage ${stage.name} can't go from ${stage.status} to ${to}`);
  return { ...stage, status: to };
}

function withStage(
  instance: WorkflowInstance,
  name: string,
  change: (stage: StageState) => StageState,
): WorkflowInstance {
  const index = instance.stages.findIndex((stage) => stage.name === name);
  const stage = instance.stages[index];
  assert(stage !== undefined, `the instance has a stage ${name}`);
  return { ...instance, stages: instance.stages.with(index, change(stage)) };
}
