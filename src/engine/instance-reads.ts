/** The half of the engine that only looks: nothing in here wakes an instance or changes it. */
import { canonicalJson } from '../config/canonical.js';
import { shown } from '../config/text.js';
import type { AuditReport, DeadLetter, InstanceArtifact } from '../core/api.js';
import type { Anchor } from '../core/attic.js';
import { VaporaError } from '../core/errors.js';
import { type Entry, type EventRecord, recordsOf } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import { type BlobRef, blobsOf, deadLettersOf, type WorkflowInstance } from '../core/instance.js';
import { asInstanceId, type InstanceId } from '../core/names.js';
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
import { loadBlob } from './blobs.js';
import { deadLetterOf } from './dead-letters.js';
import { artifactsOf } from './orders.js';
import { unknownInstance } from './unknown-instance.js';

/** Of instances that had the id and are gone, the latest first. */
export type AnchorsOf = (id: InstanceId) => Promise<readonly Anchor[]>;

const PAGE = 200;

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
    for await (const entry of this.entries(id)) {
      if (entry.firstSeq + entry.events.length - 1 <= afterSeq) continue;
      for (const record of recordsOf(entry)) if (record.seq > afterSeq) yield record;
    }
  }

  async *entries(id: string): AsyncGenerator<Entry> {
    const { summary } = await this.#summaryOf(id);
    yield* this.#store.history(summary.id);
  }

  /** What lists show of it; for one whose history is broken too. Throws `instance_unknown`. */
  async summary(id: string): Promise<InstanceSummary> {
    return (await this.#summaryOf(id)).summary;
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    for await (const { id } of this.summaries({ withDeadLetters: true })) {
      const instance = await this.get(id);
      letters.push(...deadLettersOf(instance).map((stage) => deadLetterOf(instance, stage)));
    }
    return letters;
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
    return this.#store.load(id);
  }

  /** Throws `instance_unknown`. */
  protected async stored(id: string): Promise<StoredInstance> {
    const stored = await this.find(asInstanceId(id));
    if (stored === null) throw await this.#unknown(id);
    return stored;
  }

  async #summaryOf(id: string): Promise<StoredSummary> {
    this.refuseIfDown();
    const known = await this.#store.summary(asInstanceId(id));
    if (known === null) throw await this.#unknown(id);
    return known;
  }

  async #unknown(id: string): Promise<VaporaError> {
    return unknownInstance(id, (await this.#anchors(asInstanceId(id)))[0]);
  }
}
