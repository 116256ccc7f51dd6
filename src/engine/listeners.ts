/** Who is told of every notice. */
import type { Logger } from 'pino';
import type { Notice } from '../core/api.js';

type Listener = (notice: Notice) => void;

export class Listeners {
  readonly #log: Logger;
  readonly #listeners = new Set<{ readonly tell: Listener }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** A listener may be given twice, and each subscription ends on its own. */
  add(tell: Listener): () => void {
    const entry = { tell };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** What is told is on disk already: a listener that throws changes nothing about it, and keeps nobody else from hearing it. */
  tell(notice: Notice): void {
    for (const listener of this.#listeners) {
      try {
        listener.tell(notice);
      } catch (error) {
        this.#log.error({ err: error }, 'a listener threw');
      }
    }
  }
}
