/** Agents of every kind behind one transport, and what they leave on this machine. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Agent } from '../agent/agent.js';
import { Callbacks } from '../agent/callbacks.js';
import { removeStaleWorkdirs } from '../agent/command-task.js';
import { createConfiguredRunner } from '../agent/configured.js';
import { type AttemptLimits, DEFAULT_LIMITS } from '../agent/limits.js';
import { Outbound } from '../agent/outbound.js';
import { endOrphans } from '../agent/process-marks.js';
import { endHolders, holdRunFile } from '../agent/run-file.js';
import { createSdkRunner } from '../agent/sdk-runner.js';
import { type AgentConfig, missingVariable } from '../config/agents.js';
import type { EngineConfig } from '../config/load.js';
import { redactStoreUrl } from '../config/store-url.js';
import type { AgentTransport, Clock, TaskOrder, TaskSink } from '../core/ports.js';
import { sha256 } from '../engine/digest.js';
import type { WorkflowOrchestrator } from '../engine/orchestrator.js';
import { InProcessTransport } from '../transport/in-process.js';
import { JoinedTransport } from '../transport/joined.js';
import { type RemoteOptions, RemoteTransport } from '../transport/remote.js';
import type { EngineOptions } from './engine.js';

interface Around {
  readonly clock: Clock;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}

export interface Agents {
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

export function openAgents(config: EngineConfig, options: EngineOptions, around: Around): Agents {
  const { clock, log } = around;
  const callbacks = new Callbacks(options.remoteAgents === true ? config.server.publicUrl : null);
  const local = openTransport(config, options.agents ?? [], { ...around, callbacks });
  const { agentLeaseMs: leaseMs } = config.engine;
  const parts = { clock, leaseMs, limits: attemptLimitsOf(config) };
  if (options.remoteAgents !== true) {
    const elsewhere = new DeafTransport(parts, log);
    return {
      local,
      remote: null,
      all: new JoinedTransport(local, elsewhere),
      callbacks,
      graceMs: 0,
      outlives: (taskId) => elsewhere.carries(taskId),
      attach: () => {},
    };
  }
  const remote = new RemoteTransport(parts);
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

/**
 * For an engine that nobody can call. What an engine before it has given to an agent elsewhere goes on there: it is lost only once a
 * whole lease has passed, as with an engine that listens, and an engine that ends sooner leaves it to the next one.
 */
class DeafTransport extends RemoteTransport {
  readonly #log: Logger;
  readonly #leaseMs: number;

  constructor(options: RemoteOptions, log: Logger) {
    super(options);
    this.#log = log;
    this.#leaseMs = options.leaseMs;
  }

  override resume(agent: string, orderOf: () => TaskOrder, sink: TaskSink): boolean {
    const order = orderOf();
    const { workflow_id: instance, stage_name: stage } = order;
    const reason = `it is lost in ${this.#leaseMs / 1_000} s, unless a server that the agent calls takes over before`;
    this.#log.warn(
      { instance, stage, agent, reason },
      'the agent, which is no part of this engine, may be at it',
    );
    return super.resume(agent, () => order, sink);
  }
}

function openTransport(
  config: EngineConfig,
  agents: readonly Agent[],
  around: Around & { readonly callbacks: Callbacks },
): InProcessTransport {
  const { clock } = around;
  const limits = attemptLimitsOf(config);
  const owner = ownerOf(config);
  const workRoot = workRootOf(config);
  const outbound = new Outbound(config.engine.outbound);
  const parts = { ...around, owner, limits, workRoot, outbound };
  return new InProcessTransport(clock, [
    ...config.agents
      .filter((agent) => isReady(agent, around))
      .map((agent) => createConfiguredRunner(agent, parts)),
    ...agents.map((agent) => createSdkRunner(agent, { limits })),
  ]);
}

/** One without its secret is left out: whoever only looks needs none, and what needs the agent waits for it. */
function isReady(agent: AgentConfig, { env, log }: Around): boolean {
  const variable = missingVariable(agent, env);
  if (variable === null) return true;
  log.warn({ agent: agent.name, variable }, 'the agent is left out: its environment variable is not set');
  return false;
}

function attemptLimitsOf(config: EngineConfig): AttemptLimits {
  const { maxArtifactBytes, maxOutputBytes } = config.engine.limits;
  const maxTotalArtifactBytes = Math.max(DEFAULT_LIMITS.maxTotalArtifactBytes, maxArtifactBytes);
  return { ...DEFAULT_LIMITS, maxArtifactBytes, maxTotalArtifactBytes, maxOutputBytes };
}

/**
 * What the attempts of an engine that was killed have left: their processes first, then their directories. From then on the next
 * engine can tell by a file that is kept open what this one was about to start; answers how to let go of it.
 */
export async function clearTraces(config: EngineConfig, clock: Clock): Promise<() => void> {
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
