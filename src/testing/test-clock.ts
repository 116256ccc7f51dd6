import type { Clock } from '../core/ports.js';
import { nextTurn } from '../engine/clock.js';

interface Timer {
  readonly at: number;
  readonly call: () => void;
}

/** 2024-01-01T00:00:00Z. */
const START = 1_704_067_200_000;

/** Time that passes only when a test says so. Ids count up, and delays have no jitter: runs are repeatable. */
export class TestClock implements Clock {
  #now: number;
  #ids = 0;
  readonly #timers = new Set<Timer>();

  /** `start`: milliseconds since the epoch. */
  constructor(start = START) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  random(): number {
    return 0;
  }

  /** `test-1`, `test-2`, … */
  newId(): string {
    this.#ids += 1;
    return `test-${this.#ids}`;
  }

  /** Calls that wait for their time. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Lets `ms` milliseconds pass: each timer that comes due rings at its time, in order, and what it sets going goes on before the
   * next one rings. `advance(0)` passes no time and only lets go on what can. What waits for anything but this clock, such as an
   * agent that reads a file, is not waited for.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await nextTurn();
      const timer = this.#next();
      if (timer === undefined || timer.at > end) break;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.call();
    }
    this.#now = end;
  }

  /** Of equal times, the one that was set first. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }
}
