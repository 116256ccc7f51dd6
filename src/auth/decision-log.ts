/** Keeps what the authorizer has said. Whoever asks never waits for that. */
import type { Logger } from 'pino';
import type { DecisionBook, RecordedDecision } from '../core/decision-log.js';
import type { Decision } from '../core/instance.js';
import type { AuthorizationRequest, Clock } from '../core/ports.js';
import { requestKey } from './request.js';

/** Written together: reads ask a lot, and a commit each would cost more than the question. */
const FLUSH_MS = 1_000;
/** Distinct ones that wait to be written; more are counted, and lost. */
const MAX_WAITING = 10_000;
const ROW_DECISIONS = 500;
export const KEPT_MS = 30 * 86_400_000;
const SWEEP_MS = 3_600_000;

export class DecisionLog {
  readonly #book: DecisionBook;
  readonly #clock: Clock;
  readonly #log: Logger;
  #waiting = new Map<string, RecordedDecision>();
  #lost = 0;
  #cancel: (() => void) | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #sweptAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(parts: { book: DecisionBook; clock: Clock; log: Logger }) {
    this.#book = parts.book;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** `count`: how many decisions it stands for. */
  record(request: AuthorizationRequest, decision: Decision, count: number): void {
    if (this.#isClosed) return;
    const key = `${decision.effect} ${decision.policySet} ${requestKey(request)}`;
    const known = this.#waiting.get(key);
    if (known !== undefined) this.#waiting.set(key, { ...known, count: known.count + count });
    else if (this.#waiting.size >= MAX_WAITING) this.#lost += count;
    else this.#waiting.set(key, { at: this.#clock.now(), request, decision, count });
    this.#cancel ??= this.#clock.after(FLUSH_MS, () => {
      this.#cancel = null;
      this.flush();
    });
  }

  /** Resolves once everything said so far is on disk. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await this.flush();
  }

  /** Never rejects: what was decided holds, whether it can be kept or not. */
  async #write(): Promise<void> {
    const decisions = [...this.#waiting.values()];
    const lost = this.#lost;
    this.#waiting = new Map();
    this.#lost = 0;
    if (lost > 0)
      this.#log.error({ lost }, 'more decisions than can be kept: some are not in the decision log');
    try {
      for (let start = 0; start < decisions.length; start += ROW_DECISIONS) {
        await this.#book.saveDecisions(decisions.slice(start, start + ROW_DECISIONS));
      }
      const now = this.#clock.now();
      if (now - this.#sweptAt < SWEEP_MS) return;
      this.#sweptAt = now;
      await this.#book.dropDecisions(now - KEPT_MS);
    } catch (error) {
      this.#log.error({ err: error, lost: decisions.length }, 'the decision log can not be written');
    }
  }
}
