/** Who is registered, which attempts are with whom, and until when: what the two sides of the remote transport share. */
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { VaporaError } from '../core/errors.js';
import type { AgentInfo, Clock, TaskOrder, TaskSink } from '../core/ports.js';
import { type AttemptPhase, RemoteAttempt, type Said } from './remote-attempt.js';
import type { RemoteSession } from './remote-session.js';

/** Ended attempts that are remembered, so that a repeated result is answered as the first was. */
const MAX_REMEMBERED = 20_000;
/** A share of the lease: leases and silence are looked at this often. */
const SWEEPS_PER_LEASE = 10;

export interface EndedAttempt {
  readonly taskId: string;
  /** Whoever has registered the agent. */
  readonly owner: string;
  /** The agent, where only it says that the attempt was its own; null: this process has delivered it. */
  readonly claimant: string | null;
  /** What its agent has handed in; null: nothing before its end. */
  readonly said: Said | null;
  /** Whether it is on disk and was applied. */
  readonly ending: Promise<boolean>;
}

export class RemoteBook {
  readonly clock: Clock;
  readonly leaseMs: number;
  /** By their secret id. */
  readonly sessions = new Map<string, RemoteSession>();
  readonly names = new Map<string, RemoteSession>();
  /** Not ended; by task id, and those that are delivered by their lease. */
  readonly attempts = new Map<string, RemoteAttempt>();
  readonly leases = new Map<string, RemoteAttempt>();
  readonly ended = new LRUCache<string, EndedAttempt>({ max: MAX_REMEMBERED });
  readonly listeners = new Set<() => void>();
  agents: readonly AgentInfo[] = [];
  isClosed = false;
  #cancelSweep: (() => void) | null = null;

  constructor(clock: Clock, leaseMs: number) {
    this.clock = clock;
    this.leaseMs = leaseMs;
  }

  leaseEnd(): number {
    return this.clock.now() + this.leaseMs;
  }

  add(order: TaskOrder, sink: TaskSink, phase: 'queued' | 'awaited'): RemoteAttempt {
    const attempt = new RemoteAttempt(order, sink, phase, this.leaseEnd(), (ended, said, ending) => {
      const { taskId, lease } = ended;
      this.attempts.delete(taskId);
      this.names.get(order.agent)?.attempts.delete(ended);
      if (lease === null) return;
      this.leases.delete(lease);
      this.ended.set(lease, { taskId, owner: ended.owner, claimant: null, said, ending });
    });
    this.attempts.set(order.task_id, attempt);
    this.watch();
    return attempt;
  }

  hand(attempt: RemoteAttempt, session: RemoteSession, lease: string): void {
    attempt.deliver(lease, session.owner, this.leaseEnd());
    this.leases.set(lease, attempt);
  }

  /**
   * The agent's attempt, for a word about it. Throws `lease_lost`, `unauthorized`, `engine_stopping`, and `agent_unknown` for a lease
   * that another process may have given out.
   */
  held(lease: string, owner: string): RemoteAttempt {
    this.refuseIfClosed();
    const attempt = this.leases.get(lease);
    if (attempt === undefined && this.ended.has(lease)) throw leaseLost('it has ended');
    if (attempt === undefined) throw unknownAgent('there is no such lease');
    refuseOthers(attempt, owner);
    const session = this.names.get(attempt.order.agent);
    if (session !== undefined) session.seenAt = this.clock.now();
    return attempt;
  }

  /** Throws `agent_unknown`, `unauthorized`, `engine_stopping`. */
  session(id: string, owner: string): RemoteSession {
    this.refuseIfClosed();
    const session = this.sessions.get(id);
    if (session === undefined) throw unknownAgent('there is no such registration');
    refuseOthers(session, owner);
    session.seenAt = this.clock.now();
    return session;
  }

  remove(session: RemoteSession, why: string): void {
    this.sessions.delete(session.id);
    this.names.delete(session.registration.name);
    for (const attempt of [...session.attempts]) this.lose(attempt, why);
    session.wake();
    this.changed();
  }

  lose(attempt: RemoteAttempt, why: string): void {
    void attempt.end({ status: 'lost', reason: `agent \`${attempt.order.agent}\` ${why}` });
  }

  changed(): void {
    this.agents = [...this.sessions.values()].filter(({ isDraining }) => !isDraining).map(({ info }) => info);
    for (const listener of [...this.listeners]) listener();
  }

  refuseIfClosed(): void {
    if (this.isClosed) throw new VaporaError('engine_stopping', 'the engine is stopping');
  }

  close(): void {
    this.isClosed = true;
    this.#cancelSweep?.();
    this.#cancelSweep = null;
    for (const session of this.sessions.values()) session.wake();
    for (const attempt of [...this.attempts.values()]) {
      if (attempt.isStopping) void attempt.end({ status: 'lost', reason: 'the engine is stopping' });
    }
    this.listeners.clear();
    this.agents = [];
  }

  /** Looks at leases and silence from time to time, as long as there are any. */
  watch(): void {
    if (this.isClosed || this.#cancelSweep !== null) return;
    const everyMs = Math.max(1, Math.floor(this.leaseMs / SWEEPS_PER_LEASE));
    this.#cancelSweep = this.clock.after(everyMs, () => {
      this.#cancelSweep = null;
      this.#sweep(this.clock.now());
      if (this.sessions.size > 0 || this.attempts.size > 0) this.watch();
    });
  }

  #sweep(now: number): void {
    for (const attempt of [...this.attempts.values()]) {
      if (attempt.until <= now) this.lose(attempt, OVERDUE[attempt.phase]);
    }
    for (const session of [...this.sessions.values()]) {
      if (session.isSilent(now, this.leaseMs)) this.remove(session, 'has been silent for too long');
    }
  }
}

const OVERDUE = {
  queued: 'did not ask for it in time',
  delivered: 'let its lease run out',
  awaited: 'did not come back in time',
  ended: 'has ended it',
} as const satisfies Record<AttemptPhase, string>;

/** Throws `unauthorized`. */
export function refuseOthers(known: { readonly owner: string }, owner: string): void {
  if (known.owner === owner) return;
  throw new VaporaError('unauthorized', 'the registration is somebody else’s');
}

export function leaseLost(why: string): VaporaError {
  return new VaporaError('lease_lost', `the attempt is not this agent's any more: ${why}`, {
    hint: 'stop working on it; if the work is still wanted, another attempt follows',
  });
}

function unknownAgent(why: string): VaporaError {
  return new VaporaError('agent_unknown', why, {
    hint: 'register again, with the leases of what is still being worked on',
  });
}

/** Not to be guessed, and safe in a URL. */
export function newSecret(): string {
  return randomBytes(18).toString('base64url');
}
