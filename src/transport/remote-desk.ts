/** Where agents call: what they may ask and hand in. `owner` is whoever the caller is known to be. */
import { VaporaError } from '../core/errors.js';
import type { BlobRef, StepResult } from '../core/instance.js';
import type { Progress, TaskOrder, TaskOutcome } from '../core/ports.js';
import type { RemoteAttempt, Said } from './remote-attempt.js';
import { type EndedAttempt, leaseLost, newSecret, type RemoteBook, refuseOthers } from './remote-book.js';
import { type Registration, RemoteSession } from './remote-session.js';

/** Registrations at once. */
const MAX_SESSIONS = 10_000;
/** Orders in one answer: each may be large, and whoever has room for more asks again. */
const MAX_DELIVERIES = 16;

export interface RemoteDeskOptions {
  readonly limits: { readonly maxArtifacts: number; readonly maxTotalArtifactBytes: number };
}

/** What is needed of the engine that orders are carried for. */
export interface RemoteEngine {
  /** An agent says that it is still at the attempt: has `resume` called for it, if it is current. */
  claimed(taskId: string): Promise<void>;
  /** Answers whether the attempt is completed, as it says. */
  late(result: LateResult): Promise<boolean>;
}

/** What an agent handed in, where nobody waits for it any more. */
export interface LateResult {
  readonly taskId: string;
  readonly status: 'completed' | 'failed';
  /** Who says, without proof, that the attempt was theirs; null: it certainly was. */
  readonly claimant: string | null;
}

export interface Delivery {
  readonly lease: string;
  readonly order: TaskOrder;
  content(ref: BlobRef): Promise<Uint8Array>;
}

export interface PollAnswer {
  readonly deliveries: readonly Delivery[];
  /** Leases of attempts that are to end. */
  readonly stop: readonly string[];
}

/** An attempt that an agent is at, in its own words. */
export interface Holding {
  readonly taskId: string;
  readonly lease: string;
}

export interface Poll {
  /** Orders that the agent can take. */
  readonly free: number;
  readonly waitMs: number;
  /** The caller waits no longer. */
  readonly gone: AbortSignal;
  /** Rejects where the caller may not be let in any more. */
  confirm(): Promise<void>;
}

const NEVER_APPLIED = Promise.resolve(false);

export class RemoteDesk {
  readonly #book: RemoteBook;
  readonly #limits: RemoteDeskOptions['limits'];
  #engine: RemoteEngine | null = null;
  #isTaken: (name: string) => boolean = () => false;

  constructor(book: RemoteBook, { limits }: RemoteDeskOptions) {
    this.#book = book;
    this.#limits = limits;
  }

  get leaseMs(): number {
    return this.#book.leaseMs;
  }

  /** Once, before the first agent calls. `isTaken`: whether somebody else has the name. */
  attach(engine: RemoteEngine, isTaken: (name: string) => boolean): void {
    this.#engine = engine;
    this.#isTaken = isTaken;
  }

  /**
   * Lets an agent in. `holding` is what it is still at; what of it goes on is answered. Throws `agent_exists`, `engine_overloaded`,
   * `engine_stopping`.
   */
  async register(
    owner: string,
    registration: Registration,
    holding: readonly Holding[],
  ): Promise<{ session: string; kept: readonly string[] }> {
    const book = this.#book;
    const { name } = registration;
    book.refuseIfClosed();
    const known = book.names.get(name);
    if (known !== undefined && known.owner === owner && known.isSame(registration)) {
      return { session: known.id, kept: await this.#claimAll(known, holding) };
    }
    if (this.#isTaken(name) || known !== undefined) {
      throw new VaporaError('agent_exists', `there is already an agent \`${name}\``, {
        hint: 'give each agent a name of its own; one that was killed is forgotten when its lease is over',
      });
    }
    if (book.sessions.size >= MAX_SESSIONS) {
      throw new VaporaError('engine_overloaded', `${MAX_SESSIONS} agents are registered already`);
    }
    const session = new RemoteSession(newSecret(), owner, registration, book.clock.now());
    book.sessions.set(session.id, session);
    book.names.set(name, session);
    const kept = await this.#claimAll(session, holding);
    // what an earlier process had with this agent, and it no longer is at, has died with it
    for (const attempt of [...book.attempts.values()]) {
      if (attempt.phase === 'awaited' && attempt.order.agent === name)
        book.lose(attempt, 'came back without it');
    }
    session.hasClaimed = true;
    session.seenAt = book.clock.now();
    book.changed();
    book.watch();
    return { session: session.id, kept };
  }

  async #claimAll(session: RemoteSession, holding: readonly Holding[]): Promise<string[]> {
    const kept: string[] = [];
    for (const held of holding) if (await this.#claim(session, held)) kept.push(held.lease);
    return kept;
  }

  async #claim(session: RemoteSession, { taskId, lease }: Holding): Promise<boolean> {
    const book = this.#book;
    const { name, roles } = session.registration;
    const held = book.leases.get(lease);
    if (held !== undefined) return held.taskId === taskId && session.attempts.has(held);
    if (!book.attempts.has(taskId)) await this.#engine?.claimed(taskId).catch(() => undefined);
    const attempt = book.attempts.get(taskId);
    const isOwn = attempt?.order.agent === name && roles.includes(attempt.order.role);
    if (attempt?.phase !== 'awaited' || !isOwn) {
      const { owner } = session;
      const unknown = { taskId, owner, claimant: name, said: null, ending: NEVER_APPLIED };
      if (!book.ended.has(lease)) book.ended.set(lease, unknown);
      return false;
    }
    book.hand(attempt, session, lease);
    session.attempts.add(attempt);
    return true;
  }

  /**
   * Resolves with orders as soon as there are any, with what is to stop, or with nothing after `waitMs` or once the caller is gone.
   * Throws `agent_unknown`, `unauthorized`, `engine_stopping`, and what `confirm` does, which is asked after a wait.
   */
  async poll(id: string, owner: string, { free, waitMs, gone, confirm }: Poll): Promise<PollAnswer> {
    const book = this.#book;
    const session = book.session(id, owner);
    const hasOrder = free > 0 && session.queued().length > 0;
    if (!hasOrder && session.stopping().length === 0 && !gone.aborted) {
      let cancel = (): void => {};
      const until = new Promise<void>((resolve) => {
        cancel = book.clock.after(waitMs, resolve);
        gone.addEventListener('abort', () => resolve(), { once: true });
      });
      await session.wait(until).finally(cancel);
      await confirm();
    }
    book.session(id, owner);
    // what nobody receives would be lost
    if (gone.aborted) return { deliveries: [], stop: [] };
    const deliveries = session
      .queued()
      .slice(0, Math.min(free, MAX_DELIVERIES))
      .map((attempt): Delivery => {
        const lease = newSecret();
        book.hand(attempt, session, lease);
        return { lease, order: attempt.order, content: (ref) => attempt.sink.blob(ref) };
      });
    return { deliveries, stop: session.stopping().flatMap(({ lease }) => lease ?? []) };
  }

  /** No further orders; what the agent is at, it may finish. Throws `agent_unknown`, `unauthorized`. */
  drain(id: string, owner: string): void {
    const session = this.#book.session(id, owner);
    session.isDraining = true;
    this.#book.changed();
    for (const attempt of session.queued()) this.#book.lose(attempt, 'takes no more orders');
    session.wake();
  }

  /** What the agent is still at is lost. An unknown registration is no error. */
  leave(id: string, owner: string): void {
    if (!this.#book.sessions.has(id)) return;
    this.#book.remove(this.#book.session(id, owner), 'has left');
  }

  /** A sign of life; answers whether the attempt is to end. Throws `lease_lost`, `unauthorized`. */
  beat(lease: string, owner: string, progress: Progress | null): { readonly stop: boolean } {
    const attempt = this.#book.held(lease, owner);
    attempt.extend(this.#book.leaseEnd());
    if (progress !== null && !attempt.isStopping) attempt.sink.progress(progress);
    return { stop: attempt.isStopping };
  }

  /** Resolves once it is on disk. Throws `lease_lost`, `unauthorized`, `engine_stopping`. */
  async step(lease: string, owner: string, result: StepResult): Promise<void> {
    const attempt = this.#book.held(lease, owner);
    attempt.extend(this.#book.leaseEnd());
    if (attempt.isStopping) throw leaseLost('it is to stop');
    try {
      await attempt.sink.step(result);
    } catch (error) {
      this.#book.refuseIfClosed();
      const isLost = error instanceof VaporaError && error.code === 'agent_lost';
      throw isLost ? leaseLost('it is no longer current') : error;
    }
  }

  /** Keeps an artifact's content; the result then refers to it. Throws `lease_lost`, `limit_exceeded`, `unauthorized`. */
  async keep(lease: string, owner: string, content: Uint8Array): Promise<BlobRef> {
    const attempt = this.#book.held(lease, owner);
    attempt.extend(this.#book.leaseEnd());
    const { maxArtifacts, maxTotalArtifactBytes } = this.#limits;
    attempt.artifacts += 1;
    attempt.artifactBytes += content.byteLength;
    if (attempt.artifacts > maxArtifacts || attempt.artifactBytes > maxTotalArtifactBytes) {
      throw new VaporaError(
        'limit_exceeded',
        `an attempt hands in at most ${maxArtifacts} artifacts of together ${maxTotalArtifactBytes} bytes`,
      );
    }
    return attempt.keep(content);
  }

  /** Content that the order refers to. Throws `artifact_unknown`, `lease_lost`, `unauthorized`. */
  async content(lease: string, owner: string, digest: string): Promise<Uint8Array> {
    const attempt = this.#book.held(lease, owner);
    attempt.extend(this.#book.leaseEnd());
    const { input, artifacts, artifacts_to_undo } = attempt.order;
    const ref = [input, ...artifacts, ...artifacts_to_undo].find((known) => known.digest === digest);
    if (ref !== undefined) return attempt.sink.blob(ref);
    throw new VaporaError('artifact_unknown', `the task refers to no content \`${digest.slice(0, 64)}\``);
  }

  /**
   * Resolves once the outcome that `make` answers is on disk; the same again is answered the same, and another one is refused. Throws
   * `lease_lost`, `engine_stopping`, `unauthorized`.
   */
  async end(
    lease: string,
    owner: string,
    said: Said,
    make: (attempt: RemoteAttempt) => TaskOutcome,
  ): Promise<void> {
    this.#book.refuseIfClosed();
    const before = this.#book.ended.get(lease);
    if (before !== undefined) return this.#endAgain(lease, owner, before, said);
    const attempt = this.#book.held(lease, owner);
    const { isStopping } = attempt;
    if (await attempt.end(make(attempt), said)) return;
    // that it has stopped is what was wanted
    if (isStopping && said.status === 'failed') return;
    // an engine that stops has committed nothing: the next one is told again
    if (!isStopping) this.#book.refuseIfClosed();
    await this.#reportLate({ taskId: attempt.taskId, status: said.status, claimant: null });
    throw leaseLost('it came too late');
  }

  async #endAgain(lease: string, owner: string, before: EndedAttempt, said: Said): Promise<void> {
    refuseOthers(before, owner);
    const isSame = before.said?.status === said.status && before.said.digest === said.digest;
    if (isSame && (await before.ending)) return;
    if (before.said === null) {
      const { taskId, claimant } = before;
      const ending = this.#reportLate({ taskId, status: said.status, claimant });
      // recorded once: a repeated late result is no news
      this.#book.ended.set(lease, { ...before, said, ending });
      if (await ending) return;
    }
    throw leaseLost(before.said === null || isSame ? 'it has ended' : 'it has ended with another result');
  }

  async #reportLate(result: LateResult): Promise<boolean> {
    return (await this.#engine?.late(result).catch(() => false)) ?? false;
  }
}
