/** The store that matters: SurrealDB, embedded or as a server, behind one journal. */

import type { Attic, RestoreBook } from '../../core/attic.js';
import type { DecisionBook, RecordedDecision } from '../../core/decision-log.js';
import { assert, VaporaError } from '../../core/errors.js';
import type { Entry } from '../../core/events.js';
import { applyEntry } from '../../core/evolve.js';
import type { ApiToken, TokenBook } from '../../core/identities.js';
import type { Digest, InstanceId } from '../../core/names.js';
import type {
  Clock,
  Commit,
  EndedInstance,
  EndedInstances,
  InstancePage,
  InstanceQuery,
  LiveCount,
  StoredInstance,
  StoredSummary,
  TriggerBook,
  TriggerMark,
  WorkflowStore,
} from '../../core/ports.js';
import type { WorkflowTemplate } from '../../core/template.js';
import { encodeEntry } from '../chain.js';
import { checkCommit, storeClosed } from '../commit-rules.js';
import { pause } from './backoff.js';
import { type Change, CommitQueue, type Session } from './commit-queue.js';
import { openDatabase } from './connection.js';
import type { Database } from './database.js';
import { isConflict, isFull, storeFailure } from './fault.js';
import type { Fold, FoldParts } from './fold.js';
import { HeadBook } from './head-book.js';
import { InstanceReader } from './instances.js';
import { listInstances } from './list.js';
import { migrate } from './migrate.js';
import { Projection } from './projection.js';
import { countLive, idsChangedSince, listEnded } from './queries.js';
import { type JournalTail, recover, takeOver } from './recovery.js';
import { deletionText } from './rows.js';
import { noStatistics, type StoreStatistics } from './statistics.js';
import { openTables, type Tables } from './tables.js';
import { TemplateTable } from './template-table.js';
import { UnwrittenBook } from './unwritten.js';

const PARTITION = 'main';
const MAX_TRIES = 8;

export interface SurrealStoreOptions {
  readonly clock: Clock;
  /** How a commit changes a state, for reading the journal again; the core's `applyEntry` unless given. */
  readonly fold?: Fold;
  /** Called once, when the store can write no more: the owner has to end the process. */
  readonly onFailure?: (error: VaporaError) => void;
  /** Open one that is half restored too. Default: false. */
  readonly isRestoring?: boolean;
  /** Called after each group commit: how many commits went to disk together, and how long that took. */
  readonly onBatch?: (size: number, ms: number) => void;
}

/**
 * A commit is on disk once its journal row is. The instances' own rows and their histories are written out afterwards, in the
 * background, and before any read that needs them. Opening it again replays what the journal holds.
 */
export class SurrealWorkflowStore
  implements TokenBook, DecisionBook, WorkflowStore, TriggerBook, EndedInstances
{
  readonly attic: Attic;
  readonly restores: RestoreBook;
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #onFailure: ((error: VaporaError) => void) | undefined;
  readonly #book: UnwrittenBook;
  readonly #heads: HeadBook;
  readonly #queue: CommitQueue;
  readonly #projection: Projection;
  readonly #tables: Tables;
  readonly #templates: TemplateTable;
  readonly #instances: InstanceReader;
  readonly #statistics = noStatistics();
  #failure: VaporaError | null = null;
  #closing: Promise<void> | null = null;

  private constructor(parts: {
    db: Database;
    options: SurrealStoreOptions;
    session: Session;
    book: UnwrittenBook;
    tail: JournalTail;
    templates: TemplateTable;
    folding: FoldParts;
  }) {
    const { db, options, session, book, tail } = parts;
    const { clock } = options;
    this.#db = db;
    this.#clock = clock;
    this.#onFailure = options.onFailure;
    this.#book = book;
    this.#templates = parts.templates;
    this.#heads = new HeadBook(db, (id) => {
      const unwritten = book.get(id);
      if (unwritten === undefined) return undefined;
      const { stored } = unwritten;
      return stored === null ? null : { revision: stored.instance.revision, head: stored.head };
    });
    this.#instances = new InstanceReader(parts.folding, book, this.#heads);
    const onFatal = (cause: unknown): VaporaError => this.#fail(cause);
    const { first: trimmed, last } = tail;
    const base = { db, clock, session };
    const heads = this.#heads;
    this.#projection = new Projection({
      ...base,
      book,
      heads,
      trimmed,
      last,
      onFatal,
      statistics: this.#statistics,
    });
    this.#queue = new CommitQueue({
      ...base,
      heads,
      last,
      onFatal,
      ready: () => this.#projection.ready(),
      statistics: this.#statistics,
      onBatch: options.onBatch,
    });
    const tables = openTables({
      ...base,
      book,
      write: (work) => this.#write(work),
      ready: async () => {
        this.#checkUsable();
        await this.#projection.flush();
      },
    });
    this.attic = tables.attic;
    this.restores = tables.restores;
    this.#tables = tables;
  }

  /**
   * Opens, migrates and recovers. Throws `store_locked`, `store_unreadable`, `store_engine_mismatch`, `store_newer`, `store_full`,
   * `config_invalid`.
   */
  static async open(url: string, options: SurrealStoreOptions): Promise<SurrealWorkflowStore> {
    const db = await openDatabase(url, options.clock);
    try {
      const store = await SurrealWorkflowStore.over(db, options);
      if (options.isRestoring !== true && (await store.restores.isHalfRestored()))
        throw halfRestored(db.place);
      return store;
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  /** Over a connection that is open. A second store over the same data fences the first. */
  static async over(db: Database, options: SurrealStoreOptions): Promise<SurrealWorkflowStore> {
    const { clock } = options;
    await migrate(db, clock);
    const session = await takeOver(db, clock, PARTITION);
    const book = new UnwrittenBook();
    const templates = new TemplateTable(db);
    const loadTemplate: TemplateTable['load'] = (hash) => templates.load(hash);
    const folding = { db, fold: options.fold ?? applyEntry, loadTemplate };
    const tail = await recover({ ...folding, clock, session, book });
    const store = new SurrealWorkflowStore({ db, options, session, book, tail, templates, folding });
    // what was recovered is written out in the background: nobody has to wait for it
    store.#projection.noteCommit(tail.last);
    return store;
  }

  /** Counted since it was opened. */
  statistics(): Readonly<StoreStatistics> {
    return { ...this.#statistics };
  }

  async save(commit: Commit): Promise<StoredInstance> {
    this.#checkUsable();
    checkCommit(commit);
    const { previous, next } = commit;
    const entry = encodeEntry(commit);
    const stored: StoredInstance = { instance: next, head: entry.hash };
    const base = previous === null ? null : { revision: previous.instance.revision, head: previous.head };
    const { revision, text } = entry;
    await this.#push({ id: next.id, previous: base, entry, text, charge: commit.charge }, (row) => {
      const now = this.#clock.now();
      const isNew = base === null;
      this.#book.add({ id: next.id, row, stored, entry: { revision, text }, isNew, now });
    });
    return stored;
  }

  async load(id: InstanceId): Promise<StoredInstance | null> {
    this.#checkUsable();
    return this.#instances.load(id);
  }

  async summary(id: InstanceId): Promise<StoredSummary | null> {
    this.#checkUsable();
    return this.#instances.summary(id);
  }

  async *loadActive(after: number, until: number): AsyncIterable<readonly StoredInstance[]> {
    this.#checkUsable();
    yield* this.#instances.loadActive(after, until);
  }

  async nextWakeAt(after: number): Promise<number | null> {
    this.#checkUsable();
    return this.#instances.nextWakeAt(after);
  }

  async *changedSince(at: number): AsyncIterable<readonly InstanceId[]> {
    this.#checkUsable();
    await this.#projection.flush();
    yield* idsChangedSince(this.#db, at);
  }

  async delete(id: InstanceId): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const previous = await this.summary(id);
      if (previous === null) return;
      assert(!previous.isLive, `a live instance is never deleted: ${id}`);
      try {
        await this.#push({ id, previous, entry: null, text: deletionText(id), charge: null }, (row) =>
          this.#book.addDeletion(id, row, this.#clock.now()),
        );
        return;
      } catch (error) {
        const hasMoved = error instanceof VaporaError && error.code === 'revision_conflict';
        if (!hasMoved || tries === MAX_TRIES) throw error;
      }
    }
  }

  async list(query: InstanceQuery): Promise<InstancePage> {
    this.#checkUsable();
    return listInstances(this.#db, query, [...this.#book.values()]);
  }

  /** Writes out what was put off, as happens by itself within seconds: rows, histories, and the journal's end. */
  writeOut(): Promise<void> {
    this.#checkUsable();
    return this.#projection.writeOut();
  }

  async *history(id: InstanceId, afterRevision = 0): AsyncIterable<Entry> {
    this.#checkUsable();
    yield* this.#instances.history(id, afterRevision);
  }

  async saveTemplate(template: WorkflowTemplate): Promise<void> {
    this.#checkUsable();
    await this.#templates.save(template, (work) => this.#write(work));
  }

  async loadTemplate(hash: Digest): Promise<WorkflowTemplate | null> {
    this.#checkUsable();
    return this.#templates.load(hash);
  }

  async saveBlob(bytes: Uint8Array): Promise<Digest> {
    this.#checkUsable();
    return this.#tables.blobs.save(bytes);
  }

  async loadBlob(digest: Digest): Promise<Uint8Array | null> {
    this.#checkUsable();
    return this.#tables.blobs.load(digest);
  }

  async tokens(): Promise<readonly ApiToken[]> {
    this.#checkUsable();
    return this.#tables.tokens.load();
  }

  async saveToken(token: ApiToken): Promise<void> {
    this.#checkUsable();
    await this.#tables.tokens.save(token);
  }

  async saveDecisions(decisions: readonly RecordedDecision[]): Promise<void> {
    this.#checkUsable();
    await this.#tables.decisions.save(decisions);
  }

  decisions(since: number): AsyncIterable<readonly RecordedDecision[]> {
    this.#checkUsable();
    return this.#tables.decisions.load(since);
  }

  async dropDecisions(before: number): Promise<void> {
    this.#checkUsable();
    await this.#tables.decisions.drop(before);
  }

  async charges(since: number): ReturnType<WorkflowStore['charges']> {
    this.#checkUsable();
    return this.#tables.charges.load(since);
  }

  async marks(): Promise<readonly TriggerMark[]> {
    this.#checkUsable();
    return this.#tables.marks.load();
  }

  async saveMark(mark: TriggerMark): Promise<void> {
    this.#checkUsable();
    await this.#tables.marks.save(mark);
  }

  /** Live instances by template and state, and how many dead letters are open. Looks at each live one: for the start. */
  async countLive(): Promise<{ readonly counts: readonly LiveCount[]; readonly openLetters: number }> {
    this.#checkUsable();
    await this.#projection.flush();
    return countLive(this.#db);
  }

  async ended(query: Parameters<EndedInstances['ended']>[0]): Promise<readonly EndedInstance[]> {
    this.#checkUsable();
    await this.#projection.flush();
    return listEnded(this.#db, query);
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#queue.idle();
    try {
      if (this.#failure === null) await this.#projection.finish();
    } finally {
      this.#projection.stop();
      this.#queue.fail(storeClosed());
      await this.#db.close();
    }
  }

  async #push(change: Change, onCommit: (row: number) => void): Promise<void> {
    await this.#queue.push(change, (row) => {
      onCommit(row);
      this.#projection.noteCommit(row);
    });
  }

  #checkUsable(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#closing !== null) throw storeClosed();
  }

  #fail(cause: unknown): VaporaError {
    if (this.#failure !== null) return this.#failure;
    const error = storeFailure(cause, this.#db.place);
    this.#failure = error;
    this.#queue.fail(error);
    this.#projection.stop();
    this.#onFailure?.(error);
    return error;
  }

  /** A write that may be repeated: conflicts are tried again, anything else is the end of this store. */
  async #write(work: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await work();
        return;
      } catch (cause) {
        if (isFull(cause) || !isConflict(cause) || tries === MAX_TRIES) throw this.#fail(cause);
        await pause(this.#clock, tries);
      }
    }
  }
}

function halfRestored(place: string): VaporaError {
  return new VaporaError('store_unreadable', `the store ${place} is half restored`, {
    hint: 'run `vapora restore` with the same backup again, or remove the store',
  });
}
