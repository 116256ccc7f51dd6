/**
 * What a caller can ask of an engine, wherever it runs. `WorkflowOrchestrator` implements it, and every command of the CLI is
 * written against it. Operating errors are `VaporaError`s. Each change is on disk before its promise resolves.
 */
import type { VaporaError } from './errors.js';
import type { Entry, EventRecord } from './events.js';
import type { ArtifactRef, BlobRef, Principal, RollbackTarget, WorkflowInstance } from './instance.js';
import type { Digest, InstanceId } from './names.js';
import type { InstancePage, InstanceQuery, Progress, TriggerMark } from './ports.js';
import type { CatchUp, Overlap } from './trigger.js';

export interface StartRequest {
  readonly workflow: string;
  /** Any JSON value within the limits; default `{}`. */
  readonly input?: unknown;
  readonly initiator: Principal;
  readonly labels?: Readonly<Record<string, string>>;
  /** The instance's id and at the same time the idempotency key: the same start twice is one instance. */
  readonly id?: string;
}

export interface StartResult {
  readonly id: InstanceId;
  /** False: an equal start had made it before. */
  readonly isNew: boolean;
}

export interface DeadLetter {
  /** `<instance>/<stage>`. */
  readonly id: string;
  readonly workflow_id: InstanceId;
  readonly workflow: string;
  readonly stage: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface LetterQuery {
  /** Name of the template. */
  readonly workflow?: string;
  /** Id of the instance. */
  readonly instance?: string;
  /** 1 to 1000. */
  readonly limit: number;
  /** Where the page before ended; opaque. */
  readonly cursor?: string;
}

export interface LetterPage {
  /** At most as many as were asked for. Fewer, or none, does not mean that there are no more: looking for them has a limit too. */
  readonly items: readonly DeadLetter[];
  /** Give it as `cursor` for the next page; null: this was the last. */
  readonly next: string | null;
}

export interface RollbackPreview {
  readonly target: RollbackTarget;
  /** In the order in which they would be taken back. */
  readonly entries: readonly {
    readonly stage: string;
    readonly agents: readonly string[];
    readonly skip: string | null;
  }[];
}

export interface InstanceArtifact extends ArtifactRef {
  readonly stage: string;
  readonly role: string;
}

export interface AuditReport {
  readonly id: InstanceId;
  readonly entries: number;
  readonly events: number;
  readonly head: Digest;
  /** The first bad entry; null: the chain is whole. */
  readonly broken: { readonly revision: number; readonly reason: string } | null;
}

/** What an engine tells: committed events, and progress, which is not kept. */
export type Happening =
  | { readonly kind: 'event'; readonly event: EventRecord }
  | {
      readonly kind: 'progress';
      readonly workflow_id: InstanceId;
      readonly stage: string;
      readonly role: string;
      readonly progress: Progress;
    };

/** What listeners hear. After `ended` it is nothing more: a server has said why, which no asking again mends. */
export type Notice = Happening | { readonly kind: 'ended'; readonly error: VaporaError };

export interface WorkflowApi {
  /** Throws `workflow_unknown`, `unauthorized`, `input_invalid`, `input_too_large`, `instance_exists`, `engine_overloaded`. */
  start(request: StartRequest): Promise<StartResult>;
  /** Throws `instance_unknown`. */
  get(id: string): Promise<WorkflowInstance>;
  list(query: InstanceQuery): Promise<InstancePage>;
  /** Committed events by ascending sequence number, after `afterSeq`. Throws `instance_unknown`. */
  history(id: string, afterSeq?: number): AsyncIterable<EventRecord>;
  /** Throws `not_waiting`, `approval_drifted` (`digest` given and no longer what would be approved), `unauthorized`. */
  approve(
    id: string,
    stage: string,
    by: Principal,
    more?: { comment?: string; digest?: string },
  ): Promise<WorkflowInstance>;
  reject(id: string, stage: string, by: Principal, reason: string): Promise<WorkflowInstance>;
  cancel(id: string, by: Principal, more: { compensate: boolean }): Promise<WorkflowInstance>;
  /** `to`: goes on after that stage; without: takes everything back and ends cancelled. */
  rollback(id: string, by: Principal, to?: string): Promise<WorkflowInstance>;
  previewRollback(id: string, to?: string): Promise<RollbackPreview>;
  /** A blocked instance goes on from its failed stage; an ended one gets a successor that does. Answers the one that runs. */
  retry(id: string, by: Principal): Promise<WorkflowInstance>;
  /** Has a blocked instance's policies and agents looked at again; anything else is left as it is. */
  resume(id: string, by: Principal): Promise<WorkflowInstance>;
  /** Open ones, those of the newest instance first; of one instance in the order of its stages. Throws `instance_unknown`, `input_invalid`. */
  deadLetters(query: LetterQuery): Promise<LetterPage>;
  retryDeadLetter(letter: string, by: Principal): Promise<WorkflowInstance>;
  resolveDeadLetter(letter: string, by: Principal, reason: string): Promise<WorkflowInstance>;
  /** Artifacts of the instance in the order in which they were made. */
  artifacts(id: string): Promise<readonly InstanceArtifact[]>;
  /** Content of an artifact, input or log of the instance. Throws `artifact_unknown`. */
  content(id: string, ref: Pick<BlobRef, 'digest'>): Promise<Uint8Array>;
  verifyAudit(id: string): Promise<AuditReport>;
  /** The history as stored, hashes included: what `audit export` writes. Throws `instance_unknown`. */
  entries(id: string): AsyncIterable<Entry>;
  /** Calls after each commit of any instance, or of one, in the order of commits for one instance. Returns its unsubscribe. */
  subscribe(listener: (notice: Notice) => void, id?: string): () => void;
  /** Resolves once the instance has come to rest: ended, waiting for a person, or blocked, with nothing under way. */
  untilRest(id: string): Promise<WorkflowInstance>;
}

/** A schedule as its operator sees it. */
export interface ScheduleInfo extends Pick<TriggerMark, 'workflow' | 'last' | 'lastId' | 'paused'> {
  readonly cron: string;
  readonly timezone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  /** Milliseconds since the epoch; null: never, or not while it is paused. */
  readonly nextAt: number | null;
}

/** An agent that is there now, and how it does. */
export interface AgentReport {
  readonly name: string;
  readonly roles: readonly string[];
  /** Tasks at once. */
  readonly capacity: number;
  readonly inFlight: number;
  /** 0 to 1; what happened lately counts more. */
  readonly successRate: number;
  /** By which a task would go to it at present: the best one of its role gets it. */
  readonly score: number;
  /** It calls over the network. */
  readonly isRemote: boolean;
  /** In its own words; null: it has said none. */
  readonly version: string | null;
  /** When it was last heard of; null: it is part of the engine, which would know. */
  readonly seenAt: number | null;
}

/** What can be asked of the agents of an engine, wherever it runs. */
export interface AgentApi {
  /** By name. */
  agents(): Promise<readonly AgentReport[]>;
}

/** What can be asked of the schedules of an engine, wherever it runs. */
export interface ScheduleApi {
  /** In the order of the configuration. */
  schedules(): Promise<readonly ScheduleInfo[]>;
  /** Nothing is started by it until it is resumed. Throws `schedule_unknown`, `unauthorized`. */
  pauseSchedule(workflow: string, by: Principal): Promise<ScheduleInfo>;
  resumeSchedule(workflow: string, by: Principal): Promise<ScheduleInfo>;
}
