/**
 * An endpoint is declared once: the server takes from it what it accepts and answers, OpenAPI describes it, and the client is
 * typed by it.
 */
import type { z } from 'zod';

export const API_PREFIX = '/api/v1';

/** Who may call: anybody, or only who is known. What they may do is another question, asked of the policies. */
export type Access = 'open' | 'known';

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Whole path, with `:name` for parameters. */
  readonly path: string;
  /** Unique, in camelCase. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Default: `known`. */
  readonly access?: Access;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** The JSON answer; or the media type of one that is not JSON. */
  readonly answer: z.ZodType | string;
  /** Default: 200. */
  readonly status?: 200 | 201 | 202 | 204;
  /** Bytes of a body, where the server's limit is not the right one. */
  readonly maxBodyBytes?: number;
}

export function endpoint<const E extends Endpoint>(declared: E): E {
  return declared;
}

/** What a part of a call is once it is valid; absent parts are undefined. */
export type Valid<S> = S extends z.ZodType ? z.output<S> : undefined;
/** What a caller writes. */
export type WrittenAs<S> = S extends z.ZodType ? z.input<S> : undefined;
