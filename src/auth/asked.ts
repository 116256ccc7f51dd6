/** The authorizer as everybody asks it: what it says is counted, and kept where that is wanted. */
import type { Decision } from '../core/instance.js';
import type { Digest } from '../core/names.js';
import type { AuthorizationRequest, Authorizer, EngineObserver } from '../core/ports.js';
import type { DecisionLog } from './decision-log.js';

export class AskedAuthorizer implements Authorizer {
  readonly #inner: Authorizer;
  readonly #observer: Pick<EngineObserver, 'decided'>;
  readonly #log: DecisionLog | null;

  constructor(inner: Authorizer, observer: Pick<EngineObserver, 'decided'>, log: DecisionLog | null) {
    this.#inner = inner;
    this.#observer = observer;
    this.#log = log;
  }

  get isEnforcing(): boolean {
    return this.#inner.isEnforcing;
  }

  get policySet(): Digest | null {
    return this.#inner.policySet;
  }

  authorize(request: AuthorizationRequest): Decision {
    const decision = this.#decide(request);
    this.#log?.record(request, decision, 1);
    return decision;
  }

  /** For the rows of one list: `authorize` answers as ever, `end` has them kept as one decision an outcome. */
  rows(): { authorize(request: AuthorizationRequest): Decision; end(): void } {
    const outcomes = new Map<string, { request: AuthorizationRequest; decision: Decision; count: number }>();
    return {
      authorize: (request) => {
        const decision = this.#decide(request);
        const { effect, reason, errors } = decision;
        const key = errors.length === 0 ? `${effect} ${reason}` : `${effect} failed`;
        const known = outcomes.get(key);
        if (known === undefined) outcomes.set(key, { request, decision, count: 1 });
        else known.count += 1;
        return decision;
      },
      end: () => {
        for (const { request, decision, count } of outcomes.values())
          this.#log?.record(request, decision, count);
        outcomes.clear();
      },
    };
  }

  #decide(request: AuthorizationRequest): Decision {
    const decision = this.#inner.authorize(request);
    this.#observer.decided(request, decision);
    return decision;
  }
}
