/** What a new instance takes over from the ended one that it retries. */
import { VaporaError } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { completionOf, type WorkflowInstance } from './instance.js';
import type { WorkflowTemplate } from './template.js';

/**
 * Stages of an ended instance whose effect still stands: completed, not taken back, and built upon nothing that was. Its successor
 * takes them over and runs the rest: a stage that was compensated runs again, and so does every one after it (a test of what is
 * deployed anew has to be made anew).
 */
export function carriedOver(template: WorkflowTemplate, ended: WorkflowInstance): WorkflowEvent[] {
  const kept = new Set<string>();
  // in topological order, so that what a stage needs is decided before it
  for (const { name, needs } of template.stages) {
    const stage = ended.stages.find((candidate) => candidate.name === name);
    const stands = stage?.status === 'completed' && keepsEffect(stage.compensation.status);
    if (stands && needs.every((need) => kept.has(need))) kept.add(name);
  }
  return ended.stages
    .filter((stage) => kept.has(stage.name))
    .sort((a, b) => completionOf(a) - completionOf(b))
    .map((stage) => ({
      type: 'stage_carried_over',
      stage: stage.name,
      artifacts: stage.tasks.map(({ role, artifacts, output }) => ({ role, artifacts, output })),
    }));
}

function keepsEffect(status: WorkflowInstance['stages'][number]['compensation']['status']): boolean {
  return status === 'none' || status === 'skipped';
}

/** Throws `not_retryable` unless the instance failed or was cancelled and has no compensation left open. */
export function refuseUnlessRetryable(ended: WorkflowInstance): void {
  const { id, status } = ended;
  if (status === 'completed')
    throw new VaporaError('not_retryable', `instance \`${id}\` is completed: there is nothing to retry`);
  const open = ended.stages.find((stage) => ['dead_lettered', 'running'].includes(stage.compensation.status));
  if (open === undefined) return;
  throw new VaporaError(
    'not_retryable',
    `stage \`${open.name}\` of instance \`${id}\` is not taken back yet`,
    {
      hint: `retry or resolve its dead letter \`${id}/${open.name}\` first`,
    },
  );
}
