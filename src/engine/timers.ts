/** One timer for all deadlines. It holds hints: what is due is decided from the instance's state. */
import FlatQueue from 'flatqueue';
import type { Clock } from '../core/ports.js';

/** Fewer superseded times than this are not worth the work. */
const COMPACT_FROM = 1_024;

export class TimerQueue {
  readonly #clock: Clock;
  readonly #onDue: (id: string) => void;
  // superseded times stay in the heap until they come up; `#dueAt` says which one counts
  readonly #heap = new FlatQueue<string>();
  readonly #dueAt = new Map<string, number>();
  #cancel: (() => void) | null = null;
  #armedFor = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(clock: Clock, onDue: (id: string) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Times kept, superseded ones included. */
  get size(): number {
    return this.#heap.length;
  }

  /** One time per id: the newest counts. Null forgets it. After `close` nothing is kept. */
  set(id: string, at: number | null): void {
    if (this.#isClosed) return;
    if (at === null) {
      this.#dueAt.delete(id);
      return;
    }
    if (this.#dueAt.get(id) === at) return;
    this.#dueAt.set(id, at);
    this.#heap.push(id, at);
    this.#compact();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
    this.#dueAt.clear();
    this.#heap.clear();
  }

  /** A deadline is hours away and mostly superseded in no time: without this, all of them would be kept for hours. */
  #compact(): void {
    if (this.#heap.length < COMPACT_FROM || this.#heap.length < 2 * this.#dueAt.size) return;
    this.#heap.clear();
    for (const [id, at] of this.#dueAt) this.#heap.push(id, at);
    this.#heap.shrink();
  }

  #arm(): void {
    const next = this.#heap.peekValue();
    if (next === undefined || (this.#cancel !== null && this.#armedFor <= next)) return;
    this.#cancel?.();
    this.#armedFor = next;
    this.#cancel = this.#clock.after(Math.max(1, next - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#cancel = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (;;) {
      const at = this.#heap.peekValue();
      if (at === undefined || at > now) break;
      const id = this.#heap.pop();
      if (id === undefined || this.#dueAt.get(id) !== at) continue;
      this.#dueAt.delete(id);
      this.#onDue(id);
    }
    this.#arm();
  }
}
