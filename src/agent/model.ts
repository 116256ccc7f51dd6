/** Agents that are language models: a prompt made of the task, sent to a service that speaks the protocol of OpenAI; its answer is the artifact. */
import { z } from 'zod';
import type { ModelAgentConfig } from '../config/agents.js';
import type { AttemptUsage } from '../core/budget.js';
import { ERRORS, type ErrorCode, VaporaError } from '../core/errors.js';
import type { AgentInfo, TaskOrder, TaskOutcome } from '../core/ports.js';
import type { AbortSource, AttemptVoice, Runner } from '../transport/runner.js';
import type { AttemptLimits } from './limits.js';
import type { Outbound } from './outbound.js';
import { clip, completedOutcome, describe, failedOutcome, ProtocolError } from './outcome.js';
import { renderPrompt } from './prompt.js';

/** Where the agent has no `timeout`. */
const ANSWER_TIMEOUT_MS = 10 * 60_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Besides all from 500 on but 501. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

export interface ModelRunnerOptions {
  readonly outbound: Outbound;
  readonly limits: AttemptLimits;
  readonly env: NodeJS.ProcessEnv;
}

/** Throws `config_invalid` where the key is missing or the schema is none, and `destination_refused`. */
export function createModelRunner(config: ModelAgentConfig, options: ModelRunnerOptions): Runner {
  return new ModelRunner(config, options);
}

interface Answer {
  /** Text, or what the schema asks for. */
  readonly content: unknown;
  readonly reason: string;
  readonly usage: AttemptUsage;
}

class ModelRunner implements Runner {
  readonly info: AgentInfo;
  readonly stopGraceMs = null;
  readonly #config: ModelAgentConfig;
  readonly #options: ModelRunnerOptions;
  readonly #key: string | null;
  readonly #schema: z.ZodType | null;

  constructor(config: ModelAgentConfig, options: ModelRunnerOptions) {
    this.#config = config;
    this.#options = options;
    const { name, roles, maxConcurrent, apiKeyEnv, schema, baseUrl } = config;
    this.info = Object.freeze({ name, roles, maxConcurrent, leaseMs: null });
    this.#key = apiKeyEnv === null ? null : (options.env[apiKeyEnv] ?? '');
    if (this.#key === '') {
      throw new VaporaError(
        'config_invalid',
        `environment variable \`${apiKeyEnv}\`, the key of agent \`${name}\`, is not set`,
      );
    }
    this.#schema = schema === null ? null : schemaOf(name, schema);
    options.outbound.check(new URL(baseUrl));
  }

  async run(order: TaskOrder, voice: AttemptVoice, { signal }: AbortSource): Promise<TaskOutcome> {
    if (order.type === 'compensation') {
      return this.#failed(
        'task_failed',
        `is a model, which can't take stage \`${order.stage_name}\` back`,
        false,
      );
    }
    try {
      const prompt = await renderPrompt(this.#config.prompt, order, voice);
      return this.#outcomeOf(await this.#ask(prompt, signal));
    } catch (error) {
      return this.#failure(error);
    }
  }

  async #ask(prompt: string, abortSignal: AbortSignal): Promise<Answer> {
    // a large library, which only engines with models need
    const [{ generateText, jsonSchema, NoObjectGeneratedError, Output }, { createOpenAICompatible }] =
      await Promise.all([import('ai'), import('@ai-sdk/openai-compatible')]);
    Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
    const { model, baseUrl, system, maxOutputTokens, temperature, schema } = this.#config;
    const provider = createOpenAICompatible({
      name: 'vapora',
      baseURL: baseUrl,
      supportsStructuredOutputs: true,
      fetch: (url, init) => this.#fetch(url, init),
      ...(this.#key === null ? {} : { apiKey: this.#key }),
    });
    const validate = (value: unknown) => this.#validate(value);
    try {
      const result = await generateText({
        model: provider.chatModel(model),
        prompt,
        abortSignal,
        // trying again is the stage's affair
        maxRetries: 0,
        ...(system === null ? {} : { system }),
        ...(maxOutputTokens === null ? {} : { maxOutputTokens }),
        ...(temperature === null ? {} : { temperature }),
        ...(schema === null ? {} : { output: Output.object({ schema: jsonSchema(schema, { validate }) }) }),
      });
      const { finishReason: reason, usage } = result;
      // of an answer that was cut off there is no output to look at
      const content = schema === null || reason !== 'stop' ? result.text : result.output;
      return { content, reason, usage: this.#usageOf(usage) };
    } catch (error) {
      if (!NoObjectGeneratedError.isInstance(error)) throw error;
      const { finishReason = 'other', usage } = error;
      const reason = finishReason === 'stop' ? NOT_BY_SCHEMA : finishReason;
      return { content: '', reason, usage: this.#usageOf(usage ?? {}) };
    }
  }

  #validate(value: unknown) {
    const parsed = this.#schema?.safeParse(value);
    if (parsed === undefined || parsed.success) return { success: true as const, value };
    return { success: false as const, error: parsed.error };
  }

  /** The SDK's calls go where all calls of the engine go. */
  async #fetch(url: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { status, headers, body } = await this.#options.outbound.ask({
      url: new URL(url instanceof Request ? url.url : url),
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      body: typeof init.body === 'string' ? Buffer.from(init.body) : null,
      signal: init.signal ?? new AbortController().signal,
      timeoutMs: this.#config.timeoutMs ?? ANSWER_TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    const type = headers['content-type'] ?? 'application/json';
    return new Response(new Uint8Array(body), { status, headers: { 'content-type': type } });
  }

  #usageOf({ inputTokens = 0, outputTokens = 0 }: Counted): AttemptUsage {
    const { model, price } = this.#config;
    const microUsd = Math.round(inputTokens * price.input + outputTokens * price.output);
    return { model, inputTokens, outputTokens, microUsd };
  }

  /** Tokens are paid for whatever comes of them. */
  #outcomeOf({ content, reason, usage }: Answer): TaskOutcome {
    const { artifact, model } = this.#config;
    const log = new Uint8Array(
      Buffer.from(
        `model ${model}: ${usage.inputTokens} tokens in, ${usage.outputTokens} tokens out, ended by ${reason}\n`,
      ),
    );
    if (reason === 'stop') {
      const result = { artifacts: [{ ...artifact, content }] };
      return withUsage(completedOutcome(result, this.#options.limits, log), usage);
    }
    const failed = FAILURES[reason] ?? {
      words: `ended its answer by \`${clip(reason)}\``,
      isRetryable: true,
    };
    const code = failed.isRetryable ? 'agent_failed' : 'task_failed';
    const words = `agent \`${this.info.name}\` ${failed.words}`;
    return withUsage(failedOutcome(code, words, failed.isRetryable, log), usage);
  }

  #failure(error: unknown): TaskOutcome {
    if (error instanceof ProtocolError) return this.#failed('agent_protocol', error.message, false);
    const known = error instanceof VaporaError ? error : causeOf(error);
    if (known !== null) {
      return this.#failed(known.code, `could not be asked: ${known.message}`, ERRORS[known.code].retry);
    }
    const status = statusOf(error);
    const isRetryable = status === null || PASSING.has(status) || (status >= 500 && status !== 501);
    const words =
      status === null ? `failed: ${describe(error)}` : `was answered ${status}: ${describe(error)}`;
    return this.#failed(isRetryable ? 'agent_failed' : 'task_failed', words, isRetryable);
  }

  /** A service may repeat the key that it refuses. */
  #failed(code: ErrorCode, words: string, isRetryable: boolean): TaskOutcome {
    const safe = this.#key === null ? words : words.replaceAll(this.#key, '***');
    return failedOutcome(code, `agent \`${this.info.name}\` ${safe}`, isRetryable, null);
  }
}

function withUsage(outcome: TaskOutcome, usage: AttemptUsage): TaskOutcome {
  return outcome.status === 'lost' ? outcome : { ...outcome, usage };
}

interface Counted {
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}

const NOT_BY_SCHEMA = 'an answer that does not follow the schema';
const FAILURES: Readonly<Record<string, { readonly words: string; readonly isRetryable: boolean }>> = {
  [NOT_BY_SCHEMA]: { words: 'gave an answer that does not follow its `schema`', isRetryable: true },
  // the same would happen again
  length: { words: 'was cut off: the answer reached its limit of tokens', isRetryable: false },
  'content-filter': { words: 'was stopped by a filter of its service', isRetryable: false },
};

/** Throws `config_invalid`. */
function schemaOf(name: string, schema: Readonly<Record<string, unknown>>): z.ZodType {
  try {
    return z.fromJSONSchema(schema);
  } catch (cause) {
    const message = `the \`schema\` of agent \`${name}\` can not be used: ${describe(cause)}`;
    throw new VaporaError('config_invalid', message, { cause });
  }
}

/** The SDK wraps what its fetch throws. */
function causeOf(error: unknown): VaporaError | null {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth += 1) {
    if (inner instanceof VaporaError) return inner;
  }
  return null;
}

function statusOf(error: unknown): number | null {
  const isCall = typeof error === 'object' && error !== null && 'statusCode' in error;
  return isCall && typeof error.statusCode === 'number' ? error.statusCode : null;
}
