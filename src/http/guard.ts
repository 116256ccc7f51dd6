/** What a caller may do, where the engine itself is not asked: reading, and what concerns the whole engine. */
import { denied } from '../core/decide.js';
import type { Decision, WorkflowInstance } from '../core/instance.js';
import type { AuthorizationRequest, Authorizer, InstanceSummary } from '../core/ports.js';
import { engineRequest, readRequest } from '../engine/requests.js';
import type { Identity } from './identity.js';

export class Guard {
  readonly #authorizer: Authorizer;

  constructor(authorizer: Authorizer) {
    this.#authorizer = authorizer;
  }

  mayRead(identity: Identity, instance: WorkflowInstance | InstanceSummary): boolean {
    return this.#ask(identity, readRequest(identity.principal, instance)).effect === 'allow';
  }

  /** Throws `unauthorized`. */
  checkRead(identity: Identity, instance: WorkflowInstance | InstanceSummary): void {
    this.#check(identity, readRequest(identity.principal, instance));
  }

  /** For what concerns the whole engine: its policies, tokens, figures. Throws `unauthorized`. */
  checkEngine(identity: Identity, action: string): void {
    this.#check(identity, engineRequest(identity.principal, action));
  }

  #check(identity: Identity, request: AuthorizationRequest): void {
    const decision = this.#ask(identity, request);
    if (decision.effect === 'deny') throw denied(request.action, decision);
  }

  #ask(_identity: Identity, request: AuthorizationRequest): Decision {
    return this.#authorizer.authorize(request);
  }
}
