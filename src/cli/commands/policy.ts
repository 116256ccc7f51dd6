/** `vapora policy`: which policies there are, and what they say to a request. */
import { CedarAuthorizer } from '../../auth/cedar.js';
import { parsePolicyTest } from '../../auth/policy-test.js';
import type { EngineConfig } from '../../config/load.js';
import { nearest, quoted } from '../../config/text.js';
import { VaporaError } from '../../core/errors.js';
import type { AuthorizationRequest } from '../../core/ports.js';
import { problemLine } from '../failure.js';
import { problemJson } from '../json.js';
import { readConfig } from '../session.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, count } from '../text.js';

/** Throws `policy_invalid` with every problem. */
export async function checkPolicies(shell: Shell): Promise<number> {
  const config = await readConfig(shell);
  const authorizer = await load(config);
  const policies = authorizer.describe();
  const { warnings } = authorizer;
  shell.json({
    directory: authorizer.path,
    policy_set: authorizer.policySet,
    policies,
    problems: warnings.map(problemJson),
  });
  const rows = policies.map(({ id, effect, file, line }) => [
    clean(id),
    effect === 'permit' ? shell.colors.green(effect) : shell.colors.red(effect),
    `${clean(file)}:${line}`,
  ]);
  shell.say(...tableLines(['POLICY', 'EFFECT', 'WHERE'], rows, shell.colors), '');
  for (const warning of warnings) shell.say(problemLine(warning, shell.colors));
  shell.say(
    `${shell.colors.green('✓')} ${policies.length === 1 ? '1 policy' : `${policies.length} policies`}, ${count(warnings.length, 'warning')}, set ${authorizer.policySet.slice(0, 12)}`,
  );
  return 0;
}

async function load(config: EngineConfig): Promise<CedarAuthorizer> {
  const directory = config.engine.cedarPolicyDir;
  if (directory !== null) return CedarAuthorizer.loadFromDir(directory);
  throw new VaporaError('policy_invalid', 'there are no policies: authorization is off', {
    hint: 'set `cedar_policy_dir` in `[engine]`',
  });
}

export interface PolicyTestOptions {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly context?: string;
  readonly workflow?: string;
}

/** Exit code of a deny, the same as that of what it would forbid. */
const DENIED_EXIT = 3;

export async function testPolicies(shell: Shell, options: PolicyTestOptions): Promise<number> {
  const config = await readConfig(shell);
  const authorizer = await load(config);
  const { principal, action, resource, context } = options;
  const asked = parsePolicyTest({ principal, action, resource, context });
  const request = withWorkflow(asked, options.workflow, config);
  const { decision, nearest: near, summary } = authorizer.explain(request);
  const isAllowed = decision.effect === 'allow';
  shell.json({
    decision: decision.effect,
    reason: decision.reason,
    policies: decision.policies,
    errors: decision.errors,
    near_misses: near.map(({ id, place, mismatch }) => ({ id, ...place, mismatch })),
    policy_set: decision.policySet,
    request,
  });
  const tone = isAllowed ? shell.colors.green : shell.colors.red;
  shell.say(tone(decision.effect), `  ${clean(summary)}`);
  const places = new Map(authorizer.describe().map(({ id, file, line }) => [id, `${file}:${line}`]));
  for (const id of decision.policies) shell.say(`  ${clean(id)}  ${clean(places.get(id) ?? '')}`);
  for (const error of decision.errors) shell.say(`  error: ${clean(error)}`);
  return isAllowed ? 0 : DENIED_EXIT;
}

/** A stage is in a workflow; where only one has it, that one is meant. Throws `stage_unknown`, `usage`, `workflow_unknown`. */
export function withWorkflow(
  request: AuthorizationRequest,
  named: string | undefined,
  config: Pick<EngineConfig, 'templates'>,
): AuthorizationRequest {
  const { resource } = request;
  const names = [...config.templates.keys()];
  if (named !== undefined && !config.templates.has(named)) {
    throw new VaporaError('workflow_unknown', `there is no workflow ${quoted(named)}`, hintOf(named, names));
  }
  if (resource.type !== 'Stage' && resource.type !== 'Instance') return request;
  if (resource.workflow !== '') return request;
  const workflow = named ?? onlyOneWith(resource, config);
  return { ...request, resource: { ...resource, workflow } };
}

function onlyOneWith(
  resource: { readonly type: 'Stage' | 'Instance'; readonly id: string },
  { templates }: Pick<EngineConfig, 'templates'>,
): string {
  const all = [...templates.values()];
  const having =
    resource.type === 'Instance'
      ? all
      : all.filter(({ stages }) => stages.some(({ name }) => name === resource.id));
  const [only, ...others] = having;
  if (only === undefined) {
    const names = all.flatMap(({ stages }) => stages.map(({ name }) => name));
    throw new VaporaError(
      'stage_unknown',
      `no workflow has a stage ${quoted(resource.id)}`,
      hintOf(resource.id, names),
    );
  }
  if (others.length === 0) return only.name;
  const listed = having.map(({ name }) => quoted(name)).join(', ');
  throw new VaporaError(
    'usage',
    `${resource.type.toLowerCase()} ${quoted(resource.id)} could be in ${listed}`,
    {
      hint: 'say which with `--workflow`',
    },
  );
}

function hintOf(wanted: string, names: readonly string[]): { hint?: string } {
  const near = nearest(wanted, names);
  return near === undefined ? {} : { hint: `did you mean ${quoted(near)}?` };
}
