/** What routes work with. */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Callbacks } from '../agent/callbacks.js';
import type { AllowAllAuthorizer } from '../auth/allow-all.js';
import type { CedarAuthorizer } from '../auth/cedar.js';
import type { EngineLimits } from '../config/settings.js';
import type { AgentApi, WorkflowApi } from '../core/api.js';
import type { SharedUse } from '../core/budget.js';
import type { DecisionBook } from '../core/decision-log.js';
import type { ErrorCode } from '../core/errors.js';
import type { InstanceId } from '../core/names.js';
import type { Clock, InstanceSummary } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { Metrics } from '../observe/metrics.js';
import type { RemoteTransport } from '../transport/remote.js';
import type { Triggers } from '../triggers/triggers.js';
import type { Access, Endpoint, Valid } from './contract/endpoint.js';
import type { HealthReport, ReadyReport } from './contract/health.js';
import type { EventHub } from './event-hub.js';
import type { Guard } from './guard.js';
import type { Identifier, Identity } from './identity.js';
import type { Tokens } from './tokens.js';

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What the server has to work with; made by whoever puts it together. */
export interface ServerContext {
  readonly api: WorkflowApi;
  readonly triggers: Triggers;
  /** Null: nobody counts. */
  readonly metrics: Metrics | null;
  readonly clock: Clock;
  readonly identifier: Identifier;
  readonly guard: Guard;
  readonly authorizer: CedarAuthorizer | AllowAllAuthorizer;
  readonly tokens: Tokens;
  /** What callers were told they may and may not do. */
  readonly decisions: { readonly book: Pick<DecisionBook, 'decisions'>; flush(): Promise<void> };
  readonly hub: EventHub;
  /** What lists show of an instance, even of one whose history is broken. Throws `instance_unknown`. */
  summary(id: string): Promise<InstanceSummary>;
  /** Ids of instances that have changed since; milliseconds since the epoch. */
  changedSince(at: number): AsyncIterable<readonly InstanceId[]>;
  readonly agents: AgentApi;
  /** Agents that call over the network; null: they are not let in. */
  readonly remote: RemoteTransport | null;
  readonly callbacks: Callbacks;
  readonly limits: EngineLimits;
  /** The lines of a backup that begins now. */
  backup(): AsyncIterable<string>;
  /** Those that new instances are started with. */
  templates(): ReadonlyMap<string, WorkflowTemplate>;
  /** What its instances have used together in the present window; null: they share no budget. */
  sharedUse(template: WorkflowTemplate): Promise<SharedUse | null>;
  health(): HealthReport;
  ready(): ReadyReport;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null where anybody may call. */
    identity: Identity | null;
  }
  interface FastifyReply {
    /** Of the error that it answers with. */
    problemCode: ErrorCode | null;
  }
  interface FastifyContextConfig {
    readonly access?: Access;
  }
}

/** A valid call, and who makes it. */
export interface Call<E extends Endpoint> {
  readonly params: Valid<E['params']>;
  readonly query: Valid<E['query']>;
  readonly body: Valid<E['body']>;
  readonly identity: Identity;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}
