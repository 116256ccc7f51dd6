/** A loaded policy set: what is in force until the next one is. */
import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import { LRUCache } from 'lru-cache';
import type { Decision } from '../core/instance.js';
import type { Digest } from '../core/names.js';
import type { AuthorizationRequest } from '../core/ports.js';
import { type CompiledSet, textsById } from './compile.js';
import { CedarTrap, PreparedSet } from './engine.js';
import { Sight } from './lean.js';
import { refusalOf, requestKey, toCedar } from './request.js';

/** Decisions remembered, and characters of the requests that they answer. */
const MAX_REMEMBERED = 10_000;
const MAX_REMEMBERED_CHARACTERS = 8_000_000;

export class PolicySet {
  readonly compiled: CompiledSet;
  readonly #prepared: PreparedSet;
  readonly #sight: Sight;
  readonly #remembered = new LRUCache<string, Decision>({
    max: MAX_REMEMBERED,
    maxSize: MAX_REMEMBERED_CHARACTERS,
    sizeCalculation: (_, key) => key.length,
  });

  /** Throws `CedarTrap` where the evaluator can't take the set. */
  constructor(compiled: CompiledSet) {
    this.compiled = compiled;
    this.#sight = new Sight(compiled);
    this.#prepared = new PreparedSet(textsById(compiled.policies), compiled.schema);
    try {
      this.#prepared.use(() => {});
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Throws only what the machine's stack throws. */
  decide(request: AuthorizationRequest): Decision {
    const refusal = refusalOf(request);
    if (refusal !== null) return this.#failed([`the request has ${refusal}`]);
    const key = requestKey(request);
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    try {
      const decision = this.#evaluate(request);
      this.#remembered.set(key, decision);
      return decision;
    } catch (error) {
      // Not remembered: the next instance of the evaluator may well answer.
      if (error instanceof CedarTrap) return this.#failed([error.message]);
      throw error;
    }
  }

  release(): void {
    this.#prepared.release();
    this.#remembered.clear();
  }

  #evaluate(request: AuthorizationRequest): Decision {
    const full = toCedar(request, this.compiled.entities);
    const lean = this.#sight.reduce(request, full);
    const answer = this.#prepared.use((cedar, slot) =>
      cedar.statefulIsAuthorized(
        lean === null
          ? { ...full, preparsedPolicySetId: slot, preparsedSchemaName: slot, validateRequest: true }
          : { ...lean, preparsedPolicySetId: slot },
      ),
    );
    return toDecision(answer, this.compiled.digest);
  }

  #failed(errors: readonly string[]): Decision {
    return failed(errors, [], this.compiled.digest);
  }
}

/** What Cedar has answered; whatever went wrong in it denies. */
export function toDecision(answer: AuthorizationAnswer, policySet: Digest): Decision {
  if (answer.type === 'failure') {
    const errors = answer.errors.map((error) => error.message);
    return failed(errors, [], policySet);
  }
  const { decision, diagnostics } = answer.response;
  // A `forbid` that fails does not forbid in Cedar: so whatever fails, denies.
  if (diagnostics.errors.length > 0) {
    const errors = diagnostics.errors.map(({ policyId, error }) => `\`${policyId}\`: ${error.message}`);
    const ids = diagnostics.errors.map(({ policyId }) => policyId);
    return failed(errors.sort(), [...new Set(ids)].sort(), policySet);
  }
  const policies = [...diagnostics.reason].sort();
  const names = policies.map((id) => `\`${id}\``).join(', ');
  if (decision === 'allow') {
    return { effect: 'allow', policies, reason: `permitted by ${names}`, errors: [], policySet };
  }
  const reason = policies.length > 0 ? `forbidden by ${names}` : 'no permit matched';
  return { effect: 'deny', policies, reason, errors: [], policySet };
}

function failed(errors: readonly string[], policies: readonly string[], policySet: Digest): Decision {
  const reason = `evaluation failed: ${errors[0] ?? 'no answer'}`;
  return { effect: 'deny', policies, reason, errors, policySet };
}
