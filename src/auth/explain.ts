/** Why no permit matched: which ones came close, and what about them did not fit. */
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Place } from '../core/errors.js';
import type { Decision } from '../core/instance.js';
import type { AuthorizationRequest } from '../core/ports.js';
import type { CompiledPolicy, CompiledSet } from './compile.js';
import { CedarTrap, callCedar } from './engine.js';
import { toCedar } from './request.js';

/** Near misses that are worth reading. */
const MAX_NEAREST = 5;

export type ScopePart = 'principal' | 'resource';

/** A permit for the request's action that did not match. */
export interface NearMiss {
  readonly id: string;
  readonly place: Place;
  /** Parts of its scope that do not fit; empty: the scope fits, so its condition was false. */
  readonly mismatch: readonly ScopePart[];
}

export interface Explanation {
  readonly decision: Decision;
  /** Nearest first; empty unless no permit matched. */
  readonly nearest: readonly NearMiss[];
  /** Both in one line for people. */
  readonly summary: string;
}

export function explain(request: AuthorizationRequest, decision: Decision, set: CompiledSet): Explanation {
  const isUnmatched =
    decision.effect === 'deny' && decision.policies.length === 0 && decision.errors.length === 0;
  if (!isUnmatched) return { decision, nearest: [], summary: decision.reason };
  try {
    const nearest = nearMisses(request, set);
    const summary =
      nearest.length === 0
        ? `${decision.reason}; no permit is about \`${request.action}\``
        : `${decision.reason}; nearest: ${nearest.map(missText).join('; ')}`;
    return { decision, nearest, summary };
  } catch (error) {
    // An explanation is a help: without one, the decision stands as it is.
    if (!(error instanceof CedarTrap)) throw error;
    return { decision, nearest: [], summary: decision.reason };
  }
}

function missText({ id, place, mismatch }: NearMiss): string {
  const why =
    mismatch.length === 0
      ? 'whose condition is not met'
      : `which is for ${mismatch.map((part) => `another ${part}`).join(' and ')}`;
  return `\`${id}\` (${place.file}:${place.line}:${place.column}), ${why}`;
}

function nearMisses(request: AuthorizationRequest, set: CompiledSet): readonly NearMiss[] {
  const permits = set.policies.filter((policy) => policy.effect === 'permit');
  const onlyAction = matching(request, set, permits, 'action');
  const about = permits.filter((policy) => onlyAction.has(policy.id));
  const principals = matching(request, set, about, 'principal');
  const resources = matching(request, set, about, 'resource');
  const misses = about.map(({ id, place }): NearMiss => {
    const mismatch: ScopePart[] = [];
    if (!principals.has(id)) mismatch.push('principal');
    if (!resources.has(id)) mismatch.push('resource');
    return { id, place, mismatch };
  });
  return misses.sort((a, b) => a.mismatch.length - b.mismatch.length).slice(0, MAX_NEAREST);
}

/** Ids of the policies of which one part of the scope fits the request. Cedar itself is asked, with the rest taken away. */
function matching(
  request: AuthorizationRequest,
  set: CompiledSet,
  policies: readonly CompiledPolicy[],
  part: ScopePart | 'action',
): ReadonlySet<string> {
  const staticPolicies = Object.fromEntries(
    policies.map((policy): [string, PolicyJson] => [
      policy.id,
      {
        effect: 'permit',
        principal: part === 'principal' ? policy.head.principal : { op: 'All' },
        action: part === 'action' ? policy.head.action : { op: 'All' },
        resource: part === 'resource' ? policy.head.resource : { op: 'All' },
        conditions: [],
      },
    ]),
  );
  const call = { ...toCedar(request, set.entities), schema: set.schema, policies: { staticPolicies } };
  const answer = callCedar((cedar) => cedar.isAuthorized(call));
  return new Set(answer.type === 'success' ? answer.response.diagnostics.reason : []);
}
