import { basename } from 'node:path';
import type { z } from 'zod';
import { CedarAuthorizer } from '../../auth/cedar.js';
import type { Explanation } from '../../auth/explain.js';
import { withWorkflow } from '../../auth/policy-resource.js';
import { parsePolicyTest } from '../../auth/policy-test.js';
import type { Problem } from '../../core/errors.js';
import type { Decision } from '../../core/instance.js';
import type { App, ServerContext } from '../context.js';
import { showPolicies, testPolicies } from '../contract/policies.js';
import type { Particular } from '../contract/problem.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';

export function policyRoutes(app: App, { authorizer, guard, templates }: ServerContext): void {
  addRoute(app, showPolicies, async ({ identity }) => {
    guard.checkEngine(identity, 'read-policies');
    const policies = authorizer instanceof CedarAuthorizer ? authorizer.describe() : [];
    return {
      is_enforcing: authorizer.isEnforcing,
      policy_set: authorizer.policySet,
      // where the directory is on the server's disk is nobody's business
      policies: policies.map(({ annotations, file, ...policy }) => ({
        ...policy,
        file: basename(file),
        annotations: { ...annotations },
      })),
      problems: authorizer instanceof CedarAuthorizer ? authorizer.warnings.map(withoutDirectory) : [],
    };
  });
  addRoute(app, testPolicies, async ({ body, identity }) => {
    guard.checkEngine(identity, 'read-policies');
    const { principal, action, resource, context, workflow } = body;
    const asked = parsePolicyTest({
      principal,
      action,
      resource,
      context: context && JSON.stringify(context),
    });
    const request = withWorkflow(asked, workflow, templates());
    const { decision, nearest, summary } =
      authorizer instanceof CedarAuthorizer
        ? authorizer.explain(request)
        : unenforced(authorizer.authorize(request));
    const { effect, policies, reason, errors, policySet } = decision;
    return {
      effect,
      policies: [...policies],
      reason,
      errors: [...errors],
      policy_set: policySet,
      summary,
      request: toWire(request) as Record<string, unknown>,
      near_misses: nearest.map(({ id, place, mismatch }) => ({
        ...place,
        id,
        file: basename(place.file),
        mismatch: [...mismatch],
      })),
    };
  });
}

function withoutDirectory({ place, ...problem }: Problem): z.output<typeof Particular> {
  return place === undefined ? problem : { ...problem, place: { ...place, file: basename(place.file) } };
}

function unenforced(decision: Decision): Explanation {
  return { decision, nearest: [], summary: decision.reason };
}
