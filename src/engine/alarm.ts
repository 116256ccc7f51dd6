/**
 * One timer for the deadlines of all instances that sleep. They are in the store alone, however many they are; this only knows when to
 * look there next.
 */
import type { Clock } from '../core/ports.js';

export class Alarm {
  readonly #clock: Clock;
  readonly #wakeDue: (until: number) => Promise<void>;
  readonly #nextWakeAt: (after: number) => Promise<number | null>;
  readonly #fail: (error: unknown) => void;
  /** When it rings; null: not at all. */
  #at: number | null = null;
  #cancel: (() => void) | null = null;
  #isOn = false;
  #isRinging = false;
  /** It came to ring while it was ringing. */
  #isDueAgain = false;
  #isClosed = false;

  /** `wakeDue` wakes what sleeps until then or less, and resolves when that has moved on; `nextWakeAt` answers as the store's. */
  constructor(parts: {
    clock: Clock;
    wakeDue: (until: number) => Promise<void>;
    nextWakeAt: (after: number) => Promise<number | null>;
    fail: (error: unknown) => void;
  }) {
    this.#clock = parts.clock;
    this.#wakeDue = parts.wakeDue;
    this.#nextWakeAt = parts.nextWakeAt;
    this.#fail = parts.fail;
  }

  /** Whether it wakes what sleeps: from {@link turnOn} on. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** From now on it wakes whatever comes due; resolves once it knows when to ring for what sleeps beyond `after`. */
  async turnOn(after: number): Promise<void> {
    this.#isOn = true;
    await this.#lookAhead(after);
  }

  /** An instance goes to sleep until `at`. */
  note(at: number): void {
    if (this.#isClosed || (this.#at !== null && this.#at <= at)) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.#clock.after(Math.max(1, at - this.#clock.now()), () => this.#ring());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #ring(): void {
    this.#at = null;
    this.#cancel = null;
    if (this.#isRinging) {
      this.#isDueAgain = true;
      return;
    }
    this.#isRinging = true;
    this.#wakeAll()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#isRinging = false;
      });
  }

  async #wakeAll(): Promise<void> {
    do {
      this.#isDueAgain = false;
      const now = this.#clock.now();
      await this.#wakeDue(now);
      if (this.#isClosed) return;
      // what was due until now has moved on, although its row may not say so yet
      await this.#lookAhead(now);
    } while (this.#isDueAgain);
  }

  async #lookAhead(after: number): Promise<void> {
    const next = await this.#nextWakeAt(after);
    if (next !== null) this.note(next);
  }
}
