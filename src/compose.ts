/** The composition root: every moving part of an engine, top to bottom. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Agent } from './agent/agent.js';
import { Callbacks } from './agent/callbacks.js';
import { createCommandRunner } from './agent/command.js';
import { removeStaleWorkdirs } from './agent/command-task.js';
import { type AttemptLimits, DEFAULT_LIMITS } from './agent/limits.js';
import { Outbound } from './agent/outbound.js';
import { endOrphans } from './agent/process-marks.js';
import { endHolders, holdRunFile } from './agent/run-file.js';
import { createSdkRunner } from './agent/sdk-runner.js';
import { createWebhookRunner } from './agent/webhook.js';
import { AllowAllAuthorizer } from './auth/allow-all.js';
import { CedarAuthorizer } from './auth/cedar.js';
import { DecisionLog } from './auth/decision-log.js';
import { isCommandAgent } from './config/agents.js';
import type { EngineConfig } from './config/load.js';
import { redactStoreUrl } from './config/store-url.js';
import { VaporaError } from './core/errors.js';
import type { AgentTransport, Authorizer, Clock } from './core/ports.js';
import type { WorkflowTemplate } from './core/template.js';
import { systemClock } from './engine/clock.js';
import { sha256 } from './engine/digest.js';
import { drain } from './engine/drain.js';
import { type OrchestratorOptions, WorkflowOrchestrator } from './engine/orchestrator.js';
import { createLogger } from './observe/logger.js';
import type { MetricSources, Metrics } from './observe/metrics.js';
import { type Observation, openObservation } from './observe/observation.js';
import { observedAuthorizer } from './observe/observers.js';
import { packageVersion } from './observe/package-version.js';
import { Archive } from './retention/archive.js';
import { Retention } from './retention/retention.js';
import { SurrealWorkflowStore } from './store/surreal/store.js';
import { InProcessTransport } from './transport/in-process.js';
import { JoinedTransport } from './transport/joined.js';
import { RemoteTransport } from './transport/remote.js';
import { Triggers } from './triggers/triggers.js';

export interface EngineOptions {
  /** Agents of this process, beside those of the configuration. */
  readonly agents?: readonly Agent[];
  /** Made by `defineWorkflow`, beside those of the configuration, which they stand above where a name is the same. */
  readonly workflows?: readonly WorkflowTemplate[];
  /** Default: warnings and worse, as JSON lines on stderr. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Count what goes on, for Prometheus: `engine.metrics`. Default: false. */
  readonly metrics?: boolean;
  /** Where the secrets of webhooks are looked up, and whether to trace; default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether what the policies say is kept in the store, beside the histories: what a server with several callers does. */
  readonly recordsDecisions?: boolean;
  /** Lets agents in that call over the network: `engine.remote`. Default: only those of this process. */
  readonly remoteAgents?: boolean;
}

export interface Engine {
  readonly api: WorkflowOrchestrator;
  readonly store: SurrealWorkflowStore;
  readonly authorizer: CedarAuthorizer | AllowAllAuthorizer;
  /** Those that new instances are started with. */
  readonly templates: ReadonlyMap<string, WorkflowTemplate>;
  /** Keeps what the policies say; null: nobody does. */
  readonly decisions: DecisionLog | null;
  /** The authorizer to ask on behalf of callers: what it says is counted, and kept where that is asked for. */
  readonly asked: Authorizer;
  /** Null unless asked for. */
  readonly metrics: Metrics | null;
  /** Agents may come and go while the engine runs. */
  readonly transport: InProcessTransport;
  /** Agents that call over the network; null: they are not let in. */
  readonly remote: RemoteTransport | null;
  /** Where agents that were called answer later. */
  readonly callbacks: Callbacks;
  /** Schedules, webhooks and chains. They start nothing by themselves before `triggers.start()`. */
  readonly triggers: Triggers;
  /** Lets go of what has ended, and of content that nothing refers to. It does nothing by itself before `retention.start()`. */
  readonly retention: Retention;
  /** Resolves, with why, when the engine can't go on; end the process then: the next one recovers. */
  readonly failed: Promise<VaporaError>;
  /** Wakes every instance that is not at an end; answers how many. Without it, only what is asked for is woken. */
  recover(): Promise<number>;
  /**
   * Takes over templates, triggers and policies, all of them or nothing: instances that have been started keep theirs. Throws
   * `config_invalid`, `policy_invalid`, and leaves in force what was.
   */
  reload(config: EngineConfig): Promise<void>;
  /** Gives agents nothing new, and resolves once they are done, after `graceMs` at the latest; answers how many are not. */
  drain(graceMs: number): Promise<number>;
  /** Stops agents, finishes commits, lets go of the store. Idempotent. */
  close(): Promise<void>;
}

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
  readonly authorizer: CedarAuthorizer | AllowAllAuthorizer;
  readonly watch: Observation;
  /** Lets go of what was opened before the store. */
  readonly letGo: () => Promise<void>;
}

async function assemble(config: EngineConfig, options: EngineOptions, around: Surroundings): Promise<Engine> {
  const { clock, log, env, authorizer, watch } = around;
  const { engine: settings } = config;
  const { observer, metrics } = watch;
  const agents = openAgents(config, options, { clock, env });
  const { store, failed, letGo } = await openStore(config, clock, metrics);
  const templates = templatesOf(config, options.workflows ?? []);
  const decisions =
    options.recordsDecisions === true ? new DecisionLog(authorizer, { book: store, clock, log }) : null;
  const asked = observedAuthorizer(decisions ?? authorizer, observer);
  const orchestrator = new WorkflowOrchestrator({
    store,
    transport: agents.all,
    authorizer: asked,
    clock,
    log,
    observer,
    anchors: (id) => store.attic.anchors(id),
    templates,
    maxParallelTasks: settings.maxParallelTasks,
    limits: settings.limits,
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

/** Open, and nothing acts in it any more that an engine before has left. */
async function openStore(
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

function sourcesOf(orchestrator: WorkflowOrchestrator, store: SurrealWorkflowStore): MetricSources {
  const { swarm } = orchestrator;
  return {
    queue: () => ({ tasks: swarm.queued, oldestMs: swarm.oldestWaitMs, inFlight: swarm.inFlight }),
    agents: () => swarm.status(),
    store: () => store.statistics(),
  };
}

function templatesOf(
  config: EngineConfig,
  workflows: readonly WorkflowTemplate[],
): Map<string, WorkflowTemplate> {
  return new Map([...config.templates, ...workflows.map((template) => [template.name, template] as const)]);
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

async function reload(
  parts: Pick<Engine, 'authorizer' | 'triggers'> & { readonly templates: Map<string, WorkflowTemplate> },
  next: EngineConfig,
  workflows: readonly WorkflowTemplate[],
): Promise<void> {
  const { authorizer, triggers, templates } = parts;
  const all = templatesOf(next, workflows);
  const replaceTriggers = triggers.prepare(all);
  await reloadPolicies(authorizer, next.engine.cedarPolicyDir);
  // nothing from here on can fail
  replaceTriggers();
  templates.clear();
  for (const [name, template] of all) templates.set(name, template);
}

/** Throws `policy_invalid`, also where enforcing would have to begin or end: that takes a restart. */
async function reloadPolicies(
  authorizer: CedarAuthorizer | AllowAllAuthorizer,
  directory: string | null,
): Promise<void> {
  if (authorizer instanceof CedarAuthorizer && directory !== null) return authorizer.reload(directory);
  if (authorizer.isEnforcing === (directory !== null)) return;
  throw new VaporaError('policy_invalid', '`cedar_policy_dir` was added or taken away', {
    hint: 'restart the server to turn authorization on or off',
  });
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

interface Agents {
  readonly local: InProcessTransport;
  readonly remote: RemoteTransport | null;
  readonly all: AgentTransport;
  readonly callbacks: Callbacks;
  /** How long a role is waited for whose agents have left. */
  readonly graceMs: number;
  /** Whether an attempt goes on without this process. */
  readonly outlives: (taskId: string) => boolean;
  attach(orchestrator: WorkflowOrchestrator): void;
}

function openAgents(
  config: EngineConfig,
  options: EngineOptions,
  around: Pick<Surroundings, 'clock' | 'env'>,
): Agents {
  const { clock } = around;
  const callbacks = new Callbacks(options.remoteAgents === true ? config.server.publicUrl : null);
  const local = openTransport(config, options.agents ?? [], { ...around, callbacks });
  if (options.remoteAgents !== true) {
    return {
      local,
      remote: null,
      all: local,
      callbacks,
      graceMs: 0,
      outlives: () => false,
      attach: () => {},
    };
  }
  const { agentLeaseMs: leaseMs } = config.engine;
  const remote = new RemoteTransport({ clock, leaseMs, limits: attemptLimitsOf(config) });
  const isTaken = (name: string) => local.agents().some((agent) => agent.name === name);
  return {
    local,
    remote,
    all: new JoinedTransport(local, remote),
    callbacks,
    graceMs: leaseMs,
    outlives: (taskId) => remote.carries(taskId),
    attach: ({ agentWords }) => remote.desk.attach(agentWords, isTaken),
  };
}

function openTransport(
  config: EngineConfig,
  agents: readonly Agent[],
  around: Pick<Surroundings, 'clock' | 'env'> & { readonly callbacks: Callbacks },
): InProcessTransport {
  const { clock } = around;
  const limits = attemptLimitsOf(config);
  const owner = ownerOf(config);
  const workRoot = workRootOf(config);
  const outbound = new Outbound(config.engine.outbound);
  return new InProcessTransport(clock, [
    ...config.agents.map((agent) =>
      isCommandAgent(agent)
        ? createCommandRunner(agent, { clock, owner, limits, workRoot })
        : createWebhookRunner(agent, { ...around, limits, outbound }),
    ),
    ...agents.map((agent) => createSdkRunner(agent, { limits })),
  ]);
}

function attemptLimitsOf(config: EngineConfig): AttemptLimits {
  const { maxArtifactBytes, maxOutputBytes } = config.engine.limits;
  const maxTotalArtifactBytes = Math.max(DEFAULT_LIMITS.maxTotalArtifactBytes, maxArtifactBytes);
  return { ...DEFAULT_LIMITS, maxArtifactBytes, maxTotalArtifactBytes, maxOutputBytes };
}
