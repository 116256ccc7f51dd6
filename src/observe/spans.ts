/** From commits to spans: instance > stage > attempt, instance > compensation > attempt. Pure. */
import type { WorkflowEvent } from '../core/events.js';
import {
  findStage,
  findTask,
  idempotencyKey,
  type TaskAddress,
  type WorkflowInstance,
} from '../core/instance.js';
import type { Committed } from '../core/ports.js';
import { spanIdOf, traceIdOf } from './trace-ids.js';

/** A span that is over. Times in milliseconds since the epoch. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Code of the error that it ended with; null: it ended well. */
  readonly error: string | null;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Spans that the commit has ended. What began before is known from the state, so an engine that was restarted knows it too. */
export function endedSpans(commit: Committed): EndedSpan[] {
  return commit.events.flatMap((event) => spanOf(event, commit) ?? []);
}

function stageSpanId(instance: WorkflowInstance, stage: string): string {
  return spanIdOf(`${instance.id}/${stage}/stage/${findStage(instance, stage)?.run ?? 1}`);
}

function compensationSpanId(instance: WorkflowInstance, stage: string): string {
  return spanIdOf(`${instance.id}/${stage}/compensation/${findStage(instance, stage)?.run ?? 1}`);
}

function spanOf(event: WorkflowEvent, commit: Committed): EndedSpan | null {
  const { next, at } = commit;
  const common = {
    traceId: traceIdOf(next.id),
    parentId: spanIdOf(next.id),
    endedAt: at,
    attributes: { 'vapora.instance': next.id, 'vapora.workflow': next.templateName },
  };
  switch (event.type) {
    case 'workflow_completed':
    case 'workflow_failed':
    case 'workflow_cancelled':
      return instanceSpan(event.type, commit, common);
    case 'stage_completed':
    case 'stage_failed': {
      const startedAt = findStage(next, event.stage)?.startedAt ?? at;
      const error = event.type === 'stage_failed' ? event.error.code : null;
      const attributes = { ...common.attributes, 'vapora.stage': event.stage };
      return {
        ...common,
        spanId: stageSpanId(next, event.stage),
        name: `stage ${event.stage}`,
        startedAt,
        error,
        attributes,
      };
    }
    case 'stage_compensated':
    case 'compensation_dead_lettered': {
      // from the failure on the stage stands where it should not
      const startedAt = next.rollback?.plannedAt ?? commit.previous?.rollback?.plannedAt ?? at;
      const error = event.type === 'stage_compensated' ? null : event.error.code;
      const attributes = { ...common.attributes, 'vapora.stage': event.stage };
      const spanId = compensationSpanId(commit.previous ?? next, event.stage);
      return { ...common, spanId, name: `compensation ${event.stage}`, startedAt, error, attributes };
    }
    case 'task_completed':
      return attemptSpan(event, null, commit, common);
    case 'task_failed':
      return attemptSpan(event, event.error.code, commit, common);
    case 'task_interrupted':
      return attemptSpan(event, 'agent_lost', commit, common);
    case 'task_cancelled':
      return attemptSpan(event, 'cancelled', commit, common);
    default:
      return null;
  }
}

function instanceSpan(
  type: 'workflow_completed' | 'workflow_failed' | 'workflow_cancelled',
  { next }: Committed,
  common: Pick<EndedSpan, 'traceId' | 'endedAt' | 'attributes'>,
): EndedSpan {
  return {
    ...common,
    spanId: spanIdOf(next.id),
    parentId: null,
    name: `workflow ${next.templateName}`,
    startedAt: next.createdAt,
    error: type === 'workflow_completed' ? null : (next.error?.code ?? 'cancelled'),
    attributes: {
      ...common.attributes,
      'vapora.state': next.status,
      'vapora.initiator': next.initiator.user,
    },
  };
}

function attemptSpan(
  event: TaskAddress & { readonly attempt: number },
  error: string | null,
  { previous }: Committed,
  common: Pick<EndedSpan, 'traceId' | 'endedAt' | 'attributes'>,
): EndedSpan | null {
  // one that was never with an agent is no work of anybody
  const task = previous === null ? undefined : findTask(previous, event);
  if (previous === null || task?.dispatchedAt == null || task.attempt !== event.attempt) return null;
  const { stage, role, kind, attempt } = event;
  const isForward = kind === 'execute';
  return {
    ...common,
    spanId: spanIdOf(`${idempotencyKey(previous, event)}#${attempt}`),
    parentId: isForward ? stageSpanId(previous, stage) : compensationSpanId(previous, stage),
    name: `${isForward ? 'task' : 'undo'} ${role}`,
    startedAt: task.dispatchedAt,
    error,
    attributes: {
      ...common.attributes,
      'vapora.stage': stage,
      'vapora.role': role,
      'vapora.kind': kind,
      'vapora.attempt': attempt,
      'vapora.agent': task.agent ?? '',
    },
  };
}
