/** Where agents that have been called answer later, and fetch content: each attempt has an address of its own, which is a secret. */
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { verifySigned } from '../auth/signature.js';
import { VaporaError } from '../core/errors.js';
import type { Digest } from '../core/names.js';
import type { Progress, TaskOutcome } from '../core/ports.js';

/** Ended attempts that are remembered, so that a repeated answer is answered as the first was. */
const MAX_REMEMBERED = 5_000;
/** How far the clock of whoever signs may be from ours. */
const TOLERANCE_MS = 5 * 60_000;

/** An attempt that waits for its agent's word. */
export interface Awaiting {
  /** What its agent signs with. */
  readonly secret: string;
  progress(progress: Progress | null): void;
  /** Content that its task names; null: it names no such. */
  content(digest: Digest): Promise<Uint8Array> | null;
  /** Resolves once it is on disk; false: it came too late. */
  end(outcome: TaskOutcome): Promise<boolean>;
}

interface Ended {
  readonly secret: string;
  readonly digest: string;
  readonly ending: Promise<boolean>;
}

export type CallbackHeaders = Parameters<typeof verifySigned>[1];

export class Callbacks {
  readonly #base: string | null;
  readonly #awaiting = new Map<string, Awaiting>();
  readonly #ended = new LRUCache<string, Ended>({ max: MAX_REMEMBERED });

  /** `publicUrl` of the server, as agents reach it; null: there is no way to answer later. */
  constructor(publicUrl: string | null) {
    this.#base = publicUrl === null ? null : `${publicUrl.replace(/\/+$/, '')}/api/v1/callbacks/`;
  }

  /** Null: there is no way to answer later. */
  open(awaiting: Awaiting): { readonly url: string; close(): void } | null {
    if (this.#base === null) return null;
    const token = randomBytes(24).toString('base64url');
    this.#awaiting.set(token, awaiting);
    return { url: `${this.#base}${token}`, close: () => this.#awaiting.delete(token) };
  }

  /** Throws `signature_invalid`, and `lease_lost` where no attempt waits. */
  verify(token: string, headers: CallbackHeaders, body: Uint8Array, now: number): void {
    const known = this.#awaiting.get(token) ?? this.#ended.get(token);
    if (known === undefined) throw over();
    verifySigned(known.secret, headers, body, { now, toleranceMs: TOLERANCE_MS });
  }

  /** A sign of life. Throws `lease_lost`, also where the attempt was stopped. */
  beat(token: string, progress: Progress | null): void {
    const awaiting = this.#awaiting.get(token);
    if (awaiting === undefined) throw over();
    awaiting.progress(progress);
  }

  /** Whoever has the address may, as long as the attempt lasts. Throws `lease_lost`, `artifact_unknown`. */
  async content(token: string, digest: Digest): Promise<Uint8Array> {
    const awaiting = this.#awaiting.get(token);
    if (awaiting === undefined) throw over();
    const content = awaiting.content(digest);
    if (content !== null) return content;
    throw new VaporaError('artifact_unknown', `the task names no content \`${digest.slice(0, 12)}\``);
  }

  /** Resolves once the outcome is on disk; the same again (by `digest`) is answered the same. Throws `lease_lost`. */
  async end(token: string, digest: string, outcome: TaskOutcome): Promise<void> {
    const before = this.#ended.get(token);
    const awaiting = this.#awaiting.get(token);
    if (before !== undefined || awaiting === undefined) {
      if (before?.digest === digest && (await before.ending)) return;
      throw over();
    }
    this.#awaiting.delete(token);
    const ending = awaiting.end(outcome);
    this.#ended.set(token, { secret: awaiting.secret, digest, ending });
    if (!(await ending)) throw over();
  }
}

function over(): VaporaError {
  return new VaporaError('lease_lost', 'no attempt waits for this answer', {
    hint: 'stop working on it; if the work is still wanted, another attempt follows',
  });
}
