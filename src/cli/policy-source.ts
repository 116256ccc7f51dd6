/** Policies to look at and to ask: those of a directory, or those in force at a server. */
import { CedarAuthorizer } from '../auth/cedar.js';
import { withWorkflow } from '../auth/policy-resource.js';
import { parsePolicyTest } from '../auth/policy-test.js';
import type { EngineConfig } from '../config/load.js';
import { type Problem, VaporaError } from '../core/errors.js';
import type { AuthorizationRequest } from '../core/ports.js';
import { readConfig } from './session.js';
import type { Shell } from './shell.js';
import { namedServer, type ServerTarget } from './target.js';

export interface PolicyRow {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly file: string;
  readonly line: number;
}

export interface PolicyListing {
  /** Where they come from. */
  readonly place: string;
  readonly policySet: string;
  readonly policies: readonly PolicyRow[];
  readonly warnings: readonly Problem[];
}

export interface PolicyQuestion {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly context?: string;
  readonly workflow?: string;
}

export interface PolicyAnswer {
  readonly effect: 'allow' | 'deny';
  readonly reason: string;
  readonly policies: readonly string[];
  readonly errors: readonly string[];
  readonly nearMisses: readonly object[];
  readonly policySet: string | null;
  readonly summary: string;
  /** What was asked in full. */
  readonly request: AuthorizationRequest;
}

export interface PolicySource {
  /** Throws `policy_invalid` with every problem. */
  list(): Promise<PolicyListing>;
  ask(question: PolicyQuestion): Promise<PolicyAnswer>;
}

/** A server only where one is named: what is tried on this machine is the directory as it is now. */
export async function openPolicies(shell: Shell): Promise<PolicySource> {
  const server = namedServer(shell);
  return server === null ? localPolicies(await readConfig(shell)) : serverPolicies(shell, server);
}

function localPolicies(config: EngineConfig): PolicySource {
  return {
    list: async () => {
      const authorizer = await loadPolicies(config);
      const { path: place, policySet, warnings } = authorizer;
      return { place, policySet, warnings, policies: authorizer.describe() };
    },
    ask: async ({ workflow, ...question }) => {
      const authorizer = await loadPolicies(config);
      const asked = parsePolicyTest({ context: undefined, ...question });
      const request = withWorkflow(asked, workflow, config.templates);
      const { decision, nearest: near, summary } = authorizer.explain(request);
      const nearMisses = near.map(({ id, place, mismatch }) => ({ id, ...place, mismatch }));
      return { ...decision, nearMisses, summary, request };
    },
  };
}

export async function loadPolicies(config: EngineConfig): Promise<CedarAuthorizer> {
  const directory = config.engine.cedarPolicyDir;
  if (directory !== null) return CedarAuthorizer.loadFromDir(directory);
  throw new VaporaError('policy_invalid', 'there are no policies: authorization is off', {
    hint: 'set `cedar_policy_dir` in `[engine]`',
  });
}

async function serverPolicies(shell: Shell, { url, token }: ServerTarget): Promise<PolicySource> {
  const [{ Connection }, { showPolicies, testPolicies }, { fromWire }] = await Promise.all([
    import('../http/connection.js'),
    import('../http/contract/policies.js'),
    import('../http/contract/wire.js'),
  ]);
  const { clock } = shell;
  const connection = new Connection({
    url,
    clock,
    person: shell.person({}),
    ...(token === undefined ? {} : { token }),
  });
  return {
    list: async () => {
      const { policy_set, policies, problems } = await connection.call(showPolicies, {});
      if (policy_set === null)
        throw new VaporaError('policy_invalid', `the server ${url} enforces no policies`);
      return {
        place: connection.url,
        policySet: policy_set,
        policies,
        warnings: problems as readonly Problem[],
      };
    },
    ask: async ({ principal, action, resource, context, workflow }) => {
      const answer = await connection.call(testPolicies, {
        body: {
          principal,
          action,
          resource,
          ...(workflow === undefined ? {} : { workflow }),
          ...(context === undefined ? {} : { context: contextOf(context) }),
        },
      });
      const { near_misses: nearMisses, policy_set: policySet, ...rest } = answer;
      return { ...rest, nearMisses, policySet, request: fromWire(answer.request) as AuthorizationRequest };
    },
  };
}

function contextOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // said below
  }
  throw new VaporaError('input_invalid', '`--context` is not a JSON object');
}
