/**
 * What the journal holds and the instances' own rows do not yet: the newest state of each such instance and its new entries, oldest
 * first. Also counts, for each journal row, how many of its changes are still to be written out.
 */
import { isLive } from '../../core/instance.js';
import type { InstanceId } from '../../core/names.js';
import type { StoredInstance } from '../../core/ports.js';

export interface NewEntry {
  readonly revision: number;
  readonly text: string;
}

export interface Unwritten {
  readonly id: InstanceId;
  /** Null: deleted. */
  readonly stored: StoredInstance | null;
  readonly entries: readonly NewEntry[];
  /** Journal rows that hold the changes. */
  readonly rows: readonly number[];
  /** Characters of the entries. */
  readonly size: number;
  /** There is certainly no row yet. */
  readonly isNew: boolean;
  /** How often it was deleted: if ever, rows and history from before have to go first. */
  readonly clears: number;
  /** When it became unwritten. */
  readonly since: number;
}

export class UnwrittenBook {
  readonly #byId = new Map<InstanceId, Unwritten>();
  readonly #ended = new Set<InstanceId>();
  /** Changes still to be written out, by journal row, ascending. */
  readonly #open = new Map<number, number>();
  #size = 0;

  get count(): number {
    return this.#byId.size;
  }

  get endedCount(): number {
    return this.#ended.size;
  }

  get journalRows(): number {
    return this.#open.size;
  }

  get characters(): number {
    return this.#size;
  }

  get(id: InstanceId): Unwritten | undefined {
    return this.#byId.get(id);
  }

  ids(): InstanceId[] {
    return [...this.#byId.keys()];
  }

  /** Oldest first. */
  values(): IterableIterator<Unwritten> {
    return this.#byId.values();
  }

  ended(): IterableIterator<InstanceId> {
    return this.#ended.values();
  }

  /** `isNew`: the change creates the instance and the database knows nothing of it. */
  add(change: {
    id: InstanceId;
    row: number;
    stored: StoredInstance;
    entry: NewEntry;
    isNew: boolean;
    now: number;
  }): void {
    const { id, row, stored, entry } = change;
    const before = this.#byId.get(id);
    const size = (before?.size ?? 0) + entry.text.length;
    this.#size += entry.text.length;
    this.#count(row);
    this.#put({
      id,
      stored,
      entries: before === undefined ? [entry] : [...before.entries, entry],
      rows: before === undefined ? [row] : [...before.rows, row],
      size,
      isNew: before?.isNew ?? change.isNew,
      clears: before?.clears ?? 0,
      since: before?.since ?? change.now,
    });
  }

  addDeletion(id: InstanceId, row: number, now: number): void {
    const before = this.#byId.get(id);
    this.#size -= before?.size ?? 0;
    this.#count(row);
    const rows = [...(before?.rows ?? []), row];
    const since = before?.since ?? now;
    const clears = (before?.clears ?? 0) + 1;
    this.#put({ id, stored: null, entries: [], rows, size: 0, isNew: false, clears, since });
  }

  /** What was written is forgotten; what came on top of it in the meantime stays. */
  settle(written: Unwritten, now: number): void {
    for (const row of written.rows) this.#uncount(row);
    const current = this.#byId.get(written.id);
    if (current === undefined) return;
    this.#byId.delete(written.id);
    this.#ended.delete(written.id);
    if (current === written) {
      this.#size -= written.size;
      return;
    }
    const rows = current.rows.slice(written.rows.length);
    const clears = current.clears - written.clears;
    const entries = clears > 0 ? current.entries : current.entries.slice(written.entries.length);
    const size = entries.reduce((sum, entry) => sum + entry.text.length, 0);
    this.#size += size - current.size;
    this.#put({ ...current, rows, entries, size, isNew: false, clears, since: now });
  }

  /** Rows before this one hold nothing that is still to be written out; null: no row does. */
  firstOpenRow(): number | null {
    for (const [row, count] of this.#open) {
      if (count > 0) return row;
      this.#open.delete(row);
    }
    return null;
  }

  #put(unwritten: Unwritten): void {
    this.#byId.set(unwritten.id, unwritten);
    if (unwritten.stored === null || !isLive(unwritten.stored.instance)) this.#ended.add(unwritten.id);
    else this.#ended.delete(unwritten.id);
  }

  #count(row: number): void {
    this.#open.set(row, (this.#open.get(row) ?? 0) + 1);
  }

  #uncount(row: number): void {
    const count = this.#open.get(row);
    if (count !== undefined) this.#open.set(row, count - 1);
  }
}
