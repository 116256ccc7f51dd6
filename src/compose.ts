/** The composition root: every moving part of an engine, top to bottom. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Agent } from './agent/agent.js';
import { createCommandRunner } from './agent/command.js';
import { removeStaleWorkdirs } from './agent/command-task.js';
import { type AttemptLimits, DEFAULT_LIMITS } from './agent/limits.js';
import { endOrphans } from './agent/process-marks.js';
import { endHolders, holdRunFile } from './agent/run-file.js';
import { createSdkRunner } from './agent/sdk-runner.js';
import { AllowAllAuthorizer } from './auth/allow-all.js';
import { CedarAuthorizer } from './auth/cedar.js';
import type { EngineConfig } from './config/load.js';
import { redactStoreUrl } from './config/store-url.js';
import type { VaporaError } from './core/errors.js';
import type { Authorizer, Clock } from './core/ports.js';
import type { WorkflowTemplate } from './core/template.js';
import { systemClock } from './engine/clock.js';
import { sha256 } from './engine/digest.js';
import { type OrchestratorOptions, WorkflowOrchestrator } from './engine/orchestrator.js';
import { createLogger } from './observe/logger.js';
import type { MetricSources, Metrics } from './observe/metrics.js';
import { openObservation } from './observe/observation.js';
import { observedAuthorizer } from './observe/observers.js';
import { packageVersion } from './observe/package-version.js';
import { SurrealWorkflowStore } from './store/surreal/store.js';
import { InProcessTransport } from './transport/in-process.js';
import { Triggers } from './triggers/triggers.js';

export interface EngineOptions {
  /** Agents of this process, beside those of the configuration. */
  readonly agents?: readonly Agent[];
  /** Made by `defineWorkflow`, beside those of the configuration, which they stand above where a name is the same. */
  readonly workflows?: readonly WorkflowTemplate[];
  /** Default: warnings and worse, as JSON lines on stderr. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Count what goes on, for Prometheus: `engine.metrics.registry`. Default: false. */
  readonly metrics?: boolean;
  /** Where the secrets of webhooks are looked up, and whether to trace; default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface Engine {
  readonly api: WorkflowOrchestrator;
  readonly store: SurrealWorkflowStore;
  readonly authorizer: CedarAuthorizer | AllowAllAuthorizer;
  /** The same, and what it answers is counted: for whoever asks on behalf of callers. */
  readonly asked: Authorizer;
  /** Null unless asked for. */
  readonly metrics: Metrics | null;
  /** Agents may come and go while the engine runs. */
  readonly transport: InProcessTransport;
  /** Schedules, webhooks and chains. They start nothing by themselves before `triggers.start()`. */
  readonly triggers: Triggers;
  /** Resolves, with why, when the engine can't go on; end the process then: the next one recovers. */
  readonly failed: Promise<VaporaError>;
  /** Wakes every instance that is not at an end; answers how many. Without it, only what is asked for is woken. */
  recover(): Promise<number>;
  /** Stops agents, finishes commits, lets go of the store. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the store that the configuration names and everything around it. Nothing goes on until something is started, asked for or
 * recovered. Throws `policy_invalid`, `config_invalid` (an agent), and the store's errors (`store_locked`, …); then nothing is open.
 */
export async function openEngine(config: EngineConfig, options: EngineOptions = {}): Promise<Engine> {
  const clock = options.clock ?? systemClock();
  const log = options.logger ?? createLogger('warn');
  const { engine: settings } = config;
  const env = options.env ?? process.env;
  const { metrics: withMetrics = false } = options;
  const watch = await openObservation({ log, withMetrics, version: packageVersion(), env });
  const { observer, metrics } = watch;

  const authorizer = await openAuthorizer(settings.cedarPolicyDir, log);
  let onFailure: (error: VaporaError) => void = () => {};
  const storeFailed = new Promise<VaporaError>((resolve) => {
    onFailure = resolve;
  });
  try {
    const transport = openTransport(config, options.agents ?? [], clock);
    const { store, letGo } = await openStore(config, { clock, onFailure, metrics });
    const templates = templatesOf(config, options.workflows ?? []);
    const asked = observedAuthorizer(authorizer, observer);
    const orchestrator = new WorkflowOrchestrator({
      store,
      transport,
      authorizer: asked,
      clock,
      log,
      observer,
      templates,
      maxParallelTasks: settings.maxParallelTasks,
      limits: settings.limits,
    });
    const parts = { store, authorizer: asked, clock, log, templates };
    const triggers = openTriggers(orchestrator, parts, config, env);
    if (metrics !== null) metrics.begin(await store.countLive(), sourcesOf(orchestrator, store));
    return {
      api: orchestrator,
      store,
      authorizer,
      asked,
      metrics,
      transport,
      triggers,
      failed: Promise.race([orchestrator.failed, storeFailed]),
      recover: async () => {
        const startedAt = clock.now();
        const woken = await orchestrator.recover();
        metrics?.recovered(woken, clock.now() - startedAt);
        return woken;
      },
      close: async () => {
        await triggers.close();
        await orchestrator.close();
        letGo();
        await watch.close();
        if (authorizer instanceof CedarAuthorizer) authorizer.close();
      },
    };
  } catch (error) {
    if (authorizer instanceof CedarAuthorizer) authorizer.close();
    throw error;
  }
}

/** Open, and nothing acts in it any more that an engine before has left. */
async function openStore(
  config: EngineConfig,
  parts: {
    readonly clock: Clock;
    readonly onFailure: (error: VaporaError) => void;
    readonly metrics: Metrics | null;
  },
): Promise<{ readonly store: SurrealWorkflowStore; readonly letGo: () => void }> {
  const { clock, onFailure, metrics } = parts;
  const store = await SurrealWorkflowStore.open(config.engine.store, {
    clock,
    onFailure,
    ...(metrics === null ? {} : { onBatch: (size, ms) => metrics.batch(size, ms) }),
  });
  try {
    return { store, letGo: config.agents.length > 0 ? await clearTraces(config, clock) : () => undefined };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function templatesOf(
  config: EngineConfig,
  workflows: readonly WorkflowTemplate[],
): ReadonlyMap<string, WorkflowTemplate> {
  return new Map([...config.templates, ...workflows.map((template) => [template.name, template] as const)]);
}

function sourcesOf(orchestrator: WorkflowOrchestrator, store: SurrealWorkflowStore): MetricSources {
  const { swarm } = orchestrator;
  return {
    queue: () => ({ tasks: swarm.queued, oldestMs: swarm.oldestWaitMs, inFlight: swarm.inFlight }),
    agents: () => swarm.status(),
    store: () => store.statistics(),
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

async function openAuthorizer(
  directory: string | null,
  log: Logger,
): Promise<CedarAuthorizer | AllowAllAuthorizer> {
  if (directory !== null) return CedarAuthorizer.loadFromDir(directory);
  log.warn('authorization is off: no `cedar_policy_dir` is configured, so everything is allowed');
  return new AllowAllAuthorizer();
}

/**
 * What the attempts of an engine that was killed have left: their processes first, then their directories. From then on the next
 * engine can tell by a file that is kept open what this one was about to start; answers how to let go of it.
 */
async function clearTraces(config: EngineConfig, clock: Clock): Promise<() => void> {
  const workRoot = workRootOf(config);
  const runFile = join(workRoot, 'engine.run');
  await endHolders(runFile, clock);
  await endOrphans(ownerOf(config), clock);
  await removeStaleWorkdirs(workRoot);
  return holdRunFile(runFile);
}

/** What traces of an engine are marked with: its store, without a password that could be guessed from a mark. */
function ownerOf(config: EngineConfig): string {
  return redactStoreUrl(config.engine.store);
}

/** Of its own for each store: the lock on the store then guards the directory too. */
function workRootOf(config: EngineConfig): string {
  return join(config.directory, '.vapora', 'work', sha256(ownerOf(config)).slice(0, 16));
}

function openTransport(config: EngineConfig, agents: readonly Agent[], clock: Clock): InProcessTransport {
  const { maxArtifactBytes, maxOutputBytes } = config.engine.limits;
  const maxTotalArtifactBytes = Math.max(DEFAULT_LIMITS.maxTotalArtifactBytes, maxArtifactBytes);
  const limits: AttemptLimits = {
    ...DEFAULT_LIMITS,
    maxArtifactBytes,
    maxTotalArtifactBytes,
    maxOutputBytes,
  };
  const owner = ownerOf(config);
  const workRoot = workRootOf(config);
  return new InProcessTransport(clock, [
    ...config.agents.map((agent) => createCommandRunner(agent, { clock, owner, limits, workRoot })),
    ...agents.map((agent) => createSdkRunner(agent, { limits })),
  ]);
}
