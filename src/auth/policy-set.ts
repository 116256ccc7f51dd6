/** A loaded policy set: what is in force until the next one is. */
import type { AuthorizationAnswer, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { LRUCache } from 'lru-cache';
import type { Decision } from '../core/instance.js';
import type { Digest } from '../core/names.js';
import type { AuthorizationRequest } from '../core/ports.js';
import { type CompiledPolicy, type CompiledSet, textsById } from './compile.js';
import { CedarTrap, callCedar, PreparedSet } from './engine.js';
import { Sight } from './lean.js';
import { decisionKey, type Looks, looksOf } from './looks.js';
import { refusalOf, toCedar } from './request.js';

/** Decisions remembered, and characters of the requests that they answer. */
const MAX_REMEMBERED = 10_000;
const MAX_REMEMBERED_CHARACTERS = 8_000_000;

/** Actions are ours, and few; but what a test of policies asks about is anybody's. */
const MAX_LOOKS = 200;

export class PolicySet {
  readonly compiled: CompiledSet;
  readonly #prepared: PreparedSet;
  readonly #sight: Sight;
  readonly #remembered = new LRUCache<string, Decision>({
    max: MAX_REMEMBERED,
    maxSize: MAX_REMEMBERED_CHARACTERS,
    sizeCalculation: (_, key) => key.length,
  });

  readonly #looks = new LRUCache<string, Looks>({ max: MAX_LOOKS });
  #readings: readonly (PolicyJson | null)[] | null = null;

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
    const key = decisionKey(request, this.#looksAt(request));
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    try {
      const decision = this.evaluate(request);
      this.#remembered.set(key, decision);
      return decision;
    } catch (error) {
      // Not remembered: the next instance of the evaluator may well answer.
      if (error instanceof CedarTrap) return this.#failed([error.message]);
      throw error;
    }
  }

  /** Read off the policies once for each action, and what it is about. */
  #looksAt(request: AuthorizationRequest): Looks {
    const { action, principal, resource } = request;
    const key = `${principal.type} ${resource.type} ${action}`;
    let looks = this.#looks.get(key);
    if (looks === undefined) {
      this.#readings ??= readingsOf(this.compiled.policies);
      looks = looksOf(this.#readings, request);
      this.#looks.set(key, looks);
    }
    return looks;
  }

  release(): void {
    this.#prepared.release();
    this.#remembered.clear();
  }

  /** Past what is remembered, and of a request that may reach the evaluator. Throws `CedarTrap`. */
  evaluate(request: AuthorizationRequest): Decision {
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

/** The policies as trees. One that the evaluator takes only as text makes nothing of all of them: to try each anew would take too long. */
function readingsOf(policies: readonly CompiledPolicy[]): readonly (PolicyJson | null)[] {
  try {
    return callCedar((cedar) =>
      policies.map(({ flat }) => {
        const answer = cedar.policyToJson(flat.text);
        return answer.type === 'success' ? answer.json : null;
      }),
    );
  } catch (error) {
    if (error instanceof CedarTrap) return [null];
    throw error;
  }
}
