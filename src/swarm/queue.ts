/** Wishes for an agent that nobody could take yet, fair across instances. */

export interface Want {
  /** Unique to the task. */
  readonly key: string;
  readonly instance: string;
  readonly role: string;
}

/** First in, first out within an instance; one from each instance in turn. */
export class FairQueue {
  // insertion order is the order of turns
  readonly #byInstance = new Map<string, Want[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(want: Want): void {
    const line = this.#byInstance.get(want.instance);
    if (line === undefined) this.#byInstance.set(want.instance, [want]);
    else line.push(want);
    this.#size += 1;
  }

  shift(): Want | undefined {
    for (const [instance, line] of this.#byInstance) {
      const want = line.shift();
      this.#byInstance.delete(instance);
      if (line.length > 0) this.#byInstance.set(instance, line);
      if (want === undefined) continue;
      this.#size -= 1;
      return want;
    }
    return undefined;
  }

  remove(want: Want): boolean {
    const line = this.#byInstance.get(want.instance);
    const index = line?.findIndex((candidate) => candidate.key === want.key) ?? -1;
    if (line === undefined || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.#byInstance.delete(want.instance);
    this.#size -= 1;
    return true;
  }
}
