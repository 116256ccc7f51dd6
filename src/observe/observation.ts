/** Everything that looks on, put together. Metrics and traces are loaded only where they are asked for. */
import type { Logger } from 'pino';
import type { Clock, EngineObserver } from '../core/ports.js';
import type { Metrics } from './metrics.js';
import { combineObservers } from './observers.js';
import { isTracingAsked, openTracing } from './tracing.js';
import { transitionLog } from './transition-log.js';

export interface Observation {
  readonly observer: EngineObserver;
  /** Null: nobody counts. */
  readonly metrics: Metrics | null;
  close(): Promise<void>;
}

export async function openObservation(options: {
  readonly log: Logger;
  readonly clock: Clock;
  readonly withMetrics: boolean;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Promise<Observation> {
  const { log, clock, withMetrics, version, env } = options;
  const metrics = withMetrics ? new (await import('./metrics.js')).Metrics() : null;
  const tracing = isTracingAsked(env) ? await openTracing({ version, clock, log }) : null;
  const observers = [transitionLog(log), metrics?.observer() ?? [], tracing?.observer ?? []].flat();
  return {
    observer: combineObservers(observers),
    metrics,
    close: async () => {
      await tracing?.close();
    },
  };
}
