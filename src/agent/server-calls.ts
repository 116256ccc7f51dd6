/** Calls of an agent to a server, and the errors that it answers. */
import { ERRORS, type ErrorCode, VaporaError } from '../core/errors.js';
import { describe } from './outcome.js';

export interface ServerOptions {
  readonly url: string;
  readonly token?: string | undefined;
}

/** A call that nothing comes of for this long has failed. */
const CALL_TIMEOUT_MS = 60_000;
const MAX_ANSWER_CHARACTERS = 64 * 1024 * 1024;

export type Answer = Readonly<Record<string, unknown>>;

export interface PostOptions {
  readonly signal?: AbortSignal;
  /** The same call again has the same. */
  readonly key?: string;
}

export class ServerCalls {
  readonly #base: string;
  readonly #token: string | undefined;

  /** Throws `config_invalid`. */
  constructor({ url, token }: ServerOptions) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new VaporaError('config_invalid', 'the server of an agent is no `http://` or `https://` URL');
    }
    this.#base = `${url.replace(/\/+$/, '')}/api/v1`;
    this.#token = token;
  }

  /** Throws what the server answers, and `server_unreachable`. */
  async post(path: string, body: object | null, more: PostOptions = {}): Promise<Answer> {
    const json = body === null ? {} : { body: JSON.stringify(body) };
    const answer = await this.#call('POST', path, 'application/json', json, more);
    return JSON.parse(await answer.text());
  }

  async upload(path: string, content: Uint8Array): Promise<Answer> {
    const answer = await this.#call('POST', path, 'application/octet-stream', { body: content });
    return JSON.parse(await answer.text());
  }

  async download(path: string): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#call('GET', path, null, {})).arrayBuffer());
  }

  async remove(path: string): Promise<void> {
    await this.#call('DELETE', path, null, {});
  }

  async #call(
    method: string,
    path: string,
    type: string | null,
    content: { readonly body?: string | Uint8Array },
    { signal, key }: PostOptions = {},
  ): Promise<Response> {
    const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (key !== undefined) headers['idempotency-key'] = key;
    if (type !== null && content.body !== undefined) headers['content-type'] = type;
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    let response: Response;
    try {
      response = await fetch(`${this.#base}${path}`, {
        method,
        headers,
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
        ...(content.body === undefined ? {} : { body: content.body as NonNullable<RequestInit['body']> }),
      });
    } catch (cause) {
      throw new VaporaError('server_unreachable', `the server can't be reached: ${reasonOf(cause)}`, {
        cause,
      });
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

/** `fetch failed` says nothing: what it was is in the cause. */
function reasonOf(thrown: unknown): string {
  const inner = thrown instanceof Error ? thrown.cause : undefined;
  return describe(inner ?? thrown);
}

async function errorOf(response: Response): Promise<VaporaError> {
  const text = await response.text().catch(() => '');
  const { code, detail, hint } = problemIn(text.slice(0, MAX_ANSWER_CHARACTERS));
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : null;
  const message = typeof detail === 'string' ? detail : `the server answered ${response.status}`;
  return new VaporaError(
    known ?? (response.status >= 500 ? 'server_unreachable' : 'server_failed'),
    message,
    {
      ...(typeof hint === 'string' ? { hint } : {}),
    },
  );
}

function problemIn(text: string): Answer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
