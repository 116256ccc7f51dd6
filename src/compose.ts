/** The composition root: every moving part of an engine, top to bottom. */
import type { Logger } from 'pino';
import { AskedAuthorizer } from './auth/asked.js';
import { CedarAuthorizer } from './auth/cedar.js';
import { DecisionLog } from './auth/decision-log.js';
import { openAgents } from './compose/agents.js';
import type { Engine, EngineOptions } from './compose/engine.js';
import { openAuthorizer, reload, templatesOf } from './compose/reload.js';
import { openStore, sourcesOf } from './compose/store.js';
import type { EngineConfig } from './config/load.js';
import type { Clock } from './core/ports.js';
import { systemClock } from './engine/clock.js';
import { drain } from './engine/drain.js';
import { type OrchestratorOptions, WorkflowOrchestrator } from './engine/orchestrator.js';
import { createLogger } from './observe/logger.js';
import { type Observation, openObservation } from './observe/observation.js';
import { packageVersion } from './observe/package-version.js';
import { Archive } from './retention/archive.js';
import { Retention } from './retention/retention.js';
import type { SurrealWorkflowStore } from './store/surreal/store.js';
import { agentApi } from './swarm/agent-reports.js';
import { Triggers } from './triggers/triggers.js';

export type { Engine, EngineOptions } from './compose/engine.js';

/**
 * Opens the store that the configuration names and everything around it. Nothing goes on until something is started, asked for or
 * recovered. Throws `policy_invalid`, `config_invalid` (an agent), and the store's errors (`store_locked`, …); then nothing is open.
 */
export async function openEngine(config: EngineConfig, options: EngineOptions = {}): Promise<Engine> {
  const { clock = systemClock(), logger: log = createLogger('warn'), env = process.env } = options;
  const withMetrics = options.metrics === true;
  const authorizer = await openAuthorizer(config.engine.cedarPolicyDir, log);
  let watch: Observation | null = null;
  const letGo = async (): Promise<void> => {
    await watch?.close();
    if (authorizer instanceof CedarAuthorizer) authorizer.close();
  };
  try {
    watch = await openObservation({ log, clock, withMetrics, version: packageVersion(), env });
    return await assemble(config, options, { clock, log, env, authorizer, watch, letGo });
  } catch (error) {
    await letGo();
    throw error;
  }
}

interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly authorizer: Engine['authorizer'];
  readonly watch: Observation;
  /** Lets go of what was opened before the store. */
  readonly letGo: () => Promise<void>;
}

async function assemble(config: EngineConfig, options: EngineOptions, around: Surroundings): Promise<Engine> {
  const { clock, log, env, authorizer, watch } = around;
  const { observer, metrics } = watch;
  const agents = openAgents(config, options, { clock, log, env });
  const { store, failed, letGo } = await openStore(config, clock, metrics);
  const templates = templatesOf(config, options.workflows ?? []);
  const decisions = options.recordsDecisions === true ? new DecisionLog({ book: store, clock, log }) : null;
  const asked = new AskedAuthorizer(authorizer, observer, decisions);
  const orchestrator = new WorkflowOrchestrator({
    store,
    transport: agents.all,
    authorizer: asked,
    clock,
    log,
    observer,
    anchors: (id) => store.attic.anchors(id),
    templates,
    maxParallelTasks: config.engine.maxParallelTasks,
    limits: config.engine.limits,
    agentGraceMs: agents.graceMs,
  });
  agents.attach(orchestrator);
  const parts = { store, authorizer: asked, clock, log, templates };
  const triggers = openTriggers(orchestrator, parts, config, env);
  const retention = openRetention(orchestrator, { store, triggers, clock, log, metrics }, config);
  metrics?.begin(await store.countLive(), sourcesOf(orchestrator, store));
  return {
    api: orchestrator,
    store,
    authorizer,
    templates,
    decisions,
    asked,
    metrics,
    transport: agents.local,
    remote: agents.remote,
    agents: agentApi(orchestrator.swarm, agents.remote),
    callbacks: agents.callbacks,
    triggers,
    retention,
    failed: Promise.race([orchestrator.failed, failed]),
    recover: async () => {
      const startedAt = clock.now();
      const woken = await orchestrator.recover();
      metrics?.recovered(woken, clock.now() - startedAt);
      return woken;
    },
    reload: (next) => reload({ authorizer, triggers, templates }, next, options.workflows ?? []),
    drain: (graceMs) => drain(orchestrator.swarm, clock, graceMs, agents.outlives),
    close: async () => {
      await triggers.close();
      await retention.close();
      await decisions?.close();
      await orchestrator.close();
      letGo();
      await around.letGo();
    },
  };
}

function openTriggers(
  api: WorkflowOrchestrator,
  parts: Pick<OrchestratorOptions, 'authorizer' | 'clock' | 'log' | 'templates'> & {
    readonly store: SurrealWorkflowStore;
  },
  config: EngineConfig,
  env: NodeJS.ProcessEnv,
): Triggers {
  const { store, templates } = parts;
  const { maxInputBytes } = config.engine.limits;
  return new Triggers({ ...parts, api, book: store, ended: store, maxInputBytes, env }, templates);
}

function openRetention(
  engine: WorkflowOrchestrator,
  parts: Pick<Engine, 'store' | 'triggers' | 'metrics'> & { readonly clock: Clock; readonly log: Logger },
  { engine: { retention } }: EngineConfig,
): Retention {
  const { store, triggers, metrics, clock, log } = parts;
  const { keepMs, archiveDir } = retention;
  return new Retention({
    engine,
    ended: store,
    attic: store.attic,
    clock,
    log,
    keepMs,
    archive: archiveDir === null ? null : new Archive(archiveDir),
    followedUntil: () => triggers.followedUntil(),
    onRun: (report) => metrics?.retained(report),
  });
}
