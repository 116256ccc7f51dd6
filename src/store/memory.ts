/** The readable reference of the store's contract. Keeps everything in this process: for simulation and tests. */
import { createHash } from 'node:crypto';
import { type Charge, NOTHING_SPENT, sum } from '../core/budget.js';
import { wakeAtOf } from '../core/deadlines.js';
import { assert } from '../core/errors.js';
import type { Entry } from '../core/events.js';
import { deadLettersOf, isLive } from '../core/instance.js';
import { asDigest, type Digest, type InstanceId } from '../core/names.js';
import type {
  Commit,
  EndedInstance,
  EndedInstances,
  InstancePage,
  InstanceQuery,
  StoredInstance,
  StoredSummary,
  TriggerBook,
  TriggerMark,
  WorkflowStore,
} from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { encodeEntry, readEntry } from './chain.js';
import { checkCommit, instanceExists, revisionConflict, storeClosed } from './commit-rules.js';
import {
  checkLimit,
  comparePositions,
  matches,
  pageOf,
  positionOf,
  storedSummaryOf,
  summaryOf,
} from './listing.js';

const BATCH = 500;

/** What outlives a handle: give the same data to two of them and the second finds what the first saved. */
export interface MemoryData {
  readonly instances: Map<InstanceId, StoredInstance>;
  readonly history: Map<InstanceId, string[]>;
  readonly templates: Map<Digest, WorkflowTemplate>;
  readonly blobs: Map<Digest, Uint8Array>;
  readonly marks: Map<string, TriggerMark>;
  /** By hour and workflow. */
  readonly charges: Map<string, Charge>;
}

export function emptyMemory(): MemoryData {
  return {
    instances: new Map(),
    history: new Map(),
    templates: new Map(),
    blobs: new Map(),
    marks: new Map(),
    charges: new Map(),
  };
}

export function addCharge({ charges }: MemoryData, charge: Charge): void {
  const key = `${charge.hour} ${charge.workflow}`;
  charges.set(key, { ...charge, spent: sum(charges.get(key)?.spent ?? NOTHING_SPENT, charge.spent) });
}

export class MemoryWorkflowStore implements WorkflowStore, TriggerBook, EndedInstances {
  readonly #data: MemoryData;
  #isClosed = false;

  constructor(data: MemoryData = emptyMemory()) {
    this.#data = data;
  }

  async save(commit: Commit): Promise<StoredInstance> {
    this.#checkOpen();
    checkCommit(commit);
    const { previous, next } = commit;
    const current = this.#data.instances.get(next.id);
    if (previous === null && current !== undefined) throw instanceExists(next.id);
    if (previous !== null && current?.head !== previous.head) {
      throw revisionConflict(next.id, previous.instance.revision, current?.instance.revision ?? null);
    }
    const entry = encodeEntry(commit);
    const stored = { instance: next, head: entry.hash };
    this.#data.instances.set(next.id, stored);
    const history = this.#data.history.get(next.id);
    if (history === undefined) this.#data.history.set(next.id, [entry.text]);
    else history.push(entry.text);
    if (commit.charge !== null) addCharge(this.#data, commit.charge);
    return stored;
  }

  async load(id: InstanceId): Promise<StoredInstance | null> {
    this.#checkOpen();
    return this.#data.instances.get(id) ?? null;
  }

  async summary(id: InstanceId): Promise<StoredSummary | null> {
    const stored = await this.load(id);
    return stored === null ? null : storedSummaryOf(stored);
  }

  async *loadActive(after: number, until: number): AsyncIterable<readonly StoredInstance[]> {
    this.#checkOpen();
    const due = [...this.#data.instances.values()].filter(({ instance }) => {
      const at = wakeAtOf(instance);
      return at !== null && at > after && at <= until;
    });
    for (let start = 0; start < due.length; start += BATCH) yield due.slice(start, start + BATCH);
  }

  async nextWakeAt(after: number): Promise<number | null> {
    this.#checkOpen();
    let next: number | null = null;
    for (const { instance } of this.#data.instances.values()) {
      const at = wakeAtOf(instance);
      if (at !== null && at > after && (next === null || at < next)) next = at;
    }
    return next;
  }

  async *changedSince(at: number): AsyncIterable<readonly InstanceId[]> {
    this.#checkOpen();
    const changed = [...this.#data.instances.values()].filter(({ instance }) => instance.updatedAt >= at);
    const ids = changed.map(({ instance }) => instance.id);
    for (let start = 0; start < ids.length; start += BATCH) yield ids.slice(start, start + BATCH);
  }

  async delete(id: InstanceId): Promise<void> {
    this.#checkOpen();
    const current = this.#data.instances.get(id);
    assert(current === undefined || !isLive(current.instance), `a live instance is never deleted: ${id}`);
    this.#data.instances.delete(id);
    this.#data.history.delete(id);
  }

  async list(query: InstanceQuery): Promise<InstancePage> {
    this.#checkOpen();
    checkLimit(query);
    const after = positionOf(query);
    const found = [...this.#data.instances.values()]
      .map(({ instance }) => summaryOf(instance))
      .filter(
        (summary) => matches(summary, query) && (after === null || comparePositions(after, summary) < 0),
      )
      .sort(comparePositions);
    return pageOf(found, query);
  }

  async *history(id: InstanceId, afterRevision = 0): AsyncIterable<Entry> {
    this.#checkOpen();
    for (const text of (this.#data.history.get(id) ?? []).slice(afterRevision)) yield readEntry(text);
  }

  async saveTemplate(template: WorkflowTemplate): Promise<void> {
    this.#checkOpen();
    this.#data.templates.set(template.hash, template);
  }

  async loadTemplate(hash: Digest): Promise<WorkflowTemplate | null> {
    this.#checkOpen();
    return this.#data.templates.get(hash) ?? null;
  }

  async saveBlob(bytes: Uint8Array): Promise<Digest> {
    this.#checkOpen();
    const digest = asDigest(createHash('sha256').update(bytes).digest('hex'));
    // a copy: the caller may use its buffer again
    if (!this.#data.blobs.has(digest)) this.#data.blobs.set(digest, Uint8Array.from(bytes));
    return digest;
  }

  async loadBlob(digest: Digest): Promise<Uint8Array | null> {
    this.#checkOpen();
    const bytes = this.#data.blobs.get(digest);
    return bytes === undefined ? null : Uint8Array.from(bytes);
  }

  async charges(since: number): Promise<readonly Charge[]> {
    this.#checkOpen();
    return [...this.#data.charges.values()].filter(({ hour }) => hour >= since);
  }

  async marks(): Promise<readonly TriggerMark[]> {
    this.#checkOpen();
    return [...this.#data.marks.values()];
  }

  async saveMark(mark: TriggerMark): Promise<void> {
    this.#checkOpen();
    this.#data.marks.set(mark.workflow, mark);
  }

  async ended(query: Parameters<EndedInstances['ended']>[0]): Promise<readonly EndedInstance[]> {
    this.#checkOpen();
    checkLimit(query);
    const { from, before, after } = query;
    return [...this.#data.instances.values()]
      .map(({ instance }) => instance)
      .filter((instance) => !isLive(instance) && deadLettersOf(instance).length === 0)
      .map(({ id, templateName: template, status, endedAt }) => ({
        id,
        template,
        status,
        endedAt: endedAt ?? 0,
      }))
      .filter((item) => item.endedAt >= from && item.endedAt < before)
      .filter((item) => after === undefined || isEndedBefore(after, item))
      .sort((a, b) => (isEndedBefore(a, b) ? -1 : 1))
      .slice(0, query.limit);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw storeClosed();
  }
}

type End = Pick<EndedInstance, 'id' | 'endedAt'>;

function isEndedBefore(a: End, b: End): boolean {
  return a.endedAt < b.endedAt || (a.endedAt === b.endedAt && a.id < b.id);
}
