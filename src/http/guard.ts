/** What a caller may do, where the engine itself is not asked: reading, and what concerns the whole engine. */
import type { AskedAuthorizer } from '../auth/asked.js';
import { denied } from '../core/decide.js';
import { VaporaError } from '../core/errors.js';
import type { Decision, WorkflowInstance } from '../core/instance.js';
import type { AuthorizationRequest, InstanceSummary } from '../core/ports.js';
import { engineRequest, readRequest, registerRequest } from '../engine/requests.js';
import type { Identity } from './identity.js';

export interface RowGuard {
  mayRead(instance: WorkflowInstance | InstanceSummary): boolean;
  end(): void;
}

export class Guard {
  readonly #authorizer: AskedAuthorizer;

  constructor(authorizer: AskedAuthorizer) {
    this.#authorizer = authorizer;
  }

  mayRead(identity: Identity, instance: WorkflowInstance | InstanceSummary): boolean {
    return this.#ask(identity, readRequest(identity.principal, instance)).effect === 'allow';
  }

  /** For the rows of one list: `end` once all are asked about. */
  readRows({ principal }: Identity): RowGuard {
    const rows = this.#authorizer.rows();
    return {
      mayRead: (instance) => rows.authorize(readRequest(principal, instance)).effect === 'allow',
      end: () => rows.end(),
    };
  }

  /** Throws `unauthorized`. */
  checkRead(identity: Identity, instance: WorkflowInstance | InstanceSummary): void {
    this.#check(identity, readRequest(identity.principal, instance));
  }

  /** For what concerns the whole engine: its policies, tokens, figures. Throws `unauthorized`. */
  checkEngine(identity: Identity, action: string): void {
    this.#check(identity, engineRequest(identity.principal, action));
  }

  /**
   * For an agent that asks to be let in. An agent's token is for its name, or names that begin with it and `-`, and for its roles;
   * a person is let in as an agent only where nobody's name is checked. Throws `unauthorized`.
   */
  checkRegister(identity: Identity, name: string, roles: readonly string[]): void {
    const { kind, by, principal } = identity;
    const agent = kind === 'agent' ? principal : { user: name, groups: [] };
    if (kind === 'person' && by !== 'claimed') throw refused('a person’s token can not register an agent');
    if (name !== agent.user && !name.startsWith(`${agent.user}-`)) {
      throw refused(`the token of agent \`${agent.user}\` is not for an agent \`${name}\``);
    }
    const other = roles.find((role) => identity.roles !== null && !identity.roles.includes(role));
    if (other !== undefined) throw refused(`the token is not for role \`${other}\``);
    this.#check(identity, registerRequest(agent, roles));
  }

  #check(identity: Identity, request: AuthorizationRequest): void {
    const decision = this.#ask(identity, request);
    if (decision.effect === 'deny') throw denied(request.action, decision);
  }

  #ask(_identity: Identity, request: AuthorizationRequest): Decision {
    return this.#authorizer.authorize(request);
  }
}

function refused(why: string): VaporaError {
  return new VaporaError('unauthorized', why);
}
