/** The store, opened where nothing acts in it any more. */
import { isCommandAgent } from '../config/agents.js';
import type { EngineConfig } from '../config/load.js';
import type { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { WorkflowOrchestrator } from '../engine/orchestrator.js';
import type { MetricSources } from '../observe/metric-sources.js';
import type { Metrics } from '../observe/metrics.js';
import { SurrealWorkflowStore } from '../store/surreal/store.js';
import { clearTraces } from './agents.js';

/** Open, and nothing acts in it any more that an engine before has left. */
export async function openStore(
  config: EngineConfig,
  clock: Clock,
  metrics: Metrics | null,
): Promise<{
  readonly store: SurrealWorkflowStore;
  readonly failed: Promise<VaporaError>;
  readonly letGo: () => void;
}> {
  let onFailure: (error: VaporaError) => void = () => {};
  const failed = new Promise<VaporaError>((resolve) => {
    onFailure = resolve;
  });
  const store = await SurrealWorkflowStore.open(config.engine.store, {
    clock,
    onFailure,
    ...(metrics === null ? {} : { onBatch: (size, ms) => metrics.batch(size, ms) }),
  });
  try {
    const hasPrograms = config.agents.some(isCommandAgent);
    const letGo = hasPrograms ? await clearTraces(config, clock) : () => undefined;
    return { store, failed, letGo };
  } catch (error) {
    await store.close();
    throw error;
  }
}

export function sourcesOf(orchestrator: WorkflowOrchestrator, store: SurrealWorkflowStore): MetricSources {
  const { swarm } = orchestrator;
  return {
    queue: () => ({ tasks: swarm.queued, oldestMs: swarm.oldestWaitMs, inFlight: swarm.inFlight }),
    agents: () => swarm.status(),
    store: () => store.statistics(),
    shared: () => orchestrator.sharedRatios(),
  };
}
