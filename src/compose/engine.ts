/** What an engine is made of, and what may be said about it when it is opened. */

import type { Logger } from 'pino';
import type { Agent } from '../agent/agent.js';
import type { Callbacks } from '../agent/callbacks.js';
import type { AllowAllAuthorizer } from '../auth/allow-all.js';
import type { AskedAuthorizer } from '../auth/asked.js';
import type { CedarAuthorizer } from '../auth/cedar.js';
import type { DecisionLog } from '../auth/decision-log.js';
import type { EngineConfig } from '../config/load.js';
import type { AgentApi } from '../core/api.js';
import type { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { WorkflowOrchestrator } from '../engine/orchestrator.js';
import type { Metrics } from '../observe/metrics.js';
import type { Retention } from '../retention/retention.js';
import type { SurrealWorkflowStore } from '../store/surreal/store.js';
import type { InProcessTransport } from '../transport/in-process.js';
import type { RemoteTransport } from '../transport/remote.js';
import type { Triggers } from '../triggers/triggers.js';

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
  readonly asked: AskedAuthorizer;
  /** Null unless asked for. */
  readonly metrics: Metrics | null;
  /** Agents may come and go while the engine runs. */
  readonly transport: InProcessTransport;
  /** Agents that call over the network; null: they are not let in. */
  readonly remote: RemoteTransport | null;
  /** How the agents do, wherever they are. */
  readonly agents: AgentApi;
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
