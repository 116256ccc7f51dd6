/** Callers that wait for the engine: none of them for ever, when it can't go on. */
export class Callers {
  readonly #waiting = new Set<(error: unknown) => void>();

  /** Settles as `promise` does, or rejects when `rejectAll` is called before. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  rejectAll(error: unknown): void {
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
  }
}
