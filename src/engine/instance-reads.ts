/** The half of the engine that only looks: nothing in here wakes an instance or changes it. */
import { canonicalJson } from '../config/canonical.js';
import { shown } from '../config/text.js';
import type { AuditReport, DeadLetter, InstanceArtifact, LetterPage, LetterQuery } from '../core/api.js';
import type { Anchor } from '../core/attic.js';
import { VaporaError } from '../core/errors.js';
import { type Entry, type EventRecord, recordsOf } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import { type BlobRef, blobsOf, type WorkflowInstance } from '../core/instance.js';
import { asInstanceId, type InstanceId, isName } from '../core/names.js';
import type {
  EngineObserver,
  InstancePage,
  InstanceQuery,
  InstanceSummary,
  StoredInstance,
  StoredSummary,
  WorkflowStore,
} from '../core/ports.js';
import { verifyChain } from '../store/chain.js';
import { checkLimit, cursorAt } from '../store/listing.js';
import { loadBlob } from './blobs.js';
import { encodeLetterCursor, letterCursorOf, lettersOf } from './dead-letters.js';
import { artifactsOf } from './orders.js';
import { unknownInstance } from './unknown-instance.js';

/** Of instances that had the id and are gone, the latest first. */
export type AnchorsOf = (id: InstanceId) => Promise<readonly Anchor[]>;

const PAGE = 200;
/** Entries that are as quick to read as to look for. */
const SEARCH_UNTIL = 16;
/** Instances whose states are read for one page of letters, at most. */
const MAX_LETTERED = 100;

export abstract class InstanceReads {
  readonly #store: WorkflowStore;
  readonly #observer: EngineObserver;
  readonly #anchors: AnchorsOf;

  constructor(store: WorkflowStore, observer: EngineObserver, anchors: AnchorsOf) {
    this.#store = store;
    this.#observer = observer;
    this.#anchors = anchors;
  }

  /** Throws what has brought the engine down, or `engine_stopping`. */
  protected abstract refuseIfDown(): void;

  async get(id: string): Promise<WorkflowInstance> {
    return (await this.stored(id)).instance;
  }

  list(query: InstanceQuery): Promise<InstancePage> {
    return this.#store.list(query);
  }

  async *history(id: string, afterSeq = 0): AsyncGenerator<EventRecord> {
    const { summary, revision } = await this.#summaryOf(id);
    const from = await this.#revisionBefore(summary.id, afterSeq, revision);
    for await (const entry of this.#store.history(summary.id, from)) {
      if (entry.firstSeq + entry.events.length - 1 <= afterSeq) continue;
      for (const record of recordsOf(entry)) if (record.seq > afterSeq) yield record;
    }
  }

  /** One that no event after `afterSeq` is in, near the one that has it: what a page costs does not grow with what comes before. */
  async #revisionBefore(id: InstanceId, afterSeq: number, last: number): Promise<number> {
    let low = 0;
    // an entry has at least one event
    let high = Math.min(last, afterSeq);
    while (high - low > SEARCH_UNTIL) {
      const middle = Math.floor((low + high) / 2);
      const next = await this.#entryAfter(id, middle);
      if (next !== null && next.firstSeq <= afterSeq + 1) low = middle;
      else high = middle;
    }
    return low;
  }

  async #entryAfter(id: InstanceId, revision: number): Promise<Entry | null> {
    for await (const entry of this.#store.history(id, revision)) return entry;
    return null;
  }

  async *entries(id: string): AsyncGenerator<Entry> {
    const { summary } = await this.#summaryOf(id);
    yield* this.#store.history(summary.id);
  }

  /** What lists show of it; for one whose history is broken too. Throws `instance_unknown`. */
  async summary(id: string): Promise<InstanceSummary> {
    return (await this.#summaryOf(id)).summary;
  }

  async deadLetters(query: LetterQuery): Promise<LetterPage> {
    checkLimit(query);
    const { instances, last } = letterCursorOf(query);
    const letters: DeadLetter[] = [];
    /** Where a page goes on that ends with each of them. */
    const places: string[] = [];
    const add = (instance: WorkflowInstance, place: string | null, stage?: string): void => {
      if (query.workflow !== undefined && query.workflow !== instance.templateName) return;
      for (const letter of lettersOf(instance, stage)) {
        letters.push(letter);
        const end = { id: instance.id, stage: letter.stage };
        places.push(encodeLetterCursor({ instances: place, last: end }));
      }
    };
    const first = last?.id ?? query.instance;
    const begun = first === undefined ? null : await this.find(asInstanceId(first));
    if (begun !== null) add(begun.instance, instances, last?.stage);
    else if (query.instance !== undefined) throw await this.#unknown(query.instance);
    let next: string | null = null;
    if (query.instance === undefined && letters.length <= query.limit) {
      const page = await this.#letteredPage(query, instances);
      for (const summary of page.items) {
        if (letters.length > query.limit) break;
        const stored = await this.find(summary.id);
        if (stored !== null) add(stored.instance, cursorAt(summary));
      }
      next = page.next === null ? null : encodeLetterCursor({ instances: page.next, last: null });
    }
    if (letters.length <= query.limit) return { items: letters, next };
    return { items: letters.slice(0, query.limit), next: places[query.limit - 1] ?? null };
  }

  #letteredPage({ workflow, limit }: LetterQuery, cursor: string | null): Promise<InstancePage> {
    return this.list({
      withDeadLetters: true,
      limit: Math.min(limit, MAX_LETTERED),
      ...(workflow === undefined ? {} : { template: workflow }),
      ...(cursor === null ? {} : { cursor }),
    });
  }

  /** All that match, page by page. */
  protected async *summaries(
    query: Omit<InstanceQuery, 'limit' | 'cursor'>,
  ): AsyncGenerator<InstanceSummary> {
    let cursor: string | null = null;
    do {
      const page: InstancePage = await this.list({
        ...query,
        limit: PAGE,
        ...(cursor === null ? {} : { cursor }),
      });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== null);
  }

  async artifacts(id: string): Promise<readonly InstanceArtifact[]> {
    return artifactsOf((await this.stored(id)).instance, () => true);
  }

  async content(id: string, ref: Pick<BlobRef, 'digest'>): Promise<Uint8Array> {
    const { instance } = await this.stored(id);
    const known = blobsOf(instance).find(({ digest }) => digest === ref.digest);
    if (known !== undefined) return loadBlob(this.#store, known);
    const digest = shown(ref.digest.slice(0, 12));
    throw new VaporaError('artifact_unknown', `instance \`${shown(id)}\` refers to no content \`${digest}\``);
  }

  /** The state is read last: of an instance that has ended it may be nowhere but in the history that is to be checked. */
  async verifyAudit(id: string): Promise<AuditReport> {
    const { summary, revision, head } = await this.#summaryOf(id);
    const report = await verifyChain(this.#store.history(summary.id), summary.id, { revision, hash: head });
    const broken = report.broken ?? (await this.#verifyState(summary.id, revision));
    this.#observer.audited(broken === null);
    return { id: summary.id, head, ...report, broken };
  }

  /** A whole history does not help whoever is shown a state that was changed beside it. */
  async #verifyState(id: InstanceId, revision: number): Promise<AuditReport['broken']> {
    const { instance } = await this.stored(id);
    const template = await this.#store.loadTemplate(instance.templateHash);
    if (template === null) return { revision: 1, reason: 'its template is gone' };
    let state: WorkflowInstance | null = null;
    for await (const entry of this.#store.history(id)) state = applyEntry(template, state, entry);
    if (canonicalJson(state) === canonicalJson(instance)) return null;
    return { revision, reason: 'the state is not what the history leads to' };
  }

  protected async find(id: InstanceId): Promise<StoredInstance | null> {
    this.refuseIfDown();
    // a store is only asked about what can be in it
    return isName(id) ? this.#store.load(id) : null;
  }

  /** Throws `instance_unknown`. */
  protected async stored(id: string): Promise<StoredInstance> {
    const stored = await this.find(asInstanceId(id));
    if (stored === null) throw await this.#unknown(id);
    return stored;
  }

  async #summaryOf(id: string): Promise<StoredSummary> {
    this.refuseIfDown();
    const known = isName(id) ? await this.#store.summary(asInstanceId(id)) : null;
    if (known === null) throw await this.#unknown(id);
    return known;
  }

  async #unknown(id: string): Promise<VaporaError> {
    if (!isName(id)) return unknownInstance(id);
    return unknownInstance(id, (await this.#anchors(asInstanceId(id)))[0]);
  }
}
