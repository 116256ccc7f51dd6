/** Facts about an instance. Each is appended once and never changed; `evolve` folds them into the state. */
import type { AttemptUsage, BudgetScope } from './budget.js';
import type { Failure } from './errors.js';
import type {
  ArtifactRef,
  BlobRef,
  Decision,
  Principal,
  RollbackTarget,
  StageAction,
  StageBlock,
  TaskAddress,
} from './instance.js';
import type { Digest, InstanceId } from './names.js';

/** Why this agent: what the swarm coordinator weighed. */
export interface Assignment {
  readonly agent: string;
  /** `success_rate / (1 + load)` of the chosen agent at that moment. */
  readonly score: number;
  readonly successRate: number;
  /** In flight divided by capacity, before this task. */
  readonly load: number;
  /** Agents that could have taken it. */
  readonly candidates: number;
}

interface AttemptEvent extends TaskAddress {
  readonly attempt: number;
}

export type WorkflowEvent =
  | {
      readonly type: 'workflow_created';
      readonly template: string;
      readonly templateHash: Digest;
      readonly input: BlobRef;
      readonly initiator: Principal;
      readonly labels: readonly (readonly [string, string])[];
      readonly deadlineAt: number | null;
      readonly retryOf: InstanceId | null;
      /** By the authorizer on `start-workflow`. */
      readonly decision: Decision;
    }
  | { readonly type: 'workflow_started' }
  /** A stage taken over as completed from the instance that this one retries. */
  | {
      readonly type: 'stage_carried_over';
      readonly stage: string;
      readonly artifacts: readonly {
        readonly role: string;
        readonly artifacts: readonly ArtifactRef[];
        readonly output: unknown;
      }[];
    }
  | { readonly type: 'workflow_waiting' }
  | { readonly type: 'workflow_blocked'; readonly stage: string; readonly block: StageBlock }
  | { readonly type: 'workflow_resumed'; readonly deadlineAt: number | null }
  | { readonly type: 'workflow_completed' }
  | { readonly type: 'workflow_failed' }
  | { readonly type: 'workflow_cancelled' }
  | {
      readonly type: 'action_authorized';
      readonly action: string;
      readonly by: Principal;
      readonly decision: Decision;
    }
  | {
      readonly type: 'stage_authorized';
      readonly stage: string;
      readonly action: StageAction;
      readonly decision: Decision;
    }
  | {
      readonly type: 'approval_requested';
      readonly stage: string;
      readonly digest: Digest;
      readonly deadlineAt: number | null;
    }
  | {
      readonly type: 'approval_given';
      readonly stage: string;
      readonly by: string;
      readonly comment: string | null;
      readonly digest: Digest;
    }
  | {
      readonly type: 'approval_rejected';
      readonly stage: string;
      readonly by: string;
      readonly reason: string;
    }
  | { readonly type: 'approval_expired'; readonly stage: string; readonly outcome: 'reject' | 'approve' }
  | { readonly type: 'stage_started'; readonly stage: string; readonly deadlineAt: number | null }
  | { readonly type: 'stage_blocked'; readonly stage: string; readonly block: StageBlock }
  | { readonly type: 'stage_unblocked'; readonly stage: string }
  /** An operator has a stage go on that has used its budget up: from now on it has been granted again so many times. */
  | {
      readonly type: 'budget_granted';
      readonly stage: string;
      readonly scope: BudgetScope;
      readonly grants: number;
      readonly by: string;
      /** Of what is shared: the beginning of the window that it is granted for. */
      readonly fromAt?: number;
    }
  | { readonly type: 'stage_completed'; readonly stage: string }
  | { readonly type: 'stage_failed'; readonly stage: string; readonly error: Failure }
  | { readonly type: 'stage_skipped'; readonly stage: string }
  /** To run again, after a rollback or by an operator's retry. */
  | { readonly type: 'stage_reset'; readonly stage: string }
  | (AttemptEvent & {
      readonly type: 'task_dispatched';
      readonly assignment: Assignment;
      readonly idempotencyKey: string;
      readonly deadlineAt: number | null;
    })
  | (AttemptEvent & { readonly type: 'task_started' })
  | (AttemptEvent & { readonly type: 'step_completed'; readonly name: string; readonly value: unknown })
  | (AttemptEvent & {
      readonly type: 'task_completed';
      readonly artifacts: readonly ArtifactRef[];
      readonly output: unknown;
      readonly log: BlobRef | null;
      /** Absent: its agent counts nothing. */
      readonly usage?: AttemptUsage;
    })
  | (AttemptEvent & {
      readonly type: 'task_failed';
      readonly error: Failure;
      /** When the next attempt may be dispatched; null: there is none. */
      readonly retryAt: number | null;
      readonly log: BlobRef | null;
      readonly usage?: AttemptUsage;
    })
  /** The attempt was lost with its engine or agent; another follows and the retry policy does not count this one. */
  | (AttemptEvent & { readonly type: 'task_interrupted'; readonly reason: string })
  | (AttemptEvent & { readonly type: 'task_cancelled' })
  /** A result for an attempt that is no longer current: recorded, never applied. */
  | (AttemptEvent & { readonly type: 'late_result_ignored'; readonly outcome: 'completed' | 'failed' })
  | {
      readonly type: 'compensation_planned';
      readonly target: RollbackTarget;
      readonly cause: Failure;
      /** First to be taken back first. `skip` says why there is no task for a stage. */
      readonly entries: readonly { readonly stage: string; readonly skip: string | null }[];
      readonly by: string | null;
    }
  | { readonly type: 'compensation_started'; readonly stage: string }
  | { readonly type: 'stage_compensated'; readonly stage: string }
  | { readonly type: 'compensation_dead_lettered'; readonly stage: string; readonly error: Failure }
  | { readonly type: 'dead_letter_retried'; readonly stage: string; readonly by: string }
  | {
      readonly type: 'dead_letter_resolved';
      readonly stage: string;
      readonly by: string;
      readonly reason: string;
    }
  /** A partial rollback is done; the instance goes on after `to`. */
  | { readonly type: 'rollback_completed'; readonly to: string };

export type EventType = WorkflowEvent['type'];

/** What one commit appended to one instance: all of it or nothing. */
export interface Entry {
  readonly instance: InstanceId;
  /** Number of the commit, from 1. */
  readonly revision: number;
  /** Sequence number of the first event in here, from 1. */
  readonly firstSeq: number;
  readonly at: number;
  readonly events: readonly WorkflowEvent[];
  /** Hash of the entry before, 64 zeros for the first. */
  readonly previous: Digest;
  /** SHA-256 over this entry's canonical encoding, `previous` included. */
  readonly hash: Digest;
}

/** An event as callers see it. */
export type EventRecord = {
  readonly seq: number;
  readonly at: number;
  readonly workflow_id: InstanceId;
} & WorkflowEvent;

export function recordsOf(entry: Pick<Entry, 'instance' | 'firstSeq' | 'at' | 'events'>): EventRecord[] {
  return entry.events.map((event, index) => ({
    seq: entry.firstSeq + index,
    at: entry.at,
    workflow_id: entry.instance,
    ...event,
  }));
}
