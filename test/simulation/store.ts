/** One process's handle on the disk: group commits that take time, fail, or are on disk and say that they failed. */
import type { Charge } from '../../src/core/budget.js';
import type { Entry } from '../../src/core/events.js';
import type { Digest, InstanceId } from '../../src/core/names.js';
import type {
  Commit,
  InstancePage,
  InstanceQuery,
  StoredInstance,
  StoredSummary,
  WorkflowStore,
} from '../../src/core/ports.js';
import type { WorkflowTemplate } from '../../src/core/template.js';
import type { Disk, WriteResult, Written } from './disk.js';
import { never, type SimulatedProcess } from './process.js';
import type { Port } from './scenario.js';

interface Waiting extends Written {
  resolve(stored: StoredInstance): void;
  reject(error: unknown): void;
}

export class SimulatedStore implements WorkflowStore {
  readonly #process: SimulatedProcess;
  readonly #disk: Disk;
  readonly #fence: number;
  /** Reads, over what is on disk now. */
  readonly #reader: WorkflowStore;
  #queue: Waiting[] = [];
  #isFlushing = false;
  #calls = 0;
  /** What every later call fails with. */
  #failure: unknown = null;

  constructor(process: SimulatedProcess) {
    const { disk, code } = process.world;
    this.#process = process;
    this.#disk = disk;
    this.#fence = process.number;
    this.#reader = new code.memory.MemoryWorkflowStore(disk.data);
    disk.fence = process.number;
  }

  save(commit: Commit): Promise<StoredInstance> {
    const { world } = this.#process;
    const ask = () => {
      if (this.#failure !== null) return Promise.reject(this.#failure);
      world.code.commitRules.checkCommit(commit);
      world.onSaving(this.#process, commit);
      const entry = world.code.chain.encodeEntry(commit);
      return new Promise<StoredInstance>((resolve, reject) => {
        this.#queue.push({ commit, entry, resolve, reject });
        if (!this.#isFlushing) this.#beginFlush();
      });
    };
    return this.#process.port('save', ask, never());
  }

  /** What waits goes together in one transaction. */
  #beginFlush(): void {
    this.#isFlushing = true;
    const { world } = this.#process;
    world.timeline.after(0, () => {
      if (this.#process.isDead) return;
      const batch = this.#queue.splice(0);
      const fault = world.faults.onTransaction();
      if (batch.length > 1) world.coverage.faultPoint('group commit');
      const [before, after] = world.delaysOf('commit', `${this.#process.number}.${this.#calls}`);
      this.#calls += 1;
      // slow to be written, or written and slow to be known
      const slowMs = fault?.how === 'slow' ? fault.ms : 0;
      const writeMs = before + ((fault?.nth ?? 0) % 2 === 0 ? slowMs : 0);
      const answerMs = before + after + slowMs - writeMs;
      world.timeline.after(writeMs, () => this.#write(batch, fault?.how ?? null, answerMs));
    });
  }

  #write(batch: readonly Waiting[], how: 'lost' | 'unsure' | 'slow' | null, answerMs: number): void {
    const { world } = this.#process;
    // a transaction that was sent by a process that has died since may be on disk or not
    if (this.#process.isDead && !world.isSo('landed', `${this.#process.number}.${this.#calls}`)) return;
    let results: WriteResult[] = [];
    if (how !== 'lost') {
      results = this.#disk.write(batch, this.#fence);
      world.onWritten(this.#process, batch, results);
    }
    const failure = how === 'lost' || how === 'unsure' ? this.#failed(how) : null;
    world.timeline.after(answerMs, () => this.#process.enter(() => this.#answer(batch, results, failure)));
  }

  #failed(how: string): Error {
    const { VaporaError } = this.#process.world.code.errors;
    return new VaporaError('store_failed', `the transaction is ${how}`);
  }

  #answer(batch: readonly Waiting[], results: readonly WriteResult[], failure: Error | null): void {
    this.#isFlushing = false;
    for (const [index, { resolve, reject }] of batch.entries()) {
      const result = results[index];
      if (failure !== null) this.#fail(failure);
      if (failure !== null) reject(failure);
      else if (result !== undefined && 'stored' in result) resolve(result.stored);
      else if (result !== undefined) {
        if (result.error.code === 'store_fenced') this.#fail(result.error);
        reject(result.error);
      }
    }
    if (this.#failure !== null) for (const { reject } of this.#queue.splice(0)) reject(this.#failure);
    if (this.#queue.length > 0) this.#beginFlush();
  }

  /** Final for this handle. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#process.hasStoreFailed = true;
  }

  // ---- reads, templates and blobs ----------------------------------------------------------------------------------

  load(id: InstanceId): Promise<StoredInstance | null> {
    return this.#read('load', () => this.#reader.load(id));
  }

  summary(id: InstanceId): Promise<StoredSummary | null> {
    return this.#read('load', () => this.#reader.summary(id));
  }

  async *loadActive(after: number, until: number): AsyncIterable<readonly StoredInstance[]> {
    const { wakeAtOf } = this.#process.world.code.deadlines;
    const due = await this.#read('load_active', async () => {
      const found = [...this.#disk.data.instances.values()].filter(({ instance }) => {
        const at = wakeAtOf(instance);
        return at !== null && at > after && at <= until;
      });
      this.#process.world.watch?.onRecovery(this.#disk, found);
      return found;
    });
    for (let start = 0; start < due.length; start += 2) {
      if (start > 0) await this.#read('load_active', async () => null);
      yield due.slice(start, start + 2);
    }
  }

  /** At times earlier than the first, as the contract lets it. */
  nextWakeAt(after: number): Promise<number | null> {
    const { world } = this.#process;
    return this.#read('load_active', async () => {
      const next = await this.#reader.nextWakeAt(after);
      const key = `${this.#process.number}.${this.#calls}`;
      if (next === null || !world.isSo('early_wake', key)) return next;
      return world.spanOf(`wake ${key}`, after + 1, next);
    });
  }

  async *changedSince(at: number): AsyncIterable<readonly InstanceId[]> {
    await this.#read('list', async () => null);
    yield* this.#reader.changedSince(at);
  }

  delete(id: InstanceId): Promise<void> {
    return this.#read('load', () => this.#reader.delete(id));
  }

  list(query: InstanceQuery): Promise<InstancePage> {
    return this.#read('list', () => this.#reader.list(query));
  }

  async *history(id: InstanceId, afterRevision = 0): AsyncIterable<Entry> {
    await this.#read('load', async () => null);
    yield* this.#reader.history(id, afterRevision);
  }

  saveTemplate(template: WorkflowTemplate): Promise<void> {
    return this.#read('template', () => this.#reader.saveTemplate(template));
  }

  loadTemplate(hash: Digest): Promise<WorkflowTemplate | null> {
    return this.#read('template', () => this.#reader.loadTemplate(hash));
  }

  saveBlob(bytes: Uint8Array): Promise<Digest> {
    return this.#read('blob', () => this.#reader.saveBlob(bytes));
  }

  loadBlob(digest: Digest): Promise<Uint8Array | null> {
    return this.#read('blob', () => this.#reader.loadBlob(digest));
  }

  charges(since: number): Promise<readonly Charge[]> {
    return this.#read('load', () => this.#reader.charges(since));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Done at one moment, answered at a later one. */
  #read<T>(port: Port, perform: () => Promise<T>): Promise<T> {
    const { world } = this.#process;
    const ask = () => {
      if (this.#failure !== null) return Promise.reject(this.#failure);
      this.#calls += 1;
      const kind = port === 'blob' ? 'content' : 'read';
      const [before, after] = world.delaysOf(kind, `${this.#process.number}.${this.#calls}`);
      return new Promise<T>((resolve, reject) => {
        world.timeline.after(before, () => {
          if (this.#process.isDead && !world.isSo('landed', `${this.#process.number}.${this.#calls}`)) return;
          perform().then(
            (value) => world.timeline.after(after, () => this.#process.enter(() => resolve(value))),
            reject,
          );
        });
      });
    };
    return this.#process.port(port, ask, never());
  }
}
