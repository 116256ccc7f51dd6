/** What every instance's actor shares with the orchestrator. */
import type { Logger } from 'pino';
import type { Happening } from '../core/api.js';
import type { Moment } from '../core/inputs.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { AgentTransport, Authorizer, Clock, EngineObserver, WorkflowStore } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { SwarmCoordinator } from '../swarm/coordinator.js';
import { sha256 } from './digest.js';
import type { Tally } from './tally.js';
import type { TimerQueue } from './timers.js';

export interface Shell {
  readonly store: WorkflowStore;
  readonly transport: AgentTransport;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly swarm: SwarmCoordinator;
  readonly tally: Tally;
  readonly timers: TimerQueue;
  readonly log: Logger;
  readonly observer: EngineObserver;
  readonly hasListeners: boolean;
  /** The process is going down: nothing new is started, and what is stopped now is not an outcome. */
  readonly isClosing: boolean;
  publish(notice: Happening): void;
  /** The store can't go on, or an assertion failed: nothing is acknowledged any more. */
  fail(error: unknown): void;
}

/** For decisions upon an instance of the template, as it is committed; null: there is none yet. */
export function momentOf(
  { clock, tally }: Pick<Shell, 'clock' | 'tally'>,
  template: WorkflowTemplate,
  committed: WorkflowInstance | null,
): Moment {
  const now = Math.max(clock.now(), committed?.updatedAt ?? 0);
  const shared = tally.useFor(template, committed, now);
  return { now, random: () => clock.random(), digest: sha256, shared };
}
