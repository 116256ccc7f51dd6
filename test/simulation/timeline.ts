/** What is going to happen, by the time of the simulated world. Of equal times, what was put in first. */

export interface Happening {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

export class Timeline {
  readonly #heap: Happening[] = [];
  #order = 0;
  /** Milliseconds since the epoch, as nobody in the simulated world can tell them: its processes have clocks of their own. */
  now: number;

  constructor(start: number) {
    this.now = start;
  }

  /** Answers its cancel. */
  after(delayMs: number, run: () => void): () => void {
    const happening: Happening = { at: this.now + Math.max(0, delayMs), order: this.#order, run };
    this.#order += 1;
    this.#push(happening);
    return () => {
      happening.run = null;
    };
  }

  /** Passes time up to the next happening; null: there is none. */
  next(): (() => void) | null {
    for (let top = this.#pop(); top !== undefined; top = this.#pop()) {
      if (top.run === null) continue;
      this.now = top.at;
      return top.run;
    }
    return null;
  }

  #push(item: Happening): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, item)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = item;
  }

  #pop(): Happening | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      const right = heap[below + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right;
        below += 1;
      }
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return top;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
