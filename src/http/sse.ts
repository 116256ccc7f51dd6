/** One connection of server-sent events. What a slow reader has not taken yet is never piled up: whoever writes waits. */
import type { FastifyReply } from 'fastify';
import type { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { operatingErrorOf, problemOf } from './problem.js';
import type { Standing } from './standing.js';

/** A proxy gives a silent connection up after a minute or so. */
const HEARTBEAT_MS = 15_000;
/** A reader that takes nothing for so long is gone, or as good as gone. */
const STALLED_MS = 60_000;
/** How long a client waits before it connects again. */
const RETRY_MS = 1_000;

export interface Frame {
  readonly id?: string;
  /** Left out: `message`. */
  readonly event?: string;
  /** JSON, on one line. */
  readonly data: string;
}

export function frameText({ id, event, data }: Frame): string {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`;
  return `${head}data: ${data}\n\n`;
}

export class EventConnection {
  readonly #reply: FastifyReply;
  readonly #clock: Clock;
  readonly #standing: Standing;
  readonly #onClose = new Set<() => void>();
  #cancelHeartbeat: () => void = () => {};
  #isClosed = false;

  /** Takes the answer over and begins it. It lasts as long as the reader's standing, which is confirmed with every heartbeat. */
  constructor(reply: FastifyReply, clock: Clock, standing: Standing) {
    this.#reply = reply;
    this.#clock = clock;
    this.#standing = standing;
    const headers = reply.getHeaders();
    reply.hijack();
    reply.raw.writeHead(200, {
      ...(headers as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would hold events back otherwise
      'x-accel-buffering': 'no',
    });
    reply.raw.on('close', () => this.close());
    reply.raw.on('error', () => this.close());
    reply.raw.write(`retry: ${RETRY_MS}\n\n`);
    this.#beat();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Resolves once there is room for more; at once where the connection is closed. */
  async send(frame: Frame): Promise<void> {
    // a timer may be late
    if (this.#clock.now() >= this.#standing.until) await this.confirm();
    if (this.#isClosed || this.#reply.raw.write(frameText(frame))) return;
    const { raw } = this.#reply;
    const ends: (() => void)[] = [];
    await new Promise<void>((resolve) => {
      raw.once('drain', resolve);
      const cancel = this.#clock.after(STALLED_MS, () => {
        // an orderly end would wait for the reader
        raw.destroy();
        this.close();
      });
      ends.push(() => raw.off('drain', resolve), this.onClose(resolve), cancel);
    });
    // a reader that is slow for days must leave nothing behind
    for (const end of ends) end();
  }

  /** Calls once the connection is closed, or at once where it is. Returns its unsubscribe. */
  onClose(call: () => void): () => void {
    if (this.#isClosed) call();
    else this.#onClose.add(call);
    return () => this.#onClose.delete(call);
  }

  /** Closes where the reader has lost its standing. Never rejects. */
  async confirm(): Promise<void> {
    try {
      if (!this.#isClosed) await this.#standing.confirm();
    } catch (error) {
      const told = operatingErrorOf(error);
      if (told.code === 'server_failed') this.#reply.log.error({ err: error }, 'a reader can not be judged');
      this.fail(told);
    }
  }

  /** Closes, and says why as the last message. */
  fail(error: VaporaError): void {
    const { raw } = this.#reply;
    if (this.#isClosed) return;
    // what a slow reader has not taken yet it is not to have: it is told when it comes again
    if (raw.writableNeedDrain) raw.destroy();
    else raw.write(frameText({ event: 'error', data: JSON.stringify(problemOf(error)) }));
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelHeartbeat();
    this.#reply.raw.end();
    for (const call of this.#onClose) call();
    this.#onClose.clear();
  }

  #beat(): void {
    const delayMs = Math.min(HEARTBEAT_MS, this.#standing.until - this.#clock.now());
    this.#cancelHeartbeat = this.#clock.after(delayMs, () => void this.#stillHere());
  }

  async #stillHere(): Promise<void> {
    await this.confirm();
    if (this.#isClosed) return;
    if (!this.#reply.raw.writableNeedDrain) this.#reply.raw.write(': still here\n\n');
    this.#beat();
  }
}

/** Wakes one waiter; a call while nobody waits is remembered. */
export class Signal {
  #isSet = false;
  #wake: (() => void) | null = null;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
    this.#wake = null;
  }

  /** Resolves once it has been set since the last wait. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isSet = false;
  }
}
