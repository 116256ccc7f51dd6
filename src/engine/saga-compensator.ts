/** The saga's face in the shell: what a rollback would do, and figures of those that were done. The decisions are `core/saga.ts`'s. */
import type { RollbackPreview } from '../core/api.js';
import { decide } from '../core/decide.js';
import { assert } from '../core/errors.js';
import type { EventRecord } from '../core/events.js';
import type { Moment } from '../core/inputs.js';
import type { Decision, WorkflowInstance } from '../core/instance.js';
import { stageTemplateOf, type WorkflowTemplate } from '../core/template.js';

/** A preview is a matter of reading: whether the rollback itself would be allowed is asked when it is wished for. */
const SUPPOSED: Decision = {
  effect: 'allow',
  policies: [],
  reason: 'supposed, for a preview',
  errors: [],
  policySet: null,
};

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

  /** What `rollback` would do now, by deciding it without committing it. Throws what `rollback` throws. */
  preview(
    template: WorkflowTemplate,
    instance: WorkflowInstance,
    to: string | null,
    moment: Moment,
  ): RollbackPreview {
    const wish = { type: 'rollback', by: instance.initiator, decision: SUPPOSED, to } as const;
    const plan = decide(template, instance, wish, moment).find(
      (event) => event.type === 'compensation_planned',
    );
    assert(plan?.type === 'compensation_planned', 'a rollback that is granted is planned');
    const entries = plan.entries.map((entry) => ({
      ...entry,
      agents: stageTemplateOf(template, entry.stage).compensationAgents,
    }));
    return { target: plan.target, entries };
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
