/** What happens, given what is. Pure: the same instance, input and moment give the same events. */
import { expire } from './deadlines.js';
import { Draft } from './draft.js';
import { asksFor } from './effects.js';
import { assert, failure, VaporaError } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { applyEntry } from './evolve.js';
import { failAttempt, failStage } from './fail-stage.js';
import { advance, stopIfOverspent } from './forward.js';
import type { Moment, WorkflowInput } from './inputs.js';
import {
  type BlobRef,
  type Decision,
  findTask,
  idempotencyKey,
  isInFlight,
  isTerminal,
  type Principal,
  type TaskAddress,
  type TaskState,
  type WorkflowInstance,
} from './instance.js';
import type { InstanceId } from './names.js';
import { decideWish } from './operator.js';
import { carriedOver } from './retry.js';
import type { WorkflowTemplate } from './template.js';

export interface CreateInput {
  readonly id: InstanceId;
  readonly input: BlobRef;
  readonly initiator: Principal;
  readonly labels: readonly (readonly [string, string])[];
  readonly decision: Decision;
  /** The ended instance that the new one goes on from. */
  readonly retryOf: WorkflowInstance | null;
}

/** Events of a new instance, created and started at once. The caller has seen to it that the start is allowed. */
export function decideCreate(
  template: WorkflowTemplate,
  create: CreateInput,
  moment: Moment,
): readonly WorkflowEvent[] {
  assert(create.decision.effect === 'allow', 'a denied start makes no instance');
  const { id, input, initiator, labels, decision, retryOf } = create;
  const first: WorkflowEvent = {
    type: 'workflow_created',
    template: template.name,
    templateHash: template.hash,
    input,
    initiator,
    labels,
    deadlineAt: template.timeoutMs === null ? null : moment.now + template.timeoutMs,
    retryOf: retryOf?.id ?? null,
    decision,
  };
  const state = applyEntry(template, null, {
    instance: id,
    revision: 0,
    firstSeq: 1,
    at: moment.now,
    events: [first],
  });
  const draft = new Draft(template, state, moment);
  draft.emit({ type: 'workflow_started' });
  if (retryOf !== null) for (const event of carriedOver(template, retryOf)) draft.emit(event);
  advance(draft);
  return [first, ...draft.events];
}

/**
 * Events that the input leads to; none if it changes nothing. Throws `VaporaError` where a caller's wish can't be granted as things
 * are (`not_waiting`, `instance_ended`, `point_of_no_return`, …); inputs of agents, timers and the authorizer never throw.
 */
export function decide(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  input: WorkflowInput,
  moment: Moment,
): readonly WorkflowEvent[] {
  return decideNext(template, instance, input, moment).events;
}

export interface Decided {
  readonly events: readonly WorkflowEvent[];
  /** What the events lead to; folding them again would give the same. Its `revision` is still the given one. */
  readonly state: WorkflowInstance;
}

/** {@link decide}, for who needs the state as well. */
export function decideNext(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  input: WorkflowInput,
  moment: Moment,
): Decided {
  const draft = new Draft(template, instance, moment);
  apply(draft, input);
  if (draft.events.length > 0) advance(draft);
  return draft;
}

function apply(draft: Draft, input: WorkflowInput): void {
  switch (input.type) {
    case 'authorization':
      return onAuthorization(draft, input);
    case 'assigned':
      return onAssigned(draft, input);
    case 'unserved':
      return onUnserved(draft, input);
    case 'served':
      return onServed(draft, input.role);
    case 'started':
    case 'step':
    case 'succeeded':
    case 'failed':
    case 'lost':
      return onAttempt(draft, input);
    case 'tick':
      return expire(draft);
    default:
      return decideWish(draft, input);
  }
}

type InputOf<T extends WorkflowInput['type']> = Extract<WorkflowInput, { type: T }>;

function onAuthorization(draft: Draft, input: InputOf<'authorization'>): void {
  const { stage, action, decision } = input;
  if (!asksFor(draft.template, draft.state, { type: 'authorize', stage, action }, draft.now)) return;
  draft.emit({ type: 'stage_authorized', stage, action, decision });
  if (decision.effect === 'allow') return;
  const message = `\`${action}\` of stage \`${stage}\` is denied: ${decision.reason}`;
  if (draft.template.onDeny === 'compensate') {
    failStage(draft, stage, failure('unauthorized', message));
  } else {
    draft.emit({ type: 'stage_blocked', stage, block: { code: 'denied', message } });
  }
}

/** An agent for the task is found, or will never be, if the state still asks for one: otherwise the answer came too late. */
function awaitingTask(draft: Draft, { stage, role, kind }: TaskAddress): TaskState | undefined {
  const isAwaiting = asksFor(draft.template, draft.state, { type: 'assign', stage, role, kind }, draft.now);
  return isAwaiting ? findTask(draft.state, { stage, role, kind }) : undefined;
}

function onAssigned(draft: Draft, input: InputOf<'assigned'>): void {
  const task = awaitingTask(draft, input);
  if (task === undefined) return;
  const { stage, role, kind, assignment } = input;
  // since it was asked for, others may have used what they share
  if (kind === 'execute' && stopIfOverspent(draft, stage)) return;
  const timeoutMs = kind === 'compensate' ? draft.stageTemplate(stage).compensationTimeoutMs : null;
  draft.emit({
    type: 'task_dispatched',
    stage,
    role,
    kind,
    attempt: task.attempt + 1,
    assignment,
    idempotencyKey: idempotencyKey(draft.state, input),
    deadlineAt: timeoutMs === null ? null : draft.now + timeoutMs,
  });
}

/** Nobody will ever serve the role: forward, an operator decides; on the way back it counts as a failed try, so that the rest goes on. */
function onUnserved(draft: Draft, input: InputOf<'unserved'>): void {
  const task = awaitingTask(draft, input);
  if (task === undefined) return;
  const message = `no agent serves role \`${input.role}\` of stage \`${input.stage}\``;
  if (input.kind === 'compensate')
    return failAttempt(draft, input, task, {
      error: failure('role_unserved', message),
      isRetryable: true,
      log: null,
    });
  draft.emit({
    type: 'stage_blocked',
    stage: input.stage,
    block: { code: 'role_unserved', message, role: input.role },
  });
}

function onServed(draft: Draft, role: string): void {
  if (isTerminal(draft.state.status)) return;
  for (const stage of draft.state.stages) {
    if (stage.block?.role === role) draft.emit({ type: 'stage_unblocked', stage: stage.name });
  }
}

/** More than any series of restarts brings about: the task itself brings its agent down. */
export const MAX_INTERRUPTIONS = 100;

function onLost(draft: Draft, input: InputOf<'lost'>, task: TaskState): void {
  const { stage, role, kind, attempt, reason } = input;
  if (task.interruptions + 1 < MAX_INTERRUPTIONS) {
    draft.emit({ type: 'task_interrupted', stage, role, kind, attempt, reason });
    return;
  }
  const error = failure(
    'agent_lost',
    `lost with its agent ${MAX_INTERRUPTIONS} times, at last because ${reason}`,
  );
  failAttempt(draft, input, task, { error, isRetryable: false, log: null });
}

function onAttempt(draft: Draft, input: InputOf<'started' | 'step' | 'succeeded' | 'failed' | 'lost'>): void {
  const { stage, role, kind, attempt } = input;
  const task = findTask(draft.state, input);
  if (task === undefined || task.attempt !== attempt || !isInFlight(task)) {
    const isOutcome = input.type === 'succeeded' || input.type === 'failed';
    const wasGiven = task !== undefined && attempt <= task.attempt;
    if (!isOutcome || !wasGiven || isTerminal(draft.state.status)) return;
    const outcome = input.type === 'succeeded' ? 'completed' : 'failed';
    draft.emit({ type: 'late_result_ignored', stage, role, kind, attempt, outcome });
    return;
  }
  const at = { stage, role, kind, attempt };
  switch (input.type) {
    case 'started':
      if (task.status === 'dispatched') draft.emit({ type: 'task_started', ...at });
      return;
    case 'step':
      if (task.steps.some((step) => step.name === input.result.name)) return;
      draft.emit({ type: 'step_completed', ...at, ...input.result });
      return;
    case 'succeeded':
      draft.emit({
        type: 'task_completed',
        stage,
        role,
        kind,
        attempt,
        artifacts: input.artifacts,
        output: input.output,
        log: input.log,
        ...(input.usage === undefined ? {} : { usage: input.usage }),
      });
      return;
    case 'failed':
      return failAttempt(draft, input, task, input);
    case 'lost':
      return onLost(draft, input, task);
  }
}

/** The error that a recorded denial of a wish is for its caller. */
export function denied(action: string, decision: Decision): VaporaError {
  return new VaporaError('unauthorized', `\`${action}\` is denied: ${decision.reason}`);
}
