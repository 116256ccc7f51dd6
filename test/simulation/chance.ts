/** Randomness that can be had again. */

/**
 * 0 inclusive to 1 exclusive, by name: the same seed and key give the same number, whatever else was asked for. So that a scenario
 * from which something was left out meets the same fate in everything else.
 */
export function chanceOf(seed: number, key: string): number {
  let hash = seed ^ 0x9e3779b9;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return mixed(hash) / 0x1_0000_0000;
}

function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A stream of numbers: for making scenarios, where order is all there is. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = mixed(seed ^ 0x5bd1e995);
  }

  /** 0 inclusive to 1 exclusive. */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return mixed(this.#state) / 0x1_0000_0000;
  }

  /** Another stream, which takes nothing from this one. */
  fork(): Dice {
    return new Dice(this.#state ^ 0x9e3779b9);
  }

  chance(share: number): boolean {
    return this.roll() < share;
  }

  /** Both inclusive. */
  int(least: number, most: number): number {
    return least + Math.floor(this.roll() * (most - least + 1));
  }

  pick<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    const item = items[Math.floor(this.roll() * items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }

  /** `count` different ones, in a random order. */
  some<T>(items: readonly T[], count: number): T[] {
    const left = [...items];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) {
      taken.push(...left.splice(Math.floor(this.roll() * left.length), 1));
    }
    return taken;
  }

  /** Mostly short, at times long: each from the range of a step that is as likely as the others. */
  span(...steps: readonly (readonly [number, number])[]): number {
    const [least, most] = this.pick(steps);
    return this.int(least, most);
  }
}
