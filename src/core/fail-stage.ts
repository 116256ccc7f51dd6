/** How an attempt and a stage fail. */
import { backoffMs } from './backoff.js';
import type { AttemptUsage } from './budget.js';
import type { Draft } from './draft.js';
import type { Failure } from './errors.js';
import { type BlobRef, isInFlight, type TaskAddress, type TaskState } from './instance.js';

/** Fails a stage for good: what it has in flight is called off first. */
export function failStage(draft: Draft, name: string, error: Failure): void {
  cancelTasks(draft, name);
  draft.emit({ type: 'stage_failed', stage: name, error });
}

function cancelTasks(draft: Draft, name: string): void {
  for (const task of draft.stage(name).tasks) {
    if (task.status === 'pending' || isInFlight(task)) {
      const { role, attempt } = task;
      draft.emit({ type: 'task_cancelled', stage: name, role, kind: 'execute', attempt });
    }
  }
}

/** Ends the current attempt; another follows while the failure is retryable and the stage's policy has attempts left. */
export function failAttempt(
  draft: Draft,
  at: TaskAddress,
  task: TaskState,
  outcome: {
    readonly error: Failure;
    readonly isRetryable: boolean;
    readonly log: BlobRef | null;
    readonly usage?: AttemptUsage;
  },
): void {
  const { stage, role, kind } = at;
  const { error, log, usage } = outcome;
  const template = draft.stageTemplate(stage);
  const policy = kind === 'execute' ? template.retry : template.compensationRetry;
  const failures = task.failures + 1;
  const isLast = !outcome.isRetryable || failures >= policy.maxAttempts;
  const retryAt = isLast ? null : draft.now + backoffMs(policy, failures, draft.moment.random);
  const { attempt } = task;
  const used = usage === undefined ? {} : { usage };
  draft.emit({ type: 'task_failed', stage, role, kind, attempt, error, retryAt, log, ...used });
  if (isLast && kind === 'execute') failStage(draft, stage, error);
}
