/**
 * Group commit. While one transaction is under way, saves queue up; the next transaction takes them all, as one journal row. Each
 * is checked against the current head of its instance right before, so it succeeds or fails alone.
 */
import { RecordId } from 'surrealdb';
import type { Charge } from '../../core/budget.js';
import { VaporaError } from '../../core/errors.js';
import type { Digest, InstanceId } from '../../core/names.js';
import type { Clock } from '../../core/ports.js';
import type { EncodedEntry } from '../chain.js';
import { instanceExists, revisionConflict } from '../commit-rules.js';
import { pause } from './backoff.js';
import { ADD_CHARGES, chargeRows } from './charge-table.js';
import type { Database } from './database.js';
import { FENCED, isConflict, isDiskFault, isThrown, TAKEN } from './fault.js';
import type { Head, HeadBook } from './head-book.js';
import { instanceId, JOURNAL, joinEntries } from './rows.js';
import type { StoreStatistics } from './statistics.js';

const MAX_BATCH = 256;
/** Fewer go together: a transaction costs as much as writing about this many entries. */
const MIN_SPLIT = 16;
const MAX_BATCH_CHARACTERS = 1024 * 1024;
const MAX_TRIES = 8;

export interface Session {
  readonly partition: string;
  readonly fence: number;
}

/** One change of one instance: an entry, or its deletion where `entry` is null. */
export interface Change {
  readonly id: InstanceId;
  /** What it must follow; null: the instance must not exist. Undefined: whatever is there. */
  readonly previous: { readonly revision: number; readonly head: Digest } | null | undefined;
  readonly entry: EncodedEntry | null;
  readonly text: string;
  /** What it adds to what the workflow's instances have used together. */
  readonly charge: Charge | null;
}

interface Waiting {
  readonly change: Change;
  readonly onCommit: (n: number) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export const CHECK_FENCE = `IF (SELECT VALUE fence FROM ONLY $owner) != $fence { THROW '${FENCED}' };`;
const CHECK_NEW = `IF array::len((SELECT * FROM $ids)) > 0 { THROW '${TAKEN}' };`;
const APPEND = 'INSERT INTO journal $rows RETURN NONE;';

export function sessionValues(session: Session): Record<string, unknown> {
  return { owner: new RecordId('engine_session', session.partition), fence: session.fence };
}

export class CommitQueue {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #session: Session;
  readonly #heads: HeadBook;
  readonly #onFatal: (cause: unknown) => VaporaError;
  readonly #ready: () => Promise<void>;
  readonly #statistics: StoreStatistics;
  readonly #onBatch: ((size: number, ms: number) => void) | undefined;
  #queue: Waiting[] = [];
  #last: number;
  #draining: Promise<void> | null = null;
  #failure: VaporaError | null = null;

  /** `ready` is awaited before each transaction: where it waits, so do the commits. `last` is the journal's last row. */
  constructor(parts: {
    db: Database;
    clock: Clock;
    session: Session;
    heads: HeadBook;
    last: number;
    onFatal: (cause: unknown) => VaporaError;
    ready: () => Promise<void>;
    statistics: StoreStatistics;
    onBatch: ((size: number, ms: number) => void) | undefined;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#session = parts.session;
    this.#heads = parts.heads;
    this.#last = parts.last;
    this.#onFatal = parts.onFatal;
    this.#ready = parts.ready;
    this.#statistics = parts.statistics;
    this.#onBatch = parts.onBatch;
  }

  /** Resolves once the change is on disk; `onCommit` has been called with its journal row then, in the order of commits. */
  push(change: Change, onCommit: (n: number) => void): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#queue.push({ change, onCommit, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Everything waiting, and everything from now on, fails with `error`. */
  fail(error: VaporaError): void {
    this.#failure ??= error;
    for (const waiting of this.#queue.splice(0)) waiting.reject(this.#failure);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#draining !== null) await this.#draining;
  }

  /**
   * One transaction at a time. The next one is on its way before the owners of the one just done are told: they then decide while
   * the engine writes. For that a burst is cut in two, see {@link #take}.
   */
  async #drain(): Promise<void> {
    // saves of the same turn of the event loop go together
    await Promise.resolve();
    try {
      let done: readonly Waiting[] = [];
      while (this.#queue.length > 0 || done.length > 0) {
        await this.#ready();
        const batch = this.#take(done.length);
        const writing = this.#write(batch);
        if (batch.length > 0 && done.length > 0) await this.#nextTurn();
        for (const { resolve } of done) resolve();
        done = await writing;
      }
    } catch (cause) {
      this.fail(this.#onFatal(cause));
    } finally {
      this.#draining = null;
    }
  }

  /** By then the driver has handed the transaction over. */
  #nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(0, resolve);
    });
  }

  /** Resolves with those of the batch that are on disk now; the others have been rejected. Never rejects. */
  async #write(batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    if (batch.length === 0) return [];
    const startedAt = this.#clock.now();
    try {
      const written = await this.#commit(await this.#admit(batch));
      this.#onBatch?.(written.length, this.#clock.now() - startedAt);
      return written;
    } catch (cause) {
      const error = this.#onFatal(cause);
      for (const waiting of batch) waiting.reject(error);
      this.fail(error);
      return [];
    }
  }

  /** Half of those that write at present: who waits, and who will soon, being told just now. All, where they are few. */
  #take(toldNow: number): Waiting[] {
    const half = Math.ceil((this.#queue.length + toldNow) / 2);
    const most = Math.min(MAX_BATCH, Math.max(MIN_SPLIT, half));
    let characters = 0;
    let count = 0;
    for (const { change } of this.#queue) {
      characters += change.text.length;
      if (count > 0 && (count === most || characters > MAX_BATCH_CHARACTERS)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Rejects what does not follow the current state. New ids that memory knows nothing of are left to the transaction. */
  async #admit(batch: readonly Waiting[]): Promise<Waiting[]> {
    await this.#heads.learn(
      batch.filter(({ change }) => change.previous !== null).map(({ change }) => change.id),
    );
    const changed = new Map<InstanceId, Head | null>();
    return batch.filter(({ change, reject }) => {
      const { id, previous, entry } = change;
      const current = changed.has(id) ? changed.get(id) : this.#heads.current(id);
      const refusal = refusalOf(id, previous, current);
      if (refusal !== null) reject(refusal);
      else changed.set(id, entry === null ? null : { revision: entry.revision, head: entry.hash });
      return refusal === null;
    });
  }

  async #commit(batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    let admitted: readonly Waiting[] = batch;
    for (let tries = 1; admitted.length > 0; tries += 1) {
      const n = this.#last + 1;
      try {
        await this.#append(n, admitted);
      } catch (cause) {
        if (isThrown(cause, TAKEN)) {
          admitted = await this.#rejectTaken(admitted);
          continue;
        }
        if (!(await this.#isKnownWritten(n, admitted, cause))) {
          if (!isConflict(cause) || tries >= MAX_TRIES) throw cause;
          await pause(this.#clock, tries);
          continue;
        }
      }
      this.#last = n;
      this.#count(admitted);
      for (const { onCommit } of admitted) onCommit(n);
      return admitted;
    }
    return [];
  }

  #count(batch: readonly Waiting[]): void {
    const statistics = this.#statistics;
    statistics.journalRows += 1;
    statistics.commits += batch.length;
    for (const { change } of batch) {
      statistics.journalBytes += change.text.length;
      if (change.previous === null) statistics.instances += 1;
    }
  }

  async #append(n: number, batch: readonly Waiting[]): Promise<void> {
    const ids = this.#unknown(batch).map(({ change }) => instanceId(change.id));
    const entries = joinEntries(batch.map(({ change }) => change.text));
    const rows = [{ id: [this.#session.partition, n], fence: this.#session.fence, entries }];
    const charges = chargeRows(batch.flatMap(({ change }) => change.charge ?? []));
    const adding = charges.length > 0 ? ADD_CHARGES : '';
    const beside = `${this.#checkFence()} ${ids.length > 0 ? CHECK_NEW : ''} ${adding}`.trim();
    // one statement is a transaction by itself, and costs the engine a third less than one in BEGIN and COMMIT
    const statements = beside === '' ? APPEND : `BEGIN; ${beside} ${APPEND} COMMIT`;
    await this.#db.run(statements, { ...sessionValues(this.#session), rows, ids, charges });
  }

  /** The statement that checks the fence; none is needed where whoever could raise it is in this process. */
  #checkFence(): string {
    if (!this.#db.isEmbedded) return CHECK_FENCE;
    const { partition, fence } = this.#session;
    if (this.#db.fences.get(partition) !== fence) throw new Error(FENCED);
    return '';
  }

  /** New ids of which only the database can say whether they are taken. */
  #unknown(batch: readonly Waiting[]): Waiting[] {
    return batch.filter(
      ({ change }) => change.previous === null && this.#heads.current(change.id) === undefined,
    );
  }

  async #rejectTaken(batch: readonly Waiting[]): Promise<Waiting[]> {
    await this.#heads.learn(this.#unknown(batch).map(({ change }) => change.id));
    return this.#admit(batch);
  }

  /**
   * An error says nothing about what is on disk. Reading back tells, where only the answer was lost. It does not where the engine
   * itself failed: it then still shows what it could not write, and has lost it once it is opened again.
   */
  async #isKnownWritten(n: number, batch: readonly Waiting[], cause: unknown): Promise<boolean> {
    if (isThrown(cause, FENCED) || this.#db.isEmbedded || isDiskFault(cause)) return false;
    const [found] = await this.#db.run('SELECT * FROM $row', {
      row: new RecordId(JOURNAL, [this.#session.partition, n]),
    });
    const row = (found as readonly { fence: number; entries: string }[])[0];
    if (row === undefined) return false;
    const isSame = row.entries === joinEntries(batch.map(({ change }) => change.text));
    if (row.fence === this.#session.fence && isSame) return true;
    throw new VaporaError('store_fenced', `the store ${this.#db.place} was taken over by another engine`);
  }
}

function refusalOf(
  id: InstanceId,
  previous: Change['previous'],
  current: Head | null | undefined,
): VaporaError | null {
  if (previous === undefined) return null;
  if (previous === null) return current === null || current === undefined ? null : instanceExists(id);
  if (current?.head === previous.head && current.revision === previous.revision) return null;
  return revisionConflict(id, previous.revision, current?.revision ?? null);
}
