/** Chance from a seed, so that a run can be repeated: the plan at least, if not what the machine makes of it. */
import { createHash } from 'node:crypto';

export class Chance {
  #state: number;

  /** Equal words give equal chance. */
  constructor(...words: readonly (string | number)[]) {
    this.#state = createHash('sha256').update(words.join('\0')).digest().readUInt32LE(0);
  }

  /** 0 inclusive to 1 exclusive (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 0 to `end`, which is exclusive. */
  integer(end: number): number {
    return Math.floor(this.next() * end);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }

  /** By the weights, which need not add up to anything. */
  weighed<T extends { readonly weight: number }>(items: readonly T[]): T {
    let rest = this.next() * items.reduce((sum, { weight }) => sum + weight, 0);
    for (const item of items) {
      rest -= item.weight;
      if (rest < 0) return item;
    }
    return this.pick(items);
  }
}
