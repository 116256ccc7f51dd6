/** What outlives every simulated process: a log of commits and what it amounts to. Who may write is decided here, by fence. */
import type { Commit, StoredInstance } from '../../src/core/ports.js';
import type { EncodedEntry } from '../../src/store/chain.js';
import type { MemoryData } from '../../src/store/memory.js';
import type { EngineCode } from './engine-code.js';
import { isEqual } from './equal.js';

/** A commit on its way to the disk. */
export interface Written {
  readonly commit: Commit;
  readonly entry: EncodedEntry;
}

export interface LogRecord extends Written {
  /** Of the process that wrote it. */
  readonly fence: number;
}

export type WriteResult =
  | { readonly stored: StoredInstance }
  | { readonly error: InstanceType<EngineCode['errors']['VaporaError']> };

export class Disk {
  readonly data: MemoryData;
  readonly log: LogRecord[] = [];
  /** Of the process that opened the store last. */
  fence = 0;
  readonly #code: EngineCode;

  constructor(code: EngineCode) {
    this.#code = code;
    this.data = code.memory.emptyMemory();
  }

  /** One transaction: each commit of it succeeds or fails alone, all of them are there or none is. */
  write(batch: readonly Written[], fence: number): WriteResult[] {
    if (fence !== this.fence) return batch.map(() => ({ error: this.fenced() }));
    return batch.map((written) => this.#writeOne(written, fence));
  }

  fenced(): InstanceType<EngineCode['errors']['VaporaError']> {
    return new this.#code.errors.VaporaError('store_fenced', 'another process has taken the store over');
  }

  #writeOne({ commit, entry }: Written, fence: number): WriteResult {
    const { previous, next } = commit;
    const { instanceExists, revisionConflict } = this.#code.commitRules;
    const current = this.data.instances.get(next.id);
    if (previous === null && current !== undefined) return { error: instanceExists(next.id) };
    if (previous !== null && current?.head !== previous.head) {
      const found = current?.instance.revision ?? null;
      return { error: revisionConflict(next.id, previous.instance.revision, found) };
    }
    return { stored: this.append({ commit, entry, fence }) };
  }

  append(record: LogRecord): StoredInstance {
    const { commit, entry } = record;
    const { id } = commit.next;
    const stored = { instance: commit.next, head: entry.hash };
    this.data.instances.set(id, stored);
    const history = this.data.history.get(id);
    if (history === undefined) this.data.history.set(id, [entry.text]);
    else history.push(entry.text);
    if (commit.charge !== null) this.#code.memory.addCharge(this.data, commit.charge);
    this.log.push(record);
    return stored;
  }

  /**
   * The disk as it was after the first `length` commits, made of nothing but what was written of them. Throws where that leads to
   * another state than the one that was committed.
   */
  prefix(length: number): Disk {
    const { chain, evolve } = this.#code;
    const disk = new Disk(this.#code);
    for (const [hash, template] of this.data.templates) disk.data.templates.set(hash, template);
    for (const [digest, bytes] of this.data.blobs) disk.data.blobs.set(digest, bytes);
    for (const { entry, commit, fence } of this.log.slice(0, length)) {
      const { at, events, ...rest } = chain.readEntry(entry.text);
      const previous = disk.data.instances.get(rest.instance) ?? null;
      const template = disk.data.templates.get(commit.next.templateHash);
      if (template === undefined) throw new Error(`the template of ${rest.instance} is not on disk`);
      const next = evolve.applyEntry(template, previous?.instance ?? null, { at, events, ...rest });
      if (!isEqual(next, commit.next)) throw new Error(`the log of ${next.id} leads to another state`);
      disk.append({ entry, fence, commit: { previous, next, at, events, charge: commit.charge } });
    }
    return disk;
  }
}
