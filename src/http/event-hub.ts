/**
 * The events of all instances, numbered as they are told. While somebody follows them the latest are kept, so that whoever was cut
 * off for a moment, or reads slowly, goes on exactly where they were; beyond that they are read from the histories again.
 */
import type { Notice, WorkflowApi } from '../core/api.js';
import type { EventRecord } from '../core/events.js';
import { eventToWire } from './contract/wire.js';

/** Kept, at most. */
const MAX_ITEMS = 4_096;
const MAX_CHARACTERS = 8 * 1_024 * 1_024;

export interface HubItem {
  readonly n: number;
  readonly event: EventRecord;
  /** As it goes over the wire. */
  readonly text: string;
}

/** Where a follower is. `at` says what to read again from the histories, where the number says nothing any more. */
export interface Position {
  /** Of the process that has numbered. */
  readonly epoch: string;
  readonly n: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function positionText({ epoch, n, at }: Position): string {
  return `${at}-${n}-${epoch}`;
}

/** Null: not one of ours. */
export function parsePosition(text: string): Position | null {
  const [, at = '', n = '', epoch = ''] = /^(\d{1,15})-(\d{1,15})-([\w-]{1,64})$/.exec(text) ?? [];
  return epoch === '' ? null : { epoch, n: Number(n), at: Number(at) };
}

export class EventHub {
  readonly epoch: string;
  readonly #followers = new Set<() => void>();
  #items: HubItem[] = [];
  #characters = 0;
  #last = 0;

  /** `epoch` is unique to this process. */
  constructor(api: Pick<WorkflowApi, 'subscribe'>, epoch: string) {
    this.epoch = epoch;
    api.subscribe((notice) => this.#hear(notice));
  }

  /** Number of the event told last. */
  get last(): number {
    return this.#last;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Calls after each event. Returns its unsubscribe. */
  follow(call: () => void): () => void {
    const entry = () => call();
    this.#followers.add(entry);
    return () => {
      this.#followers.delete(entry);
      if (this.#followers.size > 0) return;
      this.#items = [];
      this.#characters = 0;
    };
  }

  /** Those after number `n`; null: not all of them are kept any more. */
  after(n: number): readonly HubItem[] | null {
    if (n === this.#last) return [];
    const [first] = this.#items;
    if (first === undefined || n < first.n - 1 || n > this.#last) return null;
    return this.#items.slice(n - first.n + 1);
  }

  #hear(notice: Notice): void {
    if (notice.kind !== 'event') return;
    this.#last += 1;
    if (this.#followers.size === 0) return;
    const { event } = notice;
    const text = JSON.stringify(eventToWire(event));
    this.#items.push({ n: this.#last, event, text });
    this.#characters += text.length;
    if (this.#items.length > MAX_ITEMS || this.#characters > MAX_CHARACTERS) this.#drop();
    for (const call of this.#followers) call();
  }

  /** A quarter at once: to shift them one by one would cost more than to keep them. */
  #drop(): void {
    const dropped = this.#items.splice(0, Math.ceil(this.#items.length / 4));
    for (const { text } of dropped) this.#characters -= text.length;
  }
}
