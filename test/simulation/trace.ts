/** All that happened in a simulated world, in order, as one hash; as lines too where somebody wants to read them. */
export class Trace {
  readonly lines: string[] | null;
  #low = 0x811c9dc5;
  #high = 0x1b873593;
  #count = 0;

  constructor(isKept: boolean) {
    this.lines = isKept ? [] : null;
  }

  add(now: number, line: string): void {
    this.#count += 1;
    this.#mix(now % 0x1_0000_0000);
    for (let index = 0; index < line.length; index += 1) this.#mix(line.charCodeAt(index));
    this.lines?.push(`${clockText(now)} ${line}`);
  }

  get hash(): string {
    return `${this.#count}-${(this.#high >>> 0).toString(16)}${(this.#low >>> 0).toString(16)}`;
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul((this.#high << 5) ^ (this.#high >>> 27) ^ value, 0x85ebca6b);
  }
}

/** Since the world's beginning, `h:mm:ss.mmm`. */
function clockText(now: number): string {
  const since = Math.floor(now - WORLD_START);
  const [hours, rest] = [Math.floor(since / 3_600_000), since % 3_600_000];
  const minutes = String(Math.floor(rest / 60_000)).padStart(2, '0');
  return `${hours}:${minutes}:${((rest % 60_000) / 1_000).toFixed(3).padStart(6, '0')}`;
}

/** 2026-01-01T00:00:00Z. */
export const WORLD_START = 1_767_225_600_000;
