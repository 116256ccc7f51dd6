/** What people ask of an instance, each already with the authorizer's word on it. */
import { approvalDigest } from './approval.js';
import { breachesOf } from './budget.js';
import type { Draft } from './draft.js';
import { failure, VaporaError } from './errors.js';
import { failStage } from './fail-stage.js';
import { WISH_ACTIONS, type WishInput } from './inputs.js';
import {
  findStage,
  isTerminal,
  type RollbackTarget,
  type StageState,
  type WorkflowInstance,
} from './instance.js';
import { passedStages } from './passed.js';
import { floorOf, planRollback } from './saga.js';

type WishOf<T extends WishInput['type']> = Extract<WishInput, { type: T }>;

export function decideWish(draft: Draft, wish: WishInput): void {
  const { by, decision } = wish;
  const action = WISH_ACTIONS[wish.type];
  // a denial tells nothing about the instance, not even whether the wish could have been granted
  draft.emit({ type: 'action_authorized', action, by, decision });
  if (decision.effect === 'deny') return;
  switch (wish.type) {
    case 'approve':
      return approve(draft, wish);
    case 'reject':
      return reject(draft, wish);
    case 'cancel':
      return cancel(draft, wish);
    case 'rollback':
      return rollback(draft, wish);
    case 'retry':
      return retry(draft, by.user);
    case 'resume':
      return resumeBlocked(draft, by.user);
    case 'retry_letter':
      letterOf(draft, wish.stage);
      draft.emit({ type: 'dead_letter_retried', stage: wish.stage, by: by.user });
      return;
    case 'resolve_letter':
      letterOf(draft, wish.stage);
      draft.emit({ type: 'dead_letter_resolved', stage: wish.stage, by: by.user, reason: wish.reason });
  }
}

function stageNamed(draft: Draft, name: string): StageState {
  const stage = findStage(draft.state, name);
  if (stage !== undefined) return stage;
  const names = draft.state.stages.map((candidate) => `\`${candidate.name}\``).join(', ');
  throw new VaporaError('stage_unknown', `instance \`${draft.state.id}\` has no stage \`${name}\``, {
    hint: `its stages are ${names}`,
  });
}

function notEnded(draft: Draft, verb: string): void {
  const { id, status } = draft.state;
  if (!isTerminal(status)) return;
  throw new VaporaError('instance_ended', `instance \`${id}\` is ${status}, so it can't be ${verb}`, {
    hint: 'what has ended never changes again; only its dead letters can still be worked off',
  });
}

/** The stage, if it waits for an approval now. */
function waitingStage(draft: Draft, name: string): StageState & { status: 'waiting_approval' } {
  const stage = stageNamed(draft, name);
  notEnded(draft, 'approved or rejected');
  const { status } = stage;
  if (status === 'waiting_approval' && draft.state.rollback === null) return { ...stage, status };
  const done =
    stage.approval?.status === 'approved'
      ? ` (approved by \`${stage.approval.by ?? 'its time limit'}\`)`
      : '';
  throw new VaporaError('not_waiting', `stage \`${name}\` is ${status}${done}, not waiting for an approval`);
}

function approve(draft: Draft, wish: WishOf<'approve'>): void {
  waitingStage(draft, wish.stage);
  const digest = approvalDigest(draft.template, draft.state, wish.stage, draft.moment);
  if (wish.digest !== null && wish.digest !== digest) {
    throw new VaporaError(
      'approval_drifted',
      `what is to be approved for stage \`${wish.stage}\` has changed since it was looked at`,
      {
        hint: 'look at it again, then approve that',
      },
    );
  }
  const { stage, by, comment } = wish;
  draft.emit({ type: 'approval_given', stage, by: by.user, comment, digest });
}

function reject(draft: Draft, wish: WishOf<'reject'>): void {
  waitingStage(draft, wish.stage);
  const { stage, by, reason } = wish;
  draft.emit({ type: 'approval_rejected', stage, by: by.user, reason });
  failStage(draft, stage, failure('approval_rejected', `rejected by \`${by.user}\`: ${reason}`));
}

function notRollingBack(draft: Draft, verb: string): void {
  const { id, status, rollback: plan } = draft.state;
  if (status !== 'compensating' && plan === null) return;
  throw new VaporaError(
    'not_rollbackable',
    `instance \`${id}\` is being taken back already, so it can't be ${verb}`,
    {
      hint: 'work off its dead letters, if it has any',
    },
  );
}

function cancel(draft: Draft, wish: WishOf<'cancel'>): void {
  notEnded(draft, 'cancelled');
  const isStuckRollback = draft.state.status === 'blocked';
  if (!isStuckRollback) notRollingBack(draft, 'cancelled');
  const cause = failure('cancelled', `cancelled by \`${wish.by.user}\``);
  if (!wish.compensate) {
    return planRollback(draft, { end: 'cancelled' }, cause, wish.by.user, 'cancelled without compensation');
  }
  refusePassed(draft, 0, 'add `--no-compensate` to stop it as it is');
  planRollback(draft, { end: 'cancelled' }, cause, wish.by.user);
}

function rollback(draft: Draft, wish: WishOf<'rollback'>): void {
  notEnded(draft, 'rolled back');
  notRollingBack(draft, 'rolled back');
  const target = rollbackTarget(draft, wish.to);
  refusePassed(draft, floorOf(draft.state, target), 'roll back to that stage or a later one');
  planRollback(draft, target, failure('rolled_back', `rolled back by \`${wish.by.user}\``), wish.by.user);
}

function rollbackTarget(draft: Draft, to: string | null): RollbackTarget {
  if (to === null) return { end: 'cancelled' };
  const stage = stageNamed(draft, to);
  if (stage.status === 'completed') return { end: 'resume', to };
  throw new VaporaError(
    'not_rollbackable',
    `stage \`${to}\` is ${stage.status}, so there is nothing to go back to`,
    {
      hint: 'name a completed stage: it stays, what came after it is taken back and runs again',
    },
  );
}

/** An irreversible stage that completed at or before `floor` stays; any other that was dispatched forbids going back. */
function refusePassed(draft: Draft, floor: number, hint: string): void {
  const passed = passedStages(draft.template, draft.state).find((stage) => {
    const { completion } = draft.stage(stage.name);
    return completion === null || completion > floor;
  });
  if (passed === undefined) return;
  const message = `stage \`${passed.name}\` is irreversible and was dispatched: instance \`${draft.state.id}\` only goes forward or stops`;
  throw new VaporaError('point_of_no_return', message, { hint });
}

/** In place, for a blocked instance: its failed stages run again, its denied or unserved ones are looked at again. */
function retry(draft: Draft, by: string): void {
  notRollingBack(draft, 'retried');
  const { id, status } = draft.state;
  if (status !== 'blocked') {
    throw new VaporaError('not_retryable', `instance \`${id}\` is ${status}: nothing in it has failed`);
  }
  renewDeadline(draft);
  for (const stage of draft.state.stages) {
    const isStale = stage.status === 'failed' || hasOverdueApproval(draft, stage);
    if (isStale) draft.emit({ type: 'stage_reset', stage: stage.name });
    else if (stage.block !== null) unblock(draft, stage, by);
  }
}

/** Its time ran out while the instance was halted: it is asked for anew. */
function hasOverdueApproval(draft: Draft, { status, approval }: StageState): boolean {
  const deadlineAt = approval?.deadlineAt ?? Number.POSITIVE_INFINITY;
  return status === 'waiting_approval' && deadlineAt <= draft.now;
}

/** A deadline that has passed would fail the retry at once. */
function renewDeadline(draft: Draft): void {
  const { timeoutMs } = draft.template;
  const { deadlineAt } = draft.state;
  const isOver = deadlineAt !== null && timeoutMs !== null && deadlineAt <= draft.now;
  draft.emit({ type: 'workflow_resumed', deadlineAt: isOver ? draft.now + timeoutMs : deadlineAt });
}

/** Of an instance that has ended nothing is looked at again, nor of one that is taken back: that looks at it all when it goes on. */
function resumeBlocked(draft: Draft, by: string): void {
  if (isTerminal(draft.state.status) || draft.state.rollback !== null) return;
  for (const stage of draft.state.stages) {
    const { code } = stage.block ?? {};
    if (code === 'denied' || code === 'role_unserved' || code === 'budget_exceeded')
      unblock(draft, stage, by);
  }
}

/** Who lets a stage go on that has used its budget up grants it again, as often as it takes. */
function unblock(draft: Draft, { name, block }: StageState, by: string): void {
  if (block?.code === 'budget_exceeded') {
    const { template, state, moment } = draft;
    const shared = (of: WorkflowInstance) => moment.shared(of);
    for (const { scope, grants, window } of breachesOf(template, state, draft.stage(name), shared)) {
      const of = window === undefined ? {} : { fromAt: window.fromAt };
      draft.emit({ type: 'budget_granted', stage: name, scope, grants, by, ...of });
    }
  }
  draft.emit({ type: 'stage_unblocked', stage: name });
}

function letterOf(draft: Draft, name: string): void {
  const stage = stageNamed(draft, name);
  const { status } = stage.compensation;
  if (status === 'dead_lettered') return;
  const letter = `${draft.state.id}/${name}`;
  if (status === 'compensated' || status === 'resolved' || status === 'running') {
    throw new VaporaError('letter_closed', `dead letter \`${letter}\` is ${status} already`);
  }
  throw new VaporaError('dead_letter_unknown', `there is no dead letter \`${letter}\``);
}
