/** Values of one label, as many as a metrics database can bear. */

export const OTHER = 'other';

export class LabelBook {
  readonly #max: number;
  readonly #known = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The value itself, or `other` once there are too many: names come from configurations, and those may change for ever. */
  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#max) return OTHER;
    this.#known.add(value);
    return value;
  }
}
