/**
 * What the engine needs from the world, each with its contract. Implementations translate, they don't decide.
 * Only the composition root names them.
 */
import type { AuthorizationRequest } from './authorizer.js';
import type { AttemptUsage, Charge } from './budget.js';
import type { Failure } from './errors.js';
import type { Entry, WorkflowEvent } from './events.js';
import type {
  ArtifactRef,
  BlobRef,
  Decision,
  InstanceStatus,
  StepResult,
  WorkflowInstance,
} from './instance.js';
import type { Digest, InstanceId } from './names.js';
import type { WorkflowTemplate } from './template.js';

export type { Amounts, AuthorizationContext, AuthorizationRequest, Authorizer } from './authorizer.js';

// ---- store ---------------------------------------------------------------------------------------------------------

/** An instance as the store knows it. `head` is the hash of its last entry, what the next one must follow. */
export interface StoredInstance {
  readonly instance: WorkflowInstance;
  readonly head: Digest;
}

export interface Commit {
  /** What the caller decided upon; null for an instance that must not exist yet. */
  readonly previous: StoredInstance | null;
  /** The state after `events`; its `revision` is one above `previous`'s, from 1. */
  readonly next: WorkflowInstance;
  readonly at: number;
  /** At least one. */
  readonly events: readonly WorkflowEvent[];
  /** What it adds to what the workflow's instances have used together; null: nothing that anybody counts. */
  readonly charge: Charge | null;
}

/** An instance without its stages: what lists show. */
export interface InstanceSummary {
  readonly id: InstanceId;
  readonly template: string;
  readonly status: InstanceStatus;
  readonly initiator: string;
  /** Those that the initiator named at the start, or whose token did. */
  readonly initiatorGroups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly endedAt: number | null;
  readonly error: Failure | null;
  /** Dead letters that wait for an operator. */
  readonly deadLetters: number;
}

/** What the store knows of an instance without its state. */
export interface StoredSummary {
  readonly summary: InstanceSummary;
  readonly revision: number;
  /** As in {@link StoredInstance}. */
  readonly head: Digest;
  /** As the core's `isLive` says. */
  readonly isLive: boolean;
}

export interface InstanceQuery {
  readonly status?: InstanceStatus;
  readonly template?: string;
  /** Name of the user who started it. */
  readonly initiator?: string;
  /** Milliseconds since the epoch, inclusive. */
  readonly createdFrom?: number;
  /** Milliseconds since the epoch, exclusive. */
  readonly createdBefore?: number;
  /** `key=value`; all must match. */
  readonly labels?: readonly string[];
  /** Only instances with open dead letters. */
  readonly withDeadLetters?: boolean;
  /** 1 to 1000. */
  readonly limit: number;
  /** Where the page before ended; opaque. */
  readonly cursor?: string;
}

export interface InstancePage {
  /** At most as many as were asked for. Fewer, or none, does not mean that there are no more: looking for them has a limit too. */
  readonly items: readonly InstanceSummary[];
  /** Give it as `cursor` for the next page; null: this was the last. */
  readonly next: string | null;
}

/**
 * Durable state of instances. One process owns an open store; calls may overlap freely.
 *
 * - `save` resolves only once the commit is on disk, with the stored instance to base the next commit on. Commits that wait at the
 *   same time go together in one transaction; each still succeeds or fails alone. It rejects with `revision_conflict` when
 *   `previous` is not the current state, with `instance_exists` when `previous` is null and the id is taken: then nothing was
 *   written. Any other rejection (`store_failed`, `store_full`, `store_fenced`) is final for this handle: the store has read back
 *   what it could, every later call fails the same way, and the owner must end the process.
 * - Reads are never staler than the caller's own resolved writes.
 * - `load` and `summary` answer null for an instance that was never saved or is deleted. The state of what has ended may be left to its
 *   history: `load` then reads that, and throws `audit_broken` where it is not whole. `summary` depends on no history.
 * - `loadActive` yields, in batches and in no order, each instance whose `wakeAtOf` is above `after` and at most `until`, as of some
 *   moment after the call. What waits longer, and what has ended, is not read for it: its cost is that of what it yields.
 * - `nextWakeAt` answers a time above `after` before which no instance has to be woken, where each has stayed as it was; null: none
 *   has to be. It may be earlier than the first such time, never later.
 * - `list` goes from the newest to the oldest by time of creation, and by ascending id where that is the same. What a page
 *   costs has a limit, whatever is stored: where filters leave much to look at and little of it is asked for, pages are short.
 * - `changedSince` yields the ids of instances whose state is of `at` or later, in batches, in no order, as of some moment after the
 *   call.
 * - `delete` removes an instance that is not live, with its history; deleting what is not there is no error.
 * - `history` yields entries by ascending revision, from `afterRevision` (exclusive) on, as stored: it does not verify them.
 * - Templates and blobs are immutable and content-addressed: saving the same again is no error and costs no second copy. Both
 *   must be saved before a commit refers to them. `loadBlob` answers null for an unknown digest, and throws `store_unreadable`
 *   where the bytes no longer match the digest.
 * - `charges` answers what commits have charged, by workflow and hour, from the hour `since` on: a commit and its charge are on disk
 *   together or not at all, and stay when the instance is deleted.
 * - Deliberately missing: queries over events, and any change of a saved entry.
 */
export interface WorkflowStore {
  save(commit: Commit): Promise<StoredInstance>;
  load(id: InstanceId): Promise<StoredInstance | null>;
  summary(id: InstanceId): Promise<StoredSummary | null>;
  loadActive(after: number, until: number): AsyncIterable<readonly StoredInstance[]>;
  nextWakeAt(after: number): Promise<number | null>;
  changedSince(at: number): AsyncIterable<readonly InstanceId[]>;
  delete(id: InstanceId): Promise<void>;
  list(query: InstanceQuery): Promise<InstancePage>;
  history(id: InstanceId, afterRevision?: number): AsyncIterable<Entry>;
  saveTemplate(template: WorkflowTemplate): Promise<void>;
  loadTemplate(hash: Digest): Promise<WorkflowTemplate | null>;
  saveBlob(bytes: Uint8Array): Promise<Digest>;
  loadBlob(digest: Digest): Promise<Uint8Array | null>;
  charges(since: number): Promise<readonly Charge[]>;
  /** Waits for what is under way, writes what was put off, lets go of the lock. Idempotent. */
  close(): Promise<void>;
}

/** How far a trigger has come, so that nothing is started twice or forgotten over a restart. */
export interface TriggerMark {
  /** Name of the template that it starts. */
  readonly workflow: string;
  /** What the mark is about; a trigger that has become another one begins anew. */
  readonly spec: string;
  /** Times, or ends of other instances, up to here have been dealt with; milliseconds since the epoch. */
  readonly until: number;
  /** The instance that it started last. */
  readonly lastId: InstanceId | null;
  /** What became of the last time that was due. */
  readonly last: {
    readonly at: number;
    readonly outcome: 'started' | 'skipped' | 'refused';
    /** Why it was not started; null: it was. */
    readonly reason: string | null;
  } | null;
  readonly paused: { readonly by: string; readonly at: number } | null;
}

/**
 * Marks of triggers, one a workflow. `saveMark` replaces the workflow's mark, and resolves once it is on disk; it fails as
 * {@link WorkflowStore} does. What belongs together is saved by one caller at a time.
 */
export interface TriggerBook {
  marks(): Promise<readonly TriggerMark[]>;
  saveMark(mark: TriggerMark): Promise<void>;
}

export interface EndedInstance {
  readonly id: InstanceId;
  readonly template: string;
  readonly status: InstanceStatus;
  readonly endedAt: number;
}

/**
 * Instances by the time of their end. `ended` answers those that are not live and have no open dead letters, that ended at `from`
 * (inclusive) or later and before `before`, by ascending time and then by id, `limit` at most (1 to 1000). With `after`, only those
 * that come after that one in this order.
 */
export interface EndedInstances {
  ended(query: {
    readonly from: number;
    readonly before: number;
    readonly limit: number;
    readonly after?: Pick<EndedInstance, 'id' | 'endedAt'>;
  }): Promise<readonly EndedInstance[]>;
}

// ---- agents --------------------------------------------------------------------------------------------------------

export interface AgentInfo {
  readonly name: string;
  readonly roles: readonly string[];
  /** Attempts at once; at least 1. */
  readonly maxConcurrent: number;
  /** An attempt whose agent gives no sign of life for this long is lost; null: the transport itself knows whether it lives. */
  readonly leaseMs: number | null;
}

/** Artifacts of the stages before, as an agent gets them. */
export interface InputArtifact extends ArtifactRef {
  readonly stage: string;
  readonly role: string;
}

/** An order to execute one attempt. Serializable. */
export interface TaskOrder {
  readonly type: 'task' | 'compensation';
  /** `<idempotency key>#<attempt>`: unique to the attempt. */
  readonly task_id: string;
  readonly workflow_id: InstanceId;
  readonly workflow: string;
  readonly stage_name: string;
  readonly role: string;
  readonly attempt: number;
  readonly idempotency_key: string;
  readonly agent: string;
  readonly input: BlobRef;
  readonly artifacts: readonly InputArtifact[];
  readonly steps: readonly StepResult[];
  readonly initiator: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Compensation only: why, and what the stage had made. */
  readonly reason: string | null;
  readonly artifacts_to_undo: readonly InputArtifact[];
  /** W3C trace context of the attempt, for the agent's own spans; null: nothing is traced. */
  readonly traceparent: string | null;
  /** When the engine gives the attempt up; milliseconds since the epoch, or null. */
  readonly deadline_at: number | null;
}

/** An artifact as an agent hands it in: its content, or a reference to what {@link TaskSink.keep} has kept. */
export interface OutputArtifact {
  readonly name: string;
  readonly kind: string;
  readonly content: Uint8Array | BlobRef;
}

export type TaskOutcome =
  | {
      readonly status: 'completed';
      readonly artifacts: readonly OutputArtifact[];
      /** JSON value or null. */
      readonly output: unknown;
      readonly log: Uint8Array | null;
      /** Absent: the agent counts nothing. */
      readonly usage?: AttemptUsage;
    }
  | {
      readonly status: 'failed';
      readonly error: Failure;
      readonly isRetryable: boolean;
      readonly log: Uint8Array | null;
      readonly usage?: AttemptUsage;
    }
  /** Gone with its agent; nobody knows how far it came. Another attempt follows, and the retry policy does not count this one. */
  | { readonly status: 'lost'; readonly reason: string };

export interface Progress {
  readonly message: string;
  /** 0 to 1, or null. */
  readonly fraction: number | null;
}

/**
 * Where an agent's words go. `step` and `blob` may reject (the store failed, the attempt is no longer current): the agent's call
 * rejects with it. `end` is called exactly once for a dispatched order, even when the agent throws, hangs past a stop or vanishes.
 */
export interface TaskSink {
  /** A sign of life. */
  heartbeat(): void;
  progress(progress: Progress): void;
  /** Resolves once the step's result is on disk. */
  step(result: StepResult): Promise<void>;
  /** Content of an input, artifact or log by reference. */
  blob(ref: BlobRef): Promise<Uint8Array>;
  /** Keeps content that the outcome will refer to. */
  keep(content: Uint8Array): Promise<BlobRef>;
  /** Resolves once it is on disk: with false where it came too late to be applied, or the engine is stopping. Never rejects. */
  end(outcome: TaskOutcome): Promise<boolean>;
}

/**
 * Carries orders to agents and their words back.
 * - `dispatch` starts the attempt and returns at once; it never throws: what goes wrong is an outcome.
 * - `resume` takes up an attempt that an earlier process has dispatched, where its agent may still be at it: the sink then hears of it
 *   like of any other, at the latest when the agent's lease is over. It never delivers the order again, and asks for it only where the
 *   attempt may go on. False: the attempt is gone.
 * - `stop` asks an attempt to end and resolves once it certainly acts no longer (its processes are gone, its promise has settled or
 *   its grace is over). Stopping what is not running resolves at once. The sink's `end` has been called by then.
 * - `agents` answers those that are there now; `onChange` is called after each arrival or departure. Returns its unsubscribe.
 * - `close` stops every attempt that would end with this process, then lets go.
 */
export interface AgentTransport {
  agents(): readonly AgentInfo[];
  onChange(listener: () => void): () => void;
  dispatch(order: TaskOrder, sink: TaskSink): void;
  resume(agent: string, orderOf: () => TaskOrder, sink: TaskSink): boolean;
  stop(taskId: string): Promise<void>;
  close(): Promise<void>;
}

// ---- looking on ----------------------------------------------------------------------------------------------------

/** One commit of one instance, after it is on disk. */
export interface Committed {
  /** Null: the commit has made the instance. */
  readonly previous: WorkflowInstance | null;
  readonly next: WorkflowInstance;
  readonly at: number;
  readonly events: readonly WorkflowEvent[];
}

/**
 * Looks on: metrics, traces, the log. Called in the commit path, so each call is quick, never throws and changes nothing.
 * - `traceparent` answers the W3C trace context of an attempt, which its agent is handed, or null where nothing is traced.
 * - `decided` is told of every answer of the authorizer, `audited` of every check of a hash chain.
 */
export interface EngineObserver {
  committed(commit: Committed): void;
  decided(request: AuthorizationRequest, decision: Decision): void;
  audited(isWhole: boolean): void;
  traceparent(instance: InstanceId, taskId: string): string | null;
}

/** How many live instances of a template are in a state. */
export interface LiveCount {
  readonly template: string;
  readonly status: InstanceStatus;
  readonly count: number;
}

// ---- time and chance -----------------------------------------------------------------------------------------------

/**
 * `now` never goes back within a process, whatever the machine's clock does; milliseconds since the epoch.
 * `after` calls once, `delayMs` later, and returns its cancel; a pending call does not keep the process alive where `background`.
 */
export interface Clock {
  now(): number;
  after(delayMs: number, call: () => void): () => void;
  /** 0 inclusive to 1 exclusive. */
  random(): number;
  /** A new unique, time-ordered id. */
  newId(): string;
}
