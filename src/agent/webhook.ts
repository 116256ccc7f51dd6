/** Agents that are called: each attempt is a signed POST to their URL, which they answer now, or later at the attempt's own address. */
import { sign } from '../auth/signature.js';
import type { WebhookAgentConfig } from '../config/agents.js';
import { ERRORS, VaporaError } from '../core/errors.js';
import type { BlobRef } from '../core/instance.js';
import type { Digest } from '../core/names.js';
import type { AgentInfo, Clock, Progress, TaskOrder, TaskOutcome } from '../core/ports.js';
import { MAX_JSON_DEPTH, parseJsonInput } from '../engine/json-input.js';
import type { AbortSource, AttemptVoice, Runner } from '../transport/runner.js';
import type { Callbacks } from './callbacks.js';
import { loadBlob } from './context.js';
import type { AttemptLimits } from './limits.js';
import type { Outbound, Reply } from './outbound.js';
import { clip, describe, failedOutcome, ProtocolError } from './outcome.js';
import { remoteOutcome } from './remote-result.js';
import { remoteTaskMessage } from './task-message.js';

/** For an answer, where the agent has no `timeout`. */
const ANSWER_TIMEOUT_MS = 60_000;
/** For an answer that comes later, where the agent has no `timeout`: nobody waits for ever for a call that got lost. */
const LATER_TIMEOUT_MS = 24 * 3_600_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const MAX_QUOTED = 300;
/** Besides all from 500 on but 501: what the same call may not meet a second time. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export interface WebhookRunnerOptions {
  readonly clock: Clock;
  readonly outbound: Outbound;
  readonly callbacks: Callbacks;
  readonly limits: AttemptLimits;
  readonly env: NodeJS.ProcessEnv;
}

/** Throws `config_invalid` where the secret is missing, and `destination_refused`. */
export function createWebhookRunner(config: WebhookAgentConfig, options: WebhookRunnerOptions): Runner {
  return new WebhookRunner(config, options);
}

class WebhookRunner implements Runner {
  readonly info: AgentInfo;
  /** Calls end when they are aborted, and nobody can do more about who was called. */
  readonly stopGraceMs = null;
  readonly #config: WebhookAgentConfig;
  readonly #options: WebhookRunnerOptions;
  readonly #secret: string;
  readonly #url: URL;

  constructor(config: WebhookAgentConfig, options: WebhookRunnerOptions) {
    this.#config = config;
    this.#options = options;
    const { name, roles, maxConcurrent, secretEnv } = config;
    this.info = Object.freeze({ name, roles, maxConcurrent, leaseMs: null });
    this.#secret = options.env[secretEnv] ?? '';
    if (this.#secret === '') {
      throw new VaporaError(
        'config_invalid',
        `environment variable \`${secretEnv}\`, the secret of agent \`${name}\`, is not set`,
      );
    }
    this.#url = new URL(config.url);
    options.outbound.check(this.#url);
  }

  async run(order: TaskOrder, voice: AttemptVoice, abort: AbortSource): Promise<TaskOutcome> {
    const later = new LaterAnswer(this.#secret, order, voice, abort.signal);
    const door = this.#options.callbacks.open(later);
    try {
      // an answer at the door counts, even where the call itself is not answered yet
      return await Promise.race([later.outcome, this.#ask(order, voice, door?.url ?? null, later)]);
    } catch (error) {
      return this.#failure(error);
    } finally {
      door?.close();
    }
  }

  async #ask(
    order: TaskOrder,
    voice: AttemptVoice,
    callback: string | null,
    later: LaterAnswer,
  ): Promise<TaskOutcome> {
    const reply = await this.#call(order, voice, callback, later.signal);
    if (reply.status !== 202) return this.#outcomeOf(reply);
    if (callback !== null) return this.#wait(later);
    const words = 'answered 202, and there is no `server.public_url` to answer at later';
    return this.#failed('agent_protocol', words, false);
  }

  async #call(
    order: TaskOrder,
    voice: AttemptVoice,
    callback: string | null,
    signal: AbortSignal,
  ): Promise<Reply> {
    const { clock, outbound } = this.#options;
    const load = async (ref: BlobRef) => loadBlob(ref, voice);
    const message = await remoteTaskMessage(order, load, ({ digest }) => ({
      content_url: callback === null ? null : `${callback}/content/${digest}`,
    }));
    const body = Buffer.from(JSON.stringify({ ...message, callback_url: callback }));
    const traced = order.traceparent === null ? {} : { traceparent: order.traceparent };
    return outbound.ask({
      url: this.#url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'vapora-workflow-engine',
        'idempotency-key': encodeURI(order.idempotency_key),
        ...traced,
        ...sign(this.#secret, encodeURI(order.task_id), clock.now(), body),
      },
      body,
      signal,
      timeoutMs: this.#config.timeoutMs ?? ANSWER_TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
  }

  /** Until the answer comes, the attempt is stopped, or its time is over. */
  async #wait(later: LaterAnswer): Promise<TaskOutcome> {
    const timeoutMs = this.#config.timeoutMs ?? LATER_TIMEOUT_MS;
    const over = this.#failed('agent_timeout', `did not answer within ${timeoutMs} ms`, true);
    const cancel = this.#options.clock.after(timeoutMs, () => later.settle(over));
    try {
      return await later.outcome;
    } finally {
      cancel();
    }
  }

  #outcomeOf({ status, body }: Reply): TaskOutcome {
    if (status === 204 || ((status === 200 || status === 201) && body.length === 0)) {
      return { status: 'completed', artifacts: [], output: null, log: null };
    }
    if (status !== 200 && status !== 201) {
      const isRetryable = PASSING.has(status) || (status >= 500 && status !== 501);
      const said = clip(body.subarray(0, MAX_QUOTED * 4).toString('utf8'), MAX_QUOTED);
      const words = `answered ${status}${said === '' ? '' : `: ${said}`}`;
      return this.#failed(isRetryable ? 'agent_failed' : 'task_failed', words, isRetryable);
    }
    const limits = { maxBytes: MAX_ANSWER_BYTES, maxDepth: MAX_JSON_DEPTH };
    const result = parseJsonInput(body.toString('utf8'), limits, 'the answer');
    return resultOutcome(result, this.#options.limits);
  }

  #failure(error: unknown): TaskOutcome {
    if (error instanceof ProtocolError) return this.#failed('agent_protocol', error.message, false);
    if (!(error instanceof VaporaError))
      return this.#failed('agent_failed', `failed: ${describe(error)}`, true);
    const { code, message } = error;
    if (code === 'input_invalid' || code === 'input_too_large') {
      return this.#failed('agent_protocol', `returned no result: ${message}`, false);
    }
    return this.#failed(code, `could not be asked: ${message}`, ERRORS[code].retry);
  }

  #failed(code: keyof typeof ERRORS, words: string, isRetryable: boolean): TaskOutcome {
    return failedOutcome(code, `agent \`${this.info.name}\` ${words}`, isRetryable, null);
  }
}

/** `{ artifacts?, output?, log? }`, as it came. Throws {@link ProtocolError}. */
export function resultOutcome(value: unknown, limits: AttemptLimits): TaskOutcome {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  const { log, ...result }: { log?: unknown } = isRecord ? value : {};
  if (log !== undefined && typeof log !== 'string')
    throw new ProtocolError('returned a `log` that is no text');
  const bytes = log === undefined ? null : new Uint8Array(Buffer.from(log).subarray(-limits.maxLogBytes));
  return remoteOutcome(isRecord ? result : value, bytes, limits, () => undefined);
}

class LaterAnswer {
  readonly secret: string;
  readonly signal: AbortSignal;
  readonly outcome: Promise<TaskOutcome>;
  readonly #order: TaskOrder;
  readonly #voice: AttemptVoice;
  settle: (outcome: TaskOutcome) => void = () => {};

  constructor(secret: string, order: TaskOrder, voice: AttemptVoice, signal: AbortSignal) {
    this.secret = secret;
    this.#order = order;
    this.#voice = voice;
    this.signal = signal;
    this.outcome = new Promise((resolve, reject) => {
      this.settle = resolve;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    // whether anybody waits for it depends on the agent's first answer
    this.outcome.catch(() => undefined);
  }

  progress(progress: Progress | null): void {
    if (progress === null) this.#voice.heartbeat();
    else this.#voice.progress(progress);
  }

  content(digest: Digest): Promise<Uint8Array> | null {
    const { artifacts, artifacts_to_undo } = this.#order;
    const named = [...artifacts, ...artifacts_to_undo].find((artifact) => artifact.digest === digest);
    return named === undefined ? null : this.#voice.blob(named);
  }

  end(outcome: TaskOutcome): Promise<boolean> {
    const kept = this.#voice.whenEnded();
    this.settle(outcome);
    return kept;
  }
}
