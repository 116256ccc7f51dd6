/**
 * The swarm coordinator: who can take a task, who is free, who waits. It holds no durable state: after a restart the orchestrator
 * asks again for whatever its instances still want.
 */
import { type Candidate, chooseAgent, NEUTRAL_SUCCESS_RATE, nextSuccessRate } from '../core/assignment.js';
import { assert } from '../core/errors.js';
import type { Assignment } from '../core/events.js';
import type { AgentInfo, Clock } from '../core/ports.js';
import { FairQueue, type Want } from './queue.js';

export type Answer =
  | { readonly kind: 'assigned'; readonly assignment: Assignment }
  /** `onAssigned` will be called. */
  | { readonly kind: 'queued' }
  /** No agent that is registered now serves the role. */
  | { readonly kind: 'unserved' };

/** How an attempt ended, as far as its agent's success rate is concerned. */
export type AttemptEnd = 'success' | 'failure' | 'neutral';

export interface AgentStatus {
  readonly name: string;
  readonly roles: readonly string[];
  readonly capacity: number;
  readonly inFlight: number;
  readonly successRate: number;
}

interface Member {
  readonly info: AgentInfo;
  inFlight: number;
  successRate: number;
  lastAssigned: number;
}

interface Lease {
  readonly member: Member;
  readonly leaseMs: number | null;
  expiresAt: number;
}

export interface SwarmOptions {
  readonly clock: Clock;
  /** Attempts in flight over all agents; null: as many as the agents can take. */
  readonly maxParallelTasks: number | null;
  /**
   * How long a role counts as served after its last agent has left, or since the start: agents that call over the network come back
   * after a restart, theirs or the engine's. 0 where agents live and die with the engine.
   */
  readonly graceMs: number;
  readonly onAssigned: (want: Want, assignment: Assignment) => void;
  /** The last agent of the role has gone while this waited; it waits no longer. */
  readonly onUnserved: (want: Want) => void;
  /** The agent of this attempt has given no sign of life within its lease. */
  readonly onExpired: (key: string) => void;
}

export class SwarmCoordinator {
  readonly #options: SwarmOptions;
  #members = new Map<string, Member>();
  #byRole = new Map<string, Member[]>();
  readonly #queues = new Map<string, FairQueue>();
  readonly #waiting = new Map<string, Want>();
  /** Since when each of them waits; the first has waited longest. */
  readonly #waitingSince = new Map<string, number>();
  /** Agents that are not here, and that an attempt is still with. */
  readonly #absent = new Map<string, Member>();
  /** Roles that nobody serves any more, and since when, for as long as the grace. */
  readonly #leftAt = new Map<string, number>();
  readonly #startedAt: number;
  #cancelDismissal: (() => void) | null = null;
  readonly #leases = new Map<string, Lease>();
  #assignments = 0;
  #cancelSweep: (() => void) | null = null;
  #sweepAt = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #isPaused = false;

  constructor(options: SwarmOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  /** Wants that no agent was free for. */
  get queued(): number {
    return this.#waiting.size;
  }

  /** How long the want that has waited longest has waited. */
  get oldestWaitMs(): number {
    const [since] = this.#waitingSince.values();
    return since === undefined ? 0 : this.#options.clock.now() - since;
  }

  get inFlight(): number {
    return this.#leases.size;
  }

  /** Keys that an agent's capacity is held for. */
  underWay(): string[] {
    return [...this.#leases.keys()];
  }

  /**
   * Replaces the registry; agents that stay, or come back while they are still busy, keep their figures. Whoever waited and can be
   * served now is; whoever waits for a role that nobody serves any more is told so.
   */
  setAgents(agents: readonly AgentInfo[]): void {
    const members = new Map<string, Member>();
    const byRole = new Map<string, Member[]>();
    const busy = new Map([...this.#leases.values()].map(({ member }) => [member.info.name, member] as const));
    for (const info of agents) {
      const known = this.#members.get(info.name) ?? busy.get(info.name);
      this.#absent.delete(info.name);
      const figures = known ?? { inFlight: 0, successRate: NEUTRAL_SUCCESS_RATE, lastAssigned: 0 };
      // the leases point to the old object: it stays, with its new description
      const member: Member = known ? Object.assign(known, { info }) : { info, ...figures };
      members.set(info.name, member);
      for (const role of info.roles) {
        const list = byRole.get(role);
        if (list) list.push(member);
        else byRole.set(role, [member]);
      }
    }
    const now = this.#options.clock.now();
    for (const role of this.#byRole.keys()) if (!byRole.has(role)) this.#leftAt.set(role, now);
    for (const role of byRole.keys()) this.#leftAt.delete(role);
    this.#members = members;
    this.#byRole = byRole;
    this.#serve(null);
    this.#dismissUnserved();
  }

  status(): AgentStatus[] {
    return [...this.#members.values()].map(({ info, inFlight, successRate }) => ({
      name: info.name,
      roles: info.roles,
      capacity: info.maxConcurrent,
      inFlight,
      successRate,
    }));
  }

  /** Asks for an agent. An assigned key holds its agent's capacity until `release`. */
  request(want: Want): Answer {
    assert(!this.#leases.has(want.key) && !this.#waiting.has(want.key), `\`${want.key}\` is asked for once`);
    if (!this.#byRole.has(want.role) && this.#graceOf(want.role) <= 0) return { kind: 'unserved' };
    // whoever waits for this role comes first
    const queue = this.#queues.get(want.role);
    const assignment = queue === undefined || queue.size === 0 ? this.#assign(want) : null;
    if (assignment !== null) return { kind: 'assigned', assignment };
    this.#waiting.set(want.key, want);
    this.#waitingSince.set(want.key, this.#options.clock.now());
    if (queue === undefined) {
      const made = new FairQueue();
      made.push(want);
      this.#queues.set(want.role, made);
    } else {
      queue.push(want);
    }
    if (!this.#byRole.has(want.role)) this.#dismissAfter(this.#graceOf(want.role));
    return { kind: 'queued' };
  }

  /** Holds capacity for an attempt that its agent, here or not, is at since before this process. Until `release`. */
  hold(key: string, agent: string): void {
    const known = this.#members.get(agent) ?? this.#absent.get(agent);
    const info = { name: agent, roles: [], maxConcurrent: 1, leaseMs: null };
    const member = known ?? { info, inFlight: 0, successRate: NEUTRAL_SUCCESS_RATE, lastAssigned: 0 };
    if (known === undefined) this.#absent.set(agent, member);
    member.inFlight += 1;
    this.#leases.set(key, { member, leaseMs: null, expiresAt: Number.POSITIVE_INFINITY });
  }

  /** Takes back a want that waits; one that does not wait is none of its business. */
  withdraw(key: string): void {
    const want = this.#waiting.get(key);
    if (want === undefined) return;
    this.#waiting.delete(key);
    this.#waitingSince.delete(key);
    this.#queues.get(want.role)?.remove(want);
  }

  /** A sign of life of the attempt's agent. */
  touch(key: string): void {
    const lease = this.#leases.get(key);
    if (lease?.leaseMs != null) lease.expiresAt = this.#options.clock.now() + lease.leaseMs;
  }

  /** Gives the capacity back and serves whoever waits. Releasing twice is no error: the first one counts. */
  release(key: string, end: AttemptEnd): void {
    const lease = this.#leases.get(key);
    if (lease === undefined) return;
    this.#leases.delete(key);
    const { member } = lease;
    member.inFlight -= 1;
    if (member.inFlight === 0) this.#absent.delete(member.info.name);
    if (end !== 'neutral') member.successRate = nextSuccessRate(member.successRate, end === 'success');
    if (this.#waiting.size === 0) return;
    const { maxParallelTasks } = this.#options;
    const wasFull = maxParallelTasks !== null && this.#leases.size === maxParallelTasks - 1;
    this.#serve(wasFull ? null : new Set(member.info.roles));
  }

  /** Nobody new is served from now on; who waits goes on waiting. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Nobody is served any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancelSweep?.();
    this.#cancelSweep = null;
    this.#cancelDismissal?.();
    this.#cancelDismissal = null;
  }

  /** `roles` null: all. They take turns, so that none starves where they share an agent or the overall limit. */
  #serve(roles: ReadonlySet<string> | null): void {
    if (this.#isClosed) return;
    for (const [role, queue] of [...this.#queues]) {
      if (roles !== null && !roles.has(role)) continue;
      let isServed = false;
      while (queue.size > 0 && this.#hasRoom(role)) {
        const want = queue.shift();
        if (want === undefined) break;
        const assignment = this.#assign(want);
        assert(assignment !== null, 'there was room');
        this.#waiting.delete(want.key);
        this.#waitingSince.delete(want.key);
        isServed = true;
        this.#options.onAssigned(want, assignment);
      }
      if (queue.size > 0 && !isServed) continue;
      this.#queues.delete(role);
      if (queue.size > 0) this.#queues.set(role, queue);
    }
  }

  /** For how long an agent of the role may still come back; 0 or less: none will. */
  #graceOf(role: string): number {
    const { graceMs, clock } = this.#options;
    return (this.#leftAt.get(role) ?? this.#startedAt) + graceMs - clock.now();
  }

  #dismissAfter(delayMs: number): void {
    if (this.#isClosed || this.#cancelDismissal !== null) return;
    this.#cancelDismissal = this.#options.clock.after(Math.max(1, delayMs), () => {
      this.#cancelDismissal = null;
      this.#dismissUnserved();
    });
  }

  #dismissUnserved(): void {
    for (const role of [...this.#leftAt.keys()]) if (this.#graceOf(role) <= 0) this.#leftAt.delete(role);
    for (const [role, queue] of [...this.#queues]) {
      if (this.#byRole.has(role)) continue;
      const graceMs = this.#graceOf(role);
      if (graceMs > 0) {
        this.#dismissAfter(graceMs);
        continue;
      }
      this.#queues.delete(role);
      for (let want = queue.shift(); want !== undefined; want = queue.shift()) {
        this.#waiting.delete(want.key);
        this.#waitingSince.delete(want.key);
        this.#options.onUnserved(want);
      }
    }
  }

  #hasRoom(role: string): boolean {
    if (this.#isFull()) return false;
    return (this.#byRole.get(role) ?? []).some((member) => member.inFlight < member.info.maxConcurrent);
  }

  #isFull(): boolean {
    if (this.#isPaused) return true;
    const { maxParallelTasks } = this.#options;
    return maxParallelTasks !== null && this.#leases.size >= maxParallelTasks;
  }

  #assign(want: Want): Assignment | null {
    if (this.#isFull()) return null;
    const assignment = chooseAgent((this.#byRole.get(want.role) ?? []).map(candidateOf));
    if (assignment === null) return null;
    const member = this.#members.get(assignment.agent);
    assert(member !== undefined, 'the chosen agent is registered');
    member.inFlight += 1;
    this.#assignments += 1;
    member.lastAssigned = this.#assignments;
    const { leaseMs } = member.info;
    const expiresAt = leaseMs === null ? Number.POSITIVE_INFINITY : this.#options.clock.now() + leaseMs;
    this.#leases.set(want.key, { member, leaseMs, expiresAt });
    if (leaseMs !== null) this.#watchLeases(expiresAt);
    return assignment;
  }

  /** Looks at the leases at this time at the latest. */
  #watchLeases(at: number): void {
    if (this.#isClosed || this.#sweepAt <= at) return;
    this.#cancelSweep?.();
    this.#sweepAt = at;
    const { clock } = this.#options;
    this.#cancelSweep = clock.after(Math.max(1, at - clock.now()), () => this.#sweep());
  }

  #sweep(): void {
    this.#cancelSweep = null;
    this.#sweepAt = Number.POSITIVE_INFINITY;
    const now = this.#options.clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, lease] of [...this.#leases]) {
      if (lease.leaseMs !== null && lease.expiresAt <= now) {
        this.#options.onExpired(key);
        // looked at again while it is held: the dispatch may still be on its way to the disk, and then nobody has heard of this
        lease.expiresAt = now + lease.leaseMs;
      }
      next = Math.min(next, lease.expiresAt);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#watchLeases(next);
  }
}

function candidateOf(member: Member): Candidate {
  const { info, inFlight, successRate, lastAssigned } = member;
  return { name: info.name, capacity: info.maxConcurrent, inFlight, successRate, lastAssigned };
}
