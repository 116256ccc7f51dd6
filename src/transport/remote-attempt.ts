/** One attempt of an agent that calls over the network, from its dispatch to its end. */
import type { BlobRef } from '../core/instance.js';
import type { TaskOrder, TaskOutcome, TaskSink } from '../core/ports.js';

/**
 * `queued`: nobody has it yet. `delivered`: one agent has, under a lease. `awaited`: an earlier process has delivered it, and its agent
 * may come back. `ended`: nothing that is still said of it counts.
 */
export type AttemptPhase = 'queued' | 'delivered' | 'awaited' | 'ended';

/** What an agent hands in at the end, and a digest of all of it: by that a repeated result is known from another one. */
export interface Said {
  readonly status: 'completed' | 'failed';
  readonly digest: string;
}

export class RemoteAttempt {
  readonly order: TaskOrder;
  readonly sink: TaskSink;
  readonly #onEnd: (attempt: RemoteAttempt, said: Said | null, ending: Promise<boolean>) => void;
  phase: AttemptPhase;
  /** Secret of whoever it was delivered to; null until then. */
  lease: string | null = null;
  /** Whoever has registered the agent that it was delivered to. */
  owner = '';
  /** The lease is over then; nothing but the agent's words puts it off. */
  until: number;
  isStopping = false;
  #ending: Promise<boolean> | null = null;
  artifacts = 0;
  artifactBytes = 0;
  /** What was kept for its result, by digest. */
  readonly kept = new Map<string, BlobRef>();
  #onStopped: (() => void)[] = [];

  constructor(
    order: TaskOrder,
    sink: TaskSink,
    phase: 'queued' | 'awaited',
    until: number,
    onEnd: (attempt: RemoteAttempt, said: Said | null, ending: Promise<boolean>) => void,
  ) {
    this.order = order;
    this.sink = sink;
    this.phase = phase;
    this.until = until;
    this.#onEnd = onEnd;
  }

  get taskId(): string {
    return this.order.task_id;
  }

  /** The agent has it from now on. */
  deliver(lease: string, owner: string, until: number): void {
    this.phase = 'delivered';
    this.lease = lease;
    this.owner = owner;
    this.until = until;
  }

  /** A sign of life. One that is to stop gets no more time by it. */
  extend(until: number): void {
    if (!this.isStopping) this.until = until;
    this.sink.heartbeat();
  }

  async keep(content: Uint8Array): Promise<BlobRef> {
    const ref = await this.sink.keep(content);
    this.kept.set(ref.digest, ref);
    return ref;
  }

  /** Resolves once it has ended: by its agent's word, or with its lease. */
  stop(): Promise<void> {
    this.isStopping = true;
    if (this.phase === 'ended') return Promise.resolve();
    return new Promise((resolve) => this.#onStopped.push(resolve));
  }

  /** The first end counts; answers whether it is on disk and was applied. */
  end(outcome: TaskOutcome, said: Said | null = null): Promise<boolean> {
    this.#ending ??= this.#end(outcome, said);
    return this.#ending;
  }

  #end(outcome: TaskOutcome, said: Said | null): Promise<boolean> {
    this.phase = 'ended';
    const ending = this.sink.end(outcome);
    this.#onEnd(this, said, ending);
    for (const resolve of this.#onStopped.splice(0)) resolve();
    return ending;
  }
}
