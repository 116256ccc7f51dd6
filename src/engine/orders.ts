/** The order that an agent gets for one attempt, derived from the state. */
import { cutOffAt } from '../core/budget.js';
import { assert } from '../core/errors.js';
import {
  findStage,
  findTask,
  idempotencyKey,
  type TaskAddress,
  type WorkflowInstance,
} from '../core/instance.js';
import type { EngineObserver, InputArtifact, TaskOrder } from '../core/ports.js';
import { ancestorsOf, type WorkflowTemplate } from '../core/template.js';

/** Unique to the attempt: `<idempotency key>#<attempt>`. */
export function taskIdOf(instance: WorkflowInstance, at: TaskAddress, attempt: number): string {
  return `${idempotencyKey(instance, at)}#${attempt}`;
}

export function orderOf(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  at: TaskAddress,
  observer: EngineObserver,
): TaskOrder {
  const task = findTask(instance, at);
  assert(task?.agent != null, 'only a dispatched task has an order');
  const before = ancestorsOf(template, at.stage);
  const isCompensation = at.kind === 'compensate';
  const taskId = taskIdOf(instance, at, task.attempt);
  return {
    type: isCompensation ? 'compensation' : 'task',
    task_id: taskId,
    workflow_id: instance.id,
    workflow: template.name,
    stage_name: at.stage,
    role: at.role,
    attempt: task.attempt,
    idempotency_key: idempotencyKey(instance, at),
    agent: task.agent,
    input: instance.input,
    artifacts: artifactsOf(instance, (stage) => before.has(stage)),
    steps: task.steps,
    initiator: instance.initiator.user,
    labels: Object.fromEntries(instance.labels),
    reason: isCompensation ? (instance.rollback?.cause.message ?? '') : null,
    artifacts_to_undo: isCompensation ? artifactsOf(instance, (stage) => stage === at.stage) : [],
    traceparent: observer.traceparent(instance.id, taskId),
    deadline_at: isCompensation ? task.deadlineAt : deadlineOf(template, instance, at.stage),
  };
}

/** Of an attempt that carries the stage out. */
function deadlineOf(template: WorkflowTemplate, instance: WorkflowInstance, stage: string): number | null {
  const times = [findStage(instance, stage)?.deadlineAt, cutOffAt(template, instance, stage)];
  const known = times.filter((at) => at != null);
  return known.length === 0 ? null : Math.min(...known);
}

/** In the order in which the stages completed; those of a stage that did not complete come last. */
export function artifactsOf(
  instance: WorkflowInstance,
  isWanted: (stage: string) => boolean,
): InputArtifact[] {
  return instance.stages
    .filter((stage) => isWanted(stage.name))
    .sort((a, b) => (a.completion ?? Number.MAX_SAFE_INTEGER) - (b.completion ?? Number.MAX_SAFE_INTEGER))
    .flatMap((stage) =>
      stage.tasks.flatMap((task) =>
        task.artifacts.map((artifact) => ({ ...artifact, stage: stage.name, role: task.role })),
      ),
    );
}
