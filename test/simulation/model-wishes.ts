/** The reference model's part about what people ask for: when it may be granted, and what must follow. */
import type { WorkflowEvent } from '../../src/core/events.js';
import type { Asked, Reading } from './model.js';
import { demand, hasEnded } from './model-state.js';
import type { WishType } from './scenario.js';

export const ACTIONS: Readonly<Record<WishType, string>> = {
  approve: 'approve-stage',
  approve_digest: 'approve-stage',
  approve_stale: 'approve-stage',
  reject: 'reject-stage',
  cancel: 'cancel-workflow',
  cancel_bare: 'cancel-workflow',
  rollback: 'rollback-workflow',
  rollback_to: 'rollback-workflow',
  retry: 'retry-workflow',
  resume: 'resume-workflow',
  retry_letter: 'retry-dead-letter',
  resolve_letter: 'resolve-dead-letter',
};

/** What a person may have looked at again. */
const RESUMABLE: ReadonlySet<string> = new Set(['denied', 'role_unserved', 'budget_exceeded']);

export function applyWish(
  reading: Reading,
  event: Extract<WorkflowEvent, { type: 'action_authorized' }>,
): void {
  const asked = reading.oracle.wishOf(event.by.user);
  demand(asked !== undefined, `nobody called ${event.by.user} has asked for anything`);
  demand(
    ACTIONS[asked.type] === event.action,
    `${event.by.user} asked for ${asked.type}, not ${event.action}`,
  );
  if (event.decision.effect === 'deny') return;
  const { type } = asked;
  switch (type) {
    case 'approve':
    case 'approve_digest':
      reading.due.push(`approve ${asked.stage}`);
      return;
    case 'approve_stale':
      return demand(false, 'an approval of something else is granted');
    case 'reject':
      reading.due.push(`reject ${asked.stage}`);
      return;
    case 'retry_letter':
    case 'resolve_letter':
      demand(reading.model.stage(asked.stage).undo === 'dead_lettered', `${type} of what is no dead letter`);
      reading.due.push(`${type} ${asked.stage}`);
      return;
    case 'retry':
      return retry(reading);
    case 'resume':
      if (hasEnded(reading.model) || reading.model.rollback !== null) return;
      for (const { name, block } of reading.model.stages) {
        if (block !== null && RESUMABLE.has(block.code)) reading.due.push(`unblock ${name}`);
      }
      return;
    default:
      return takeBack(reading, asked);
  }
}

function takeBack(reading: Reading, { type, stage }: Asked): void {
  const { model } = reading;
  const isCancel = type === 'cancel' || type === 'cancel_bare';
  const isFree = model.rollback === null || (isCancel && model.status === 'blocked');
  demand(!hasEnded(model) && isFree, `${type} of an instance that is ${model.status}`);
  const floor = type === 'rollback_to' ? (model.stage(stage).completion ?? 0) : 0;
  demand(
    type !== 'rollback_to' || model.stage(stage).status === 'completed',
    `rollback to ${stage}, not completed`,
  );
  const isPast = reading.passed().some(({ completion }) => completion === null || completion > floor);
  demand(type === 'cancel_bare' || !isPast, `${type} past a point of no return`);
  if (type === 'cancel_bare') reading.due.push('bare cancel');
  else reading.due.push(type === 'rollback_to' ? `rollback to ${stage}` : 'rollback cancelled');
}

/** In place. What has ended is gone on from by another instance. */
function retry(reading: Reading): void {
  const { model } = reading;
  demand(
    model.status === 'blocked' && model.rollback === null,
    `retry of an instance that is ${model.status}`,
  );
  reading.due.push('renewal');
  for (const { name, status, block, approvalDeadlineAt } of model.stages) {
    const isOverdue = status === 'waiting_approval' && reading.isOver(approvalDeadlineAt);
    if (status === 'failed' || isOverdue) reading.due.push(`reset ${name}`);
    else if (block !== null) reading.due.push(`unblock ${name}`);
  }
}
