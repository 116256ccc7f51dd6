/** What an engine under load takes, said every few seconds on its output. */
import { readdirSync } from 'node:fs';

const EVERY_MS = 5_000;

/** Since the sample before; times in milliseconds. */
export interface Sample {
  /** Seconds since the engine was opened. */
  readonly age: number;
  readonly memoryMb: number;
  readonly files: number;
  readonly ended: number;
  /** How long a start took to be acknowledged. */
  readonly startP50: number;
  readonly startP99: number;
  /** From start to end, of workflows that wait for nobody. */
  readonly wholeP50: number;
  readonly wholeP99: number;
}

export class Sampler {
  readonly #began = performance.now();
  #starts: number[] = [];
  #wholes: number[] = [];
  #ended = 0;

  constructor() {
    setInterval(() => this.#say(), EVERY_MS).unref();
  }

  started(ms: number): void {
    this.#starts.push(ms);
  }

  ended(ms: number | null): void {
    this.#ended += 1;
    if (ms !== null) this.#wholes.push(ms);
  }

  #say(): void {
    const [starts, wholes] = [this.#starts.sort((a, b) => a - b), this.#wholes.sort((a, b) => a - b)];
    const sample: Sample = {
      age: Math.round((performance.now() - this.#began) / 1000),
      memoryMb: process.memoryUsage.rss() / 2 ** 20,
      files: openFiles(),
      ended: this.#ended,
      startP50: quantile(starts, 0.5),
      startP99: quantile(starts, 0.99),
      wholeP50: quantile(wholes, 0.5),
      wholeP99: quantile(wholes, 0.99),
    };
    process.stdout.write(`sample ${JSON.stringify(sample)}\n`);
    this.#starts = [];
    this.#wholes = [];
    this.#ended = 0;
  }
}

/** Of values in ascending order; 0 where there are none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
