/** One registration of an agent that calls over the network: what waits for it, and its open poll. */
import type { AgentInfo } from '../core/ports.js';
import type { RemoteAttempt } from './remote-attempt.js';

export interface Registration {
  readonly name: string;
  readonly roles: readonly string[];
  /** Attempts at once. */
  readonly capacity: number;
  readonly version: string | null;
  /** Of the agent's making: the same registration again, because its answer was lost, is known by it. */
  readonly key: string | null;
}

export class RemoteSession {
  readonly id: string;
  /** Whoever registered: nobody else may speak for it. */
  readonly owner: string;
  readonly registration: Registration;
  readonly info: AgentInfo;
  readonly attempts = new Set<RemoteAttempt>();
  isDraining = false;
  /** It has said which attempts of an earlier process it is still at. */
  hasClaimed = false;
  seenAt: number;
  #polls = 0;
  #wakePoll: (() => void) | null = null;

  constructor(id: string, owner: string, registration: Registration, now: number) {
    this.id = id;
    this.owner = owner;
    this.registration = registration;
    this.seenAt = now;
    const { name, roles, capacity } = registration;
    // the lease is the transport's own affair
    this.info = Object.freeze({ name, roles, maxConcurrent: capacity, leaseMs: null });
  }

  lastSeen(now: number): number {
    return this.#polls > 0 ? now : this.seenAt;
  }

  /** While it waits for an answer it is certainly there. */
  isSilent(now: number, leaseMs: number): boolean {
    return this.#polls === 0 && now - this.seenAt >= leaseMs;
  }

  /** Whether the registration is this one, made again. */
  isSame({ key }: Registration): boolean {
    return key !== null && key === this.registration.key;
  }

  queued(): RemoteAttempt[] {
    return [...this.attempts].filter((attempt) => attempt.phase === 'queued');
  }

  stopping(): RemoteAttempt[] {
    return [...this.attempts].filter((attempt) => attempt.isStopping && attempt.phase === 'delivered');
  }

  /** Something has come up that an open poll should answer with. */
  wake(): void {
    this.#wakePoll?.();
  }

  /** Resolves when something comes up, when `until` resolves, or when the next poll takes this one's place. */
  async wait(until: Promise<void>): Promise<void> {
    this.#wakePoll?.();
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#wakePoll = wake;
    this.#polls += 1;
    try {
      await Promise.race([woken, until]);
    } finally {
      this.#polls -= 1;
      if (this.#wakePoll === wake) this.#wakePoll = null;
    }
  }
}
