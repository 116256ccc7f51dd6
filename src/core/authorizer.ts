/** The port of whoever decides what may be done, and what it is told. */
import type { Decision } from './instance.js';
import type { Digest } from './names.js';

export interface AuthorizationRequest {
  /** Cedar type and id, e.g. `{ type: 'User', id: 'ann' }`; the engine is `Orchestrator::"vapora-orchestrator"`. */
  readonly principal: {
    readonly type: 'User' | 'Orchestrator' | 'Agent';
    readonly id: string;
    readonly groups: readonly string[];
  };
  /** Without the type: `execute-stage`, `start-workflow`, … */
  readonly action: string;
  readonly resource:
    | { readonly type: 'Workflow'; readonly id: string }
    /** `Stage::"<id>"` in `Workflow::"<workflow>"`. */
    | { readonly type: 'Stage'; readonly id: string; readonly workflow: string }
    | { readonly type: 'Instance'; readonly id: string; readonly workflow: string }
    | { readonly type: 'Engine'; readonly id: string };
  readonly context: AuthorizationContext;
}

/** What a policy may look at. Every field is always there, so that a policy can't fail for want of one. */
export interface AuthorizationContext {
  /** Who started the instance. */
  readonly initiator: { readonly user: string; readonly groups: readonly string[] };
  readonly instance: string;
  readonly attempt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly agents: readonly string[];
  readonly approvals: readonly { readonly stage: string; readonly by: string }[];
  readonly irreversible: boolean;
  /** What the instance has used, and what it may; and the same of the stage. */
  readonly spent: Amounts;
  readonly budget: Amounts;
  readonly stageSpent: Amounts;
  readonly stageBudget: Amounts;
  /** What all instances of the workflow have used together in the present window, and what they may. */
  readonly sharedSpent: Amounts;
  readonly sharedBudget: Amounts;
}

/** Whole numbers; of a budget -1: no limit. */
export interface Amounts {
  readonly tokens: number;
  readonly microUsd: number;
  readonly seconds: number;
}

/**
 * Answers synchronously and never throws: what goes wrong is a deny with its reason. `isEnforcing` is false for the allow-all one.
 */
export interface Authorizer {
  readonly isEnforcing: boolean;
  readonly policySet: Digest | null;
  authorize(request: AuthorizationRequest): Decision;
}
