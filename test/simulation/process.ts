/**
 * A simulated process: what is between the engine and the world. Everything that the engine does to the world goes out through
 * `port`, everything that the world does to the engine comes in through `enter`. A process that has died does nothing any more, and
 * one that stands still hears later what it was told.
 */
import type { Clock } from '../../src/core/ports.js';
import { chanceOf } from './chance.js';
import type { Port } from './scenario.js';
import type { World } from './world.js';

/** Never settles. Each is a new one: whatever waits for one of them is garbage with it. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

export class SimulatedProcess {
  readonly world: World;
  /** From 1; also its fence on the store. */
  readonly number: number;
  readonly clock: SimulatedClock;
  /** By its own clock. */
  readonly startedAt: number;
  isDead = false;
  /** Another process has opened the store since. */
  isZombie = false;
  /** The store has told it something that it can't go on after. */
  hasStoreFailed = false;
  /** What it was told while it stands still; null: it runs. */
  #held: (() => void)[] | null = null;
  #onDeath: (() => void)[] = [];

  constructor(world: World, number: number, clockMs: number) {
    this.world = world;
    this.number = number;
    this.clock = new SimulatedClock(this, clockMs);
    this.startedAt = this.clock.now();
  }

  get isPaused(): boolean {
    return this.#held !== null;
  }

  /** The world has something to tell the process. */
  enter(tell: () => void): void {
    if (this.isDead) return;
    if (this.#held !== null) {
      this.#held.push(tell);
      return;
    }
    this.world.faults.onEnter(this);
    tell();
  }

  /** The process does something to the world. Answers `dead` where it has died before. */
  port<T>(port: Port, perform: () => T, dead: T): T {
    if (this.isDead) return dead;
    const crash = this.world.faults.onPort(port);
    if (crash?.moment === 'before') {
      this.die(`crash before ${port}`, crash);
      return dead;
    }
    const result = perform();
    if (crash !== null) this.die(`crash after ${port}`, crash);
    return result;
  }

  onDeath(call: () => void): void {
    this.#onDeath.push(call);
  }

  die(why: string, restart: { downMs: number; clockMs: number }): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#held = null;
    this.world.note(`process ${this.number} ends: ${why}`);
    for (const call of this.#onDeath.splice(0)) call();
    this.world.onDeath(this, restart);
  }

  pause(): void {
    this.#held ??= [];
  }

  goOn(): void {
    const held = this.#held ?? [];
    this.#held = null;
    // one after the other, each in a turn of its own, as a process that wakes up finds them
    for (const tell of held) this.world.timeline.after(0, () => this.enter(tell));
  }
}

/** `now` keeps to the contract of `Clock`: it never goes back within one process. Another process may begin anywhere. */
export class SimulatedClock implements Clock {
  readonly #process: SimulatedProcess;
  #offsetMs: number;
  #drawn = 0;

  constructor(process: SimulatedProcess, offsetMs: number) {
    this.#process = process;
    this.#offsetMs = offsetMs;
  }

  now(): number {
    return Math.floor(this.#process.world.timeline.now) + this.#offsetMs;
  }

  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  after(delayMs: number, call: () => void): () => void {
    const { world } = this.#process;
    const set = () => world.timeline.after(delayMs, () => this.#process.enter(call));
    // what the engine does with every stage's end is no place of its own to crash at
    if (delayMs === 0) return this.#process.isDead ? () => {} : set();
    return this.#process.port('timer', set, () => {});
  }

  random(): number {
    this.#drawn += 1;
    return chanceOf(this.#process.world.scenario.seed, `random ${this.#process.number} ${this.#drawn}`);
  }

  newId(): string {
    return this.#process.world.newId();
  }
}
