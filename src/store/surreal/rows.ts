/** Between the database's rows and what they mean. */
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange } from 'surrealdb';
import { wakeAtOf } from '../../core/deadlines.js';
import { type ErrorCode, VaporaError } from '../../core/errors.js';
import {
  blobsOf,
  deadLettersOf,
  type InstanceStatus,
  isLive,
  type WorkflowInstance,
} from '../../core/instance.js';
import { asInstanceId, type Digest, type InstanceId } from '../../core/names.js';
import type { InstanceSummary, StoredInstance } from '../../core/ports.js';
import { labelTexts, type Position } from '../listing.js';

export const INSTANCES = 'workflow_instances';
export const HISTORY = 'workflow_history';
export const JOURNAL = 'journal';
/** id: [`key=value`, position] of each label of each instance. */
export const LABELS = 'instance_labels';

export function instanceId(id: string): RecordId {
  return new RecordId(INSTANCES, id);
}

/**
 * Rows of one instance's history that begin with these revisions, both inclusive. The database reads a range of ids to its end,
 * whatever the limit: what is read a page at a time needs an end.
 */
export function historyRange(id: string, first: number, last = Number.MAX_SAFE_INTEGER): RecordIdRange {
  return new RecordIdRange(HISTORY, new BoundIncluded([id, first]), new BoundIncluded([id, last]));
}

/** Journal rows after `after` up to and including `last`. */
export function journalRange(partition: string, after: number, last: number): RecordIdRange {
  return new RecordIdRange(
    JOURNAL,
    new BoundExcluded([partition, after]),
    new BoundIncluded([partition, last]),
  );
}

/** Entries of one row as one text, which costs the engine far less than a list: JSON text holds no line break of its own. */
export function joinEntries(texts: readonly string[]): string {
  return texts.join('\n');
}

export function splitEntries(text: string): string[] {
  return text.split('\n');
}

export interface InstanceColumns {
  readonly template_name: string;
  readonly template_hash: string;
  readonly status: string;
  readonly initiator: string;
  /** None: there are none. */
  readonly initiator_groups?: readonly string[];
  readonly labels: readonly string[];
  readonly created_at: number;
  readonly updated_at: number;
  readonly ended_at?: number;
  readonly error_code?: string;
  readonly error_message?: string;
  readonly dead_letters: number;
  readonly live: boolean;
  readonly position: string;
  readonly lettered?: string;
  readonly wake?: string;
  /** Digests of content that is not in the state itself. */
  readonly blobs?: readonly string[];
  readonly revision: number;
  readonly seq: number;
  readonly head: string;
  /** None: it is what the history leads to. */
  readonly state?: string;
}

/** Entries that are read and folded at most, whenever a state is left to its history. */
const MAX_FOLDED_ENTRIES = 64;

/** What has come to its end is read seldom, and costs less than half of the disk where its state is not kept beside its history. */
function isLeftToHistory(instance: WorkflowInstance): boolean {
  // an operator will look at dead letters, and they will change
  const isOver = !isLive(instance) && deadLettersOf(instance).length === 0;
  return isOver && instance.revision <= MAX_FOLDED_ENTRIES;
}

/** The database keeps UTF-8, which has no lone surrogates; JSON text escapes them by itself. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

const TIME_DIGITS = 16;

/** Sorts as the time does: an index over such texts is read from any time on. */
export function timeText(at: number): string {
  return String(Math.max(0, at)).padStart(TIME_DIGITS, '0');
}

/** Sorts as lists do: the newest first, by id where the time is the same. */
export function positionText({ createdAt, id }: Position): string {
  return timeText(Number.MAX_SAFE_INTEGER - createdAt) + id;
}

export function positionAt(text: string): Position {
  return { createdAt: Number.MAX_SAFE_INTEGER - wakeTime(text), id: wakeId(text) };
}

/** The parts of `wake`, and of a position. */
export function wakeTime(wake: string): number {
  return Number(wake.slice(0, TIME_DIGITS));
}

export function wakeId(wake: string): string {
  return wake.slice(TIME_DIGITS);
}

export function columnsOf({ instance, head }: StoredInstance): InstanceColumns {
  const wakeAt = wakeAtOf(instance);
  const deadLetters = deadLettersOf(instance).length;
  const position = positionText(instance);
  const blobs = storedBlobs(instance);
  const { groups } = instance.initiator;
  return {
    template_name: instance.templateName,
    template_hash: instance.templateHash,
    status: instance.status,
    initiator: wellFormed(instance.initiator.user),
    ...(groups.length === 0 ? {} : { initiator_groups: groups.map(wellFormed) }),
    labels: labelTexts(instance).map(wellFormed),
    created_at: instance.createdAt,
    updated_at: instance.updatedAt,
    ...(instance.endedAt === null ? {} : { ended_at: instance.endedAt }),
    ...(instance.error === null
      ? {}
      : { error_code: instance.error.code, error_message: wellFormed(instance.error.message) }),
    dead_letters: deadLetters,
    live: isLive(instance),
    position,
    ...(deadLetters === 0 ? {} : { lettered: position }),
    // with the id behind the time each is there once, so pages can begin after the last of the page before
    ...(wakeAt === null ? {} : { wake: timeText(wakeAt) + instance.id }),
    ...(blobs.length === 0 ? {} : { blobs }),
    revision: instance.revision,
    seq: instance.seq,
    head,
    ...(isLeftToHistory(instance) ? {} : { state: JSON.stringify(instance) }),
  };
}

/** Content that the state refers to and does not hold itself. */
export function storedBlobs(instance: WorkflowInstance): Digest[] {
  const stored = blobsOf(instance).filter(({ inline }) => inline === undefined);
  return [...new Set(stored.map(({ digest }) => digest))];
}

export interface StateRow {
  readonly revision: number;
  readonly head: Digest;
  readonly state?: string | undefined;
}

/** `state` is not left to the history. Throws `store_unreadable` where it is no JSON, or gone. */
export function storedOf(head: Digest, state: string | undefined, place: string): StoredInstance {
  try {
    return { instance: JSON.parse(state ?? '') as WorkflowInstance, head };
  } catch (cause) {
    throw new VaporaError('store_unreadable', `the store ${place} holds an instance that can't be read`, {
      cause,
    });
  }
}

export const SUMMARY_COLUMNS =
  'id, template_name, status, initiator, initiator_groups, labels, created_at, updated_at, ended_at, error_code, error_message, dead_letters';

export interface SummaryRow
  extends Omit<
    InstanceColumns,
    'state' | 'head' | 'seq' | 'revision' | 'live' | 'wake' | 'lettered' | 'blobs'
  > {
  readonly id: RecordId;
}

export function summaryOfRow(row: SummaryRow): InstanceSummary {
  const labels = row.labels.map((label): [string, string] => {
    const cut = label.indexOf('=');
    return [label.slice(0, cut), label.slice(cut + 1)];
  });
  return {
    id: asInstanceId(String(row.id.id)),
    template: row.template_name,
    status: row.status as InstanceStatus,
    initiator: row.initiator,
    initiatorGroups: row.initiator_groups ?? [],
    labels: Object.fromEntries(labels),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    endedAt: row.ended_at ?? null,
    error:
      row.error_code === undefined
        ? null
        : { code: row.error_code as ErrorCode, message: row.error_message ?? '' },
    deadLetters: row.dead_letters,
  };
}

/** In the journal, in an entry's place: the instance is gone from here on. */
export function deletionText(id: InstanceId): string {
  return JSON.stringify({ deleted: id });
}

/** Whether a journal text is one of those; told without parsing it. */
export function isDeletion(text: string): boolean {
  return text.startsWith('{"deleted":');
}
