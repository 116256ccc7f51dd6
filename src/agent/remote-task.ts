/** One task that an agent has got from a server: its lease, its words, and its result. */
import { isUtf8 } from 'node:buffer';
import { VaporaError } from '../core/errors.js';
import type { BlobRef, StepResult } from '../core/instance.js';
import type { Clock, OutputArtifact, Progress, TaskOutcome } from '../core/ports.js';
import type { AttemptVoice, Runner } from '../transport/runner.js';
import { describe, failedOutcome, usageMessage } from './outcome.js';
import type { RemoteOrder } from './remote-order.js';
import type { ServerCalls } from './server-calls.js';

/** Signs of life within a lease; two may get lost. */
const BEATS_PER_LEASE = 3;
/** Artifacts up to this size travel in the result, together up to the other; larger ones before it. */
const MAX_INLINE_ARTIFACT_BYTES = 64 * 1024;
const MAX_INLINE_RESULT_BYTES = 1024 * 1024;
const RETRY_MS = 250;

export interface RemoteTaskOptions {
  readonly calls: ServerCalls;
  readonly clock: Clock;
  readonly runner: Runner;
  readonly onTrouble: (error: VaporaError) => void;
}

export class RemoteTask implements AttemptVoice {
  readonly lease: string;
  readonly #order: RemoteOrder;
  readonly #options: RemoteTaskOptions;
  readonly #abort = new AbortController();
  readonly #leaseMs: number;
  #leaseUntil: number;
  #lastWord: number;
  #cancelBeat: () => void = () => {};
  #isDone = false;
  #onKept: (isKept: boolean) => void = () => {};
  readonly #kept = new Promise<boolean>((resolve) => {
    this.#onKept = resolve;
  });
  #isLeaving = false;

  constructor(order: RemoteOrder, askedAt: number, options: RemoteTaskOptions) {
    this.#order = order;
    this.#options = options;
    this.lease = order.lease;
    this.#leaseMs = order.leaseMs;
    // from before the question: the server's clock began to count later, so this lease is over first
    this.#leaseUntil = askedAt + order.leaseMs;
    this.#lastWord = options.clock.now();
  }

  get taskId(): string {
    return this.#order.order.task_id;
  }

  /** Resolves once there is nothing left to do about the task. Never rejects. */
  async run(): Promise<void> {
    if (!(await this.#begin())) return;
    try {
      await this.#handIn(await this.#outcome());
      this.#onKept(true);
    } catch (error) {
      this.#onKept(false);
      if (error instanceof VaporaError) this.#options.onTrouble(error);
    } finally {
      this.#isDone = true;
      this.#cancelBeat();
    }
  }

  async #outcome(): Promise<TaskOutcome> {
    if (this.#abort.signal.aborted) return failedOutcome('agent_lost', 'it was stopped', true, null);
    return this.#options.runner
      .run(this.#order.order, this, this.#abort)
      .catch((error: unknown) => failedOutcome('agent_failed', describe(error), true, null));
  }

  /**
   * How long the delivery was on its way nobody can tell, and the call that it answers may have waited for it for long. Where too little
   * is left for certain, the server is asked first. False: the lease may be over, so nothing is begun.
   */
  async #begin(): Promise<boolean> {
    const betweenMs = this.#leaseMs / BEATS_PER_LEASE;
    if (this.#leaseUntil - this.#options.clock.now() < 2 * betweenMs) {
      const giveUpAt = this.#options.clock.now() + this.#leaseMs;
      this.#leaseUntil = Math.max(this.#leaseUntil, giveUpAt);
      try {
        await this.#insist(() => this.#say('/heartbeat', null));
      } catch (error) {
        this.#isDone = true;
        if (error instanceof VaporaError) this.#options.onTrouble(error);
        return false;
      }
    }
    if (!this.#isDone) this.#beatLater(betweenMs);
    return true;
  }

  /** The server wants the task to end, or it is somebody else's now. */
  stop(code: 'lease_lost' | 'agent_lost', why: string): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(new VaporaError(code, why));
  }

  /** The agent goes: what it gives up is for the next one, and does not count as failed. */
  leave(): void {
    this.#isLeaving = true;
    this.stop('agent_lost', 'the agent is leaving');
  }

  /** The server knows the lease, as of a question asked at that time. */
  confirm(askedAt: number): void {
    this.#leaseUntil = Math.max(this.#leaseUntil, askedAt + this.#leaseMs);
  }

  // ---- the agent's words -------------------------------------------------------------------------------------------

  heartbeat(): void {
    this.#lastWord = this.#options.clock.now();
  }

  progress(progress: Progress): void {
    this.heartbeat();
    const { message, fraction } = progress;
    const body = fraction === null ? { message } : { message, fraction };
    void this.#say('/progress', body).catch(() => undefined);
  }

  async step({ name, value }: StepResult): Promise<void> {
    this.heartbeat();
    await this.#insist(() => this.#post('/steps', { name, value }));
  }

  async blob(ref: BlobRef): Promise<Uint8Array> {
    return this.#insist(() => this.#options.calls.download(`/tasks/${this.lease}/content/${ref.digest}`));
  }

  async keep(content: Uint8Array): Promise<BlobRef> {
    const answer = await this.#insist(() =>
      this.#options.calls.upload(`/tasks/${this.lease}/content`, content),
    );
    return { digest: String(answer.digest) as BlobRef['digest'], size: content.byteLength };
  }

  whenEnded(): Promise<boolean> {
    return this.#kept;
  }

  // ---- the lease ---------------------------------------------------------------------------------------------------

  #beatLater(delayMs: number): void {
    this.#cancelBeat = this.#options.clock.after(Math.max(1, delayMs), () => void this.#beat());
  }

  async #beat(): Promise<void> {
    if (this.#isDone) return;
    const { clock, runner } = this.#options;
    const silence = clock.now() - this.#lastWord;
    if (runner.info.leaseMs !== null && silence > runner.info.leaseMs) {
      return this.stop('lease_lost', `it gave no sign of life for ${silence} ms`);
    }
    let nextMs = this.#leaseMs / BEATS_PER_LEASE;
    try {
      await this.#say('/heartbeat', null);
    } catch (error) {
      if (isLost(error)) return this.stop('lease_lost', 'the lease is lost');
      nextMs = Math.min(nextMs, RETRY_MS * 4);
    }
    if (clock.now() >= this.#leaseUntil) return this.stop('lease_lost', 'the lease has run out');
    if (!this.#isDone) this.#beatLater(Math.min(nextMs, this.#leaseUntil - clock.now()));
  }

  async #say(path: string, body: object | null): Promise<void> {
    const askedAt = this.#options.clock.now();
    const answer = await this.#post(path, body);
    if (answer.stop === true) this.stop('agent_lost', 'the attempt was stopped');
    else this.confirm(askedAt);
  }

  #post(path: string, body: object | null) {
    return this.#options.calls.post(`/tasks/${this.lease}${path}`, body);
  }

  /** Until it succeeds, is refused, or the lease is over: a server that is being restarted comes back. */
  async #insist<T>(call: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (clock.now() + RETRY_MS >= this.#leaseUntil) {
          throw new VaporaError('lease_lost', `the lease of \`${this.taskId}\` has run out`, {
            cause: error,
          });
        }
        await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      }
    }
  }

  // ---- the result --------------------------------------------------------------------------------------------------

  async #handIn(outcome: TaskOutcome): Promise<void> {
    if (outcome.status === 'lost' || (outcome.status === 'failed' && this.#isLeaving)) return;
    const log = outcome.log === null ? {} : { log: Buffer.from(outcome.log).toString('utf8') };
    if (outcome.status === 'failed') {
      const { error, isRetryable } = outcome;
      const code = FAILURES.has(error.code) ? { code: error.code } : {};
      // the server says itself which agent it was
      const message = error.message.replace(/^agent `[^`]*` (failed: )?/, '');
      await this.#insist(() => this.#post('/fail', { message, retryable: isRetryable, ...code, ...log }));
      return;
    }
    const artifacts = await this.#artifactsOf(outcome.artifacts);
    const { output, usage } = outcome;
    const used = usage === undefined ? {} : { usage: usageMessage(usage) };
    await this.#insist(() => this.#post('/complete', { artifacts, output, ...used, ...log }));
  }

  async #artifactsOf(artifacts: readonly OutputArtifact[]): Promise<object[]> {
    const written: object[] = [];
    let room = MAX_INLINE_RESULT_BYTES;
    for (const { name, kind, content } of artifacts) {
      const isSmall =
        content instanceof Uint8Array &&
        content.byteLength <= Math.min(MAX_INLINE_ARTIFACT_BYTES, room) &&
        isUtf8(content);
      if (isSmall) {
        room -= content.byteLength;
        written.push({ name, kind, content: Buffer.from(content).toString('utf8') });
      } else {
        const { digest } = content instanceof Uint8Array ? await this.keep(content) : content;
        written.push({ name, kind, digest });
      }
    }
    return written;
  }
}

const FAILURES: ReadonlySet<string> = new Set([
  'agent_failed',
  'agent_timeout',
  'agent_lost',
  'agent_protocol',
  'task_failed',
]);

function isLost(error: unknown): boolean {
  return error instanceof VaporaError && error.code === 'lease_lost';
}

/** Of the way to the server, or of a server that has just started and hears of the lease in a moment. */
function isPassing(error: unknown): boolean {
  return (
    error instanceof VaporaError && (error.isRetryable || error.code === 'server_failed') && !isLost(error)
  );
}
