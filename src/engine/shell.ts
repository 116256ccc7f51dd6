/** What every instance's actor shares with the orchestrator. */
import type { Logger } from 'pino';
import type { Notice } from '../core/api.js';
import type { Moment } from '../core/inputs.js';
import type { AgentTransport, Authorizer, Clock, EngineObserver, WorkflowStore } from '../core/ports.js';
import type { SwarmCoordinator } from '../swarm/coordinator.js';
import { sha256 } from './digest.js';
import type { TimerQueue } from './timers.js';

export interface Shell {
  readonly store: WorkflowStore;
  readonly transport: AgentTransport;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly swarm: SwarmCoordinator;
  readonly timers: TimerQueue;
  readonly log: Logger;
  readonly observer: EngineObserver;
  readonly hasListeners: boolean;
  /** The process is going down: nothing new is started, and what is stopped now is not an outcome. */
  readonly isClosing: boolean;
  publish(notice: Notice): void;
  /** The store can't go on, or an assertion failed: nothing is acknowledged any more. */
  fail(error: unknown): void;
}

export function momentOf(clock: Clock, notBefore: number): Moment {
  return { now: Math.max(clock.now(), notBefore), random: () => clock.random(), digest: sha256 };
}
