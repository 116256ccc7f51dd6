/** Who is told of every notice. */
import type { Logger } from 'pino';
import type { Happening } from '../core/api.js';

type Listener = (notice: Happening) => void;

export class Listeners {
  readonly #log: Logger;
  readonly #listeners = new Set<{ readonly tell: Listener; readonly id: string | null }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Hears of the instance `id`, or of all. A listener may be given twice, and each subscription ends on its own. */
  add(tell: Listener, id: string | null = null): () => void {
    const entry = { tell, id };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** What is told is on disk already: a listener that throws changes nothing about it, and keeps nobody else from hearing it. */
  tell(notice: Happening): void {
    const about = notice.kind === 'event' ? notice.event.workflow_id : notice.workflow_id;
    for (const listener of this.#listeners) {
      if (listener.id !== null && listener.id !== about) continue;
      try {
        listener.tell(notice);
      } catch (error) {
        this.#log.error({ err: error }, 'a listener threw');
      }
    }
  }
}
