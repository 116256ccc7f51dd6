/** The saga's face in the shell: what a rollback would do, and figures of those that were done. The decisions are `core/saga.ts`'s. */
import type { RollbackPreview } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { EventRecord } from '../core/events.js';
import { findStage, isTerminal, type RollbackTarget, type WorkflowInstance } from '../core/instance.js';
import { planEntries } from '../core/saga.js';
import type { WorkflowTemplate } from '../core/template.js';

/** Counted since the engine was opened. */
export interface SagaMetrics {
  readonly planned: number;
  readonly dispatched: number;
  readonly compensated: number;
  readonly failedAttempts: number;
  readonly deadLettered: number;
  readonly resolved: number;
  /** Milliseconds between plan and end, summed over the rollbacks that ended. */
  readonly inconsistentMs: number;
}

export class SagaCompensator {
  readonly #metrics = {
    planned: 0,
    dispatched: 0,
    compensated: 0,
    failedAttempts: 0,
    deadLettered: 0,
    resolved: 0,
    inconsistentMs: 0,
  };
  readonly #plannedAt = new Map<string, number>();

  metrics(): SagaMetrics {
    return { ...this.#metrics };
  }

  /** What `rollback` would do now. Throws `stage_unknown`, `instance_ended`, `not_rollbackable`. */
  preview(template: WorkflowTemplate, instance: WorkflowInstance, to: string | null): RollbackPreview {
    const { id, status } = instance;
    if (isTerminal(status))
      throw new VaporaError(
        'instance_ended',
        `instance \`${id}\` is ${status}: nothing is left to take back`,
      );
    if (instance.rollback !== null)
      throw new VaporaError('not_rollbackable', `instance \`${id}\` is being taken back already`);
    const target: RollbackTarget = to === null ? { end: 'cancelled' } : { end: 'resume', to };
    const stage = to === null ? undefined : findStage(instance, to);
    if (to !== null && stage === undefined)
      throw new VaporaError('stage_unknown', `instance \`${id}\` has no stage \`${to}\``);
    if (stage !== undefined && stage.status !== 'completed') {
      throw new VaporaError(
        'not_rollbackable',
        `stage \`${stage.name}\` is ${stage.status}, so there is nothing to go back to`,
      );
    }
    const entries = planEntries(template, instance, target).map((entry) => ({
      ...entry,
      agents: template.stages.find((candidate) => candidate.name === entry.stage)?.compensationAgents ?? [],
    }));
    return { target, entries };
  }

  observe(event: EventRecord): void {
    const metrics = this.#metrics;
    switch (event.type) {
      case 'compensation_planned':
        metrics.planned += event.entries.filter((entry) => entry.skip === null).length;
        this.#plannedAt.set(event.workflow_id, event.at);
        break;
      case 'task_dispatched':
        if (event.kind === 'compensate') metrics.dispatched += 1;
        break;
      case 'task_failed':
        if (event.kind === 'compensate') metrics.failedAttempts += 1;
        break;
      case 'stage_compensated':
        metrics.compensated += 1;
        break;
      case 'compensation_dead_lettered':
        metrics.deadLettered += 1;
        break;
      case 'dead_letter_resolved':
        metrics.resolved += 1;
        break;
      case 'workflow_failed':
      case 'workflow_cancelled':
      case 'rollback_completed':
        metrics.inconsistentMs += event.at - (this.#plannedAt.get(event.workflow_id) ?? event.at);
        this.#plannedAt.delete(event.workflow_id);
    }
  }
}
