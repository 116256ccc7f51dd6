/** A stream of events from the server, opened again where it broke off. */
import { createParser } from 'eventsource-parser';
import { LRUCache } from 'lru-cache';
import type { Notice } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { errorOf } from './connection.js';
import { Problem } from './contract/problem.js';
import { eventFromWire, fromWire } from './contract/wire.js';

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;
/** Of one event. */
const MAX_EVENT_CHARACTERS = 64 * 1_024 * 1_024;
/** Instances of which is known what was heard last. */
const MAX_INSTANCES = 10_000;

/** Opens the stream behind the event with this id. */
export type OpenStream = (after: string | undefined, signal: AbortSignal) => Promise<Response>;

/**
 * Tells `listener` each event once, until the returned function is called, or until the server refuses to tell more: then `ended` is
 * told last.
 */
export function openStream(open: OpenStream, clock: Clock, listener: (notice: Notice) => void): () => void {
  const abort = new AbortController();
  const heard = new Heard(listener);
  const run = async (): Promise<void> => {
    for (let delayMs = FIRST_DELAY_MS; !abort.signal.aborted; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      try {
        await readAll(await open(heard.lastId, abort.signal), heard);
        delayMs = FIRST_DELAY_MS;
      } catch (error) {
        if (error instanceof VaporaError && !error.isRetryable && !abort.signal.aborted) {
          listener({ kind: 'ended', error });
          return;
        }
        // of a server that is away whoever listens learns from their next call; here it is only tried again
      }
      if (!abort.signal.aborted) await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    }
  };
  run();
  return () => abort.abort();
}

async function readAll(answer: Response, heard: Heard): Promise<void> {
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onEvent: ({ id, event, data }) => heard.tell(id, event, data),
  });
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
}

/** What was sent again after an interruption is not told again. */
class Heard {
  readonly #listener: (notice: Notice) => void;
  readonly #seqs = new LRUCache<string, number>({ max: MAX_INSTANCES });
  lastId: string | undefined;

  constructor(listener: (notice: Notice) => void) {
    this.#listener = listener;
  }

  tell(id: string | undefined, type: string | undefined, data: string): void {
    if (id !== undefined && id !== '') this.lastId = id;
    const value: unknown = JSON.parse(data);
    if (type === 'progress') {
      this.#listener({
        kind: 'progress',
        ...(fromWire(value) as Omit<Extract<Notice, { kind: 'progress' }>, 'kind'>),
      });
      return;
    }
    if (type === 'error') throw errorOf(Problem.parse(value));
    if (type !== undefined) return;
    const event = eventFromWire(value);
    if (event.seq <= (this.#seqs.get(event.workflow_id) ?? 0)) return;
    this.#seqs.set(event.workflow_id, event.seq);
    this.#listener({ kind: 'event', event });
  }
}
