/** Reads of instances: from what is not written out yet, which is newer than its row, and from the rows. */
import { wakeAtOf } from '../../core/deadlines.js';
import type { Entry } from '../../core/events.js';
import { isLive } from '../../core/instance.js';
import type { InstanceId } from '../../core/names.js';
import type { StoredInstance, StoredSummary } from '../../core/ports.js';
import { readEntry } from '../chain.js';
import { storedSummaryOf } from '../listing.js';
import { DUE_BATCH, loadDueRows, nextWakeRow } from './due.js';
import { type FoldParts, loadRow } from './fold.js';
import type { HeadBook } from './head-book.js';
import { readHistory } from './queries.js';
import { instanceId, type StateRow, SUMMARY_COLUMNS, type SummaryRow, summaryOfRow } from './rows.js';
import type { UnwrittenBook } from './unwritten.js';

export class InstanceReader {
  readonly #parts: FoldParts;
  readonly #book: UnwrittenBook;
  readonly #heads: HeadBook;

  constructor(parts: FoldParts, book: UnwrittenBook, heads: HeadBook) {
    this.#parts = parts;
    this.#book = book;
    this.#heads = heads;
  }

  async load(id: InstanceId): Promise<StoredInstance | null> {
    const unwritten = this.#book.get(id);
    if (unwritten !== undefined) return unwritten.stored;
    return loadRow(id, this.#parts);
  }

  async summary(id: InstanceId): Promise<StoredSummary | null> {
    const unwritten = this.#book.get(id);
    if (unwritten !== undefined) return unwritten.stored === null ? null : storedSummaryOf(unwritten.stored);
    const [found] = await this.#parts.db.run(`SELECT ${SUMMARY_COLUMNS}, revision, head, live FROM $id`, {
      id: instanceId(id),
    });
    const row = (found as readonly (SummaryRow & StateRow & { readonly live: boolean })[])[0];
    if (row === undefined) return null;
    const { revision, head, live } = row;
    return { summary: summaryOfRow(row), revision, head, isLive: live };
  }

  /** Entries after the revision: from the rows, and then from memory, where nobody has to wait for them to be written. */
  async *history(id: InstanceId, afterRevision: number): AsyncGenerator<Entry> {
    // before the rows are read: what is written out meanwhile must be in one of the two
    const unwritten = this.#book.get(id);
    const entries = unwritten?.entries ?? [];
    const isNewer = ({ revision }: { revision: number }) => revision > afterRevision;
    // what a deletion has not yet taken away is of an instance before
    if (unwritten === undefined || unwritten.clears === 0) {
      const [first] = entries;
      for await (const entry of readHistory(this.#parts.db, id, afterRevision)) {
        if (first !== undefined && entry.revision >= first.revision) break;
        yield entry;
      }
    }
    for (const { text } of entries.filter(isNewer)) yield readEntry(text);
  }

  async *loadActive(after: number, until: number): AsyncGenerator<readonly StoredInstance[]> {
    const unwritten = [...this.#book.values()];
    const newer = new Set<string>(unwritten.map(({ id }) => id));
    const due = unwritten.flatMap(({ stored }) => {
      const at = stored === null ? null : wakeAtOf(stored.instance);
      return stored !== null && at !== null && at > after && at <= until ? [stored] : [];
    });
    for (let start = 0; start < due.length; start += DUE_BATCH) yield due.slice(start, start + DUE_BATCH);
    for await (const batch of loadDueRows(this.#parts.db, after, until, (id) => newer.has(id))) {
      for (const { instance, head } of batch) {
        // of anything else: it may have been deleted since its row was read
        if (isLive(instance)) this.#heads.note(instance.id, { revision: instance.revision, head });
      }
      yield batch;
    }
  }

  async nextWakeAt(after: number): Promise<number | null> {
    const times: number[] = [];
    // before the rows are read: what is written out meanwhile must be in one of the two
    for (const { stored } of this.#book.values()) {
      const at = stored === null ? null : wakeAtOf(stored.instance);
      if (at !== null && at > after) times.push(at);
    }
    const written = await nextWakeRow(this.#parts.db, after);
    if (written !== null) times.push(written);
    return times.length === 0 ? null : times.reduce((first, at) => Math.min(first, at));
  }
}
