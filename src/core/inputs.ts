/** What can arrive at an instance: a caller's wish, an agent's word, the authorizer's, the clock's. */
import type { AttemptUsage, SharedUse } from './budget.js';
import type { Failure } from './errors.js';
import type { Assignment } from './events.js';
import type {
  ArtifactRef,
  BlobRef,
  Decision,
  Principal,
  StageAction,
  StepResult,
  TaskAddress,
  WorkflowInstance,
} from './instance.js';
import type { Digest } from './names.js';

/** What `decide` may not find out by itself: time, chance, digests and what others have used are arguments. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** 0 inclusive to 1 exclusive. */
  random(): number;
  /** SHA-256 of UTF-8 text. */
  digest(text: string): Digest;
  /** What the instance's template has used of its shared budget, what `instance` has used since it was committed included. */
  shared(instance: WorkflowInstance): SharedUse;
}

/** Somebody's wish together with the authorizer's word on it; a deny is recorded and changes nothing else. */
interface Wish {
  readonly by: Principal;
  readonly decision: Decision;
}

interface AttemptInput extends TaskAddress {
  readonly attempt: number;
}

export type WorkflowInput =
  | {
      readonly type: 'authorization';
      readonly stage: string;
      readonly action: StageAction;
      readonly decision: Decision;
    }
  | (TaskAddress & { readonly type: 'assigned'; readonly assignment: Assignment })
  | (TaskAddress & { readonly type: 'unserved' })
  /** An agent for a role that nobody served has come. */
  | { readonly type: 'served'; readonly role: string }
  | (AttemptInput & { readonly type: 'started' })
  | (AttemptInput & { readonly type: 'step'; readonly result: StepResult })
  | (AttemptInput & {
      readonly type: 'succeeded';
      readonly artifacts: readonly ArtifactRef[];
      readonly output: unknown;
      readonly log: BlobRef | null;
      readonly usage?: AttemptUsage;
    })
  | (AttemptInput & {
      readonly type: 'failed';
      readonly error: Failure;
      readonly isRetryable: boolean;
      readonly log: BlobRef | null;
      readonly usage?: AttemptUsage;
    })
  /** The attempt is gone with its engine or agent; nobody knows how far it came. */
  | (AttemptInput & { readonly type: 'lost'; readonly reason: string })
  /** Some deadline may have passed. */
  | { readonly type: 'tick' }
  | (Wish & {
      readonly type: 'approve';
      readonly stage: string;
      readonly comment: string | null;
      readonly digest: string | null;
    })
  | (Wish & { readonly type: 'reject'; readonly stage: string; readonly reason: string })
  | (Wish & { readonly type: 'cancel'; readonly compensate: boolean })
  | (Wish & { readonly type: 'rollback'; readonly to: string | null })
  | (Wish & { readonly type: 'retry' })
  | (Wish & { readonly type: 'resume' })
  | (Wish & { readonly type: 'retry_letter'; readonly stage: string })
  | (Wish & { readonly type: 'resolve_letter'; readonly stage: string; readonly reason: string });

export type WishInput = Extract<WorkflowInput, Wish>;

/** The Cedar action that each wish is. */
export const WISH_ACTIONS = {
  approve: 'approve-stage',
  reject: 'reject-stage',
  cancel: 'cancel-workflow',
  rollback: 'rollback-workflow',
  retry: 'retry-workflow',
  resume: 'resume-workflow',
  retry_letter: 'retry-dead-letter',
  resolve_letter: 'resolve-dead-letter',
} as const satisfies Record<WishInput['type'], string>;
