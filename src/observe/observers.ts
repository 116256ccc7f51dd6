/** Several observers as one. */
import type { EngineObserver } from '../core/ports.js';

/** Nobody looks on. */
export const NO_OBSERVER: EngineObserver = {
  committed: () => undefined,
  decided: () => undefined,
  audited: () => undefined,
  traceparent: () => null,
};

/** Each is told of everything, in this order; the first that has a trace context gives it. */
export function combineObservers(observers: readonly EngineObserver[]): EngineObserver {
  return {
    committed: (commit) => {
      for (const observer of observers) observer.committed(commit);
    },
    decided: (request, decision) => {
      for (const observer of observers) observer.decided(request, decision);
    },
    audited: (isWhole) => {
      for (const observer of observers) observer.audited(isWhole);
    },
    traceparent: (instance, taskId) => {
      for (const observer of observers) {
        const found = observer.traceparent(instance, taskId);
        if (found !== null) return found;
      }
      return null;
    },
  };
}
