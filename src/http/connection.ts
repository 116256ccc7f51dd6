/** Calls of endpoints: one request each, an answer that is checked, an error as the server's own. */
import type { z } from 'zod';
import { ERRORS, type ErrorCode, type Problem, VaporaError } from '../core/errors.js';
import type { Principal } from '../core/instance.js';
import type { Clock } from '../core/ports.js';
import type { Endpoint, Valid, WrittenAs } from './contract/endpoint.js';
import { Problem as ProblemSchema, type WireProblem } from './contract/problem.js';
import { claimHeaders } from './identity.js';

export interface ConnectionOptions {
  /** `http://127.0.0.1:8420`, with or without a path in front of the API's. */
  readonly url: string;
  /** Says who calls; without it the server is told a name, and may not believe it. */
  readonly token?: string;
  /** Whose name that is where a call has none of its own. */
  readonly person?: Principal;
  readonly clock: Clock;
  /** How long a server that can't be reached is asked again. Default: ten seconds. */
  readonly patienceMs?: number;
}

type Part<Name extends string, S> = S extends z.ZodType ? { readonly [K in Name]: WrittenAs<S> } : unknown;

export type CallOptions<E extends Endpoint> = Part<'params', E['params']> &
  Part<'query', E['query']> & {
    readonly body?: WrittenAs<E['body']>;
    readonly by?: Principal;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
    /** Doing it twice is doing it once, so it may be sent again where nobody answered. Reading always may. */
    readonly mayRepeat?: boolean;
  };

interface LooseOptions {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly by?: Principal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly mayRepeat?: boolean;
}

const DEFAULT_PATIENCE_MS = 10_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;

export class Connection {
  readonly url: string;
  readonly #options: ConnectionOptions;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.url = options.url.replace(/\/+$/, '');
  }

  /** The JSON answer. Throws what the server answers, and `server_unreachable`. */
  async call<const E extends Endpoint>(endpoint: E, options: CallOptions<E>): Promise<Valid<E['answer']>> {
    const answer = await this.open(endpoint, options);
    const value: unknown = await this.#read(() => answer.json());
    const { answer: schema } = endpoint;
    if (typeof schema === 'string') return value as Valid<E['answer']>;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data as Valid<E['answer']>;
    throw new VaporaError('server_unreachable', `the answer of ${this.url} is not understood`, {
      hint: 'is it a vapora server, of the same version?',
      cause: parsed.error,
    });
  }

  /** The answer as it comes in. */
  async open<const E extends Endpoint>(endpoint: E, options: CallOptions<E>): Promise<Response> {
    const loose = options as LooseOptions;
    const { clock, patienceMs = DEFAULT_PATIENCE_MS } = this.#options;
    const giveUpAt = clock.now() + patienceMs;
    const mayRepeat = endpoint.method === 'GET' || loose.mayRepeat === true;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      try {
        return await this.#send(endpoint, loose);
      } catch (error) {
        const isAway =
          error instanceof VaporaError &&
          (error.code === 'server_unreachable' || error.code === 'engine_stopping');
        if (!isAway || !mayRepeat || loose.signal?.aborted || clock.now() + delayMs > giveUpAt) throw error;
        await new Promise<void>((resolve) => clock.after(delayMs, resolve));
      }
    }
  }

  async #send(endpoint: Endpoint, options: LooseOptions): Promise<Response> {
    const { body, signal } = options;
    const answer = await this.#read(() =>
      fetch(`${this.url}${pathOf(endpoint, options)}`, {
        method: endpoint.method,
        headers: {
          ...this.#headers(options),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        // a token goes to nobody else
        redirect: 'error',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      }),
    );
    if (answer.ok) return answer;
    throw await this.#problemOf(answer);
  }

  #headers({ by, headers }: LooseOptions): Record<string, string> {
    const { token, person } = this.#options;
    if (token !== undefined) return { authorization: `Bearer ${token}`, ...headers };
    const who = by ?? person;
    return { ...(who === undefined ? {} : claimHeaders(who)), ...headers };
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw new VaporaError(
        'server_unreachable',
        `the server ${this.url} can't be reached: ${reasonOf(cause)}`,
        {
          hint: 'see that `vapora serve` runs there',
          cause,
        },
      );
    }
  }

  async #problemOf(answer: Response): Promise<VaporaError> {
    const text = await this.#read(() => answer.text());
    const parsed = ProblemSchema.safeParse(parseJson(text));
    if (!parsed.success) {
      return new VaporaError('server_unreachable', `${this.url} answered with status ${answer.status}`, {
        hint: 'is it a vapora server?',
      });
    }
    return errorOf(parsed.data);
  }
}

/** The server's error, as whoever asks in this process would have it thrown. */
export function errorOf({ code, detail, hint, problems = [] }: WireProblem): VaporaError {
  const known: ErrorCode = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'server_failed';
  return new VaporaError(known, detail, {
    ...(hint === undefined ? {} : { hint }),
    problems: problems as readonly Problem[],
  });
}

function pathOf(endpoint: Endpoint, { params = {}, query = {} }: LooseOptions): string {
  const path = endpoint.path.replace(/:([a-z]+)/g, (_, name: string) =>
    encodeURIComponent(String(params[name])),
  );
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined) search.append(key, String(one));
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return cause instanceof Error ? cause.message : String(cause);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
