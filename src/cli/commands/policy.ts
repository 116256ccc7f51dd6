/** `vapora policy`: which policies there are, and what they say to a request. */
import { problemLine } from '../failure.js';
import { problemJson } from '../json.js';
import { openPolicies, type PolicyQuestion } from '../policy-source.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, count } from '../text.js';

/** Throws `policy_invalid` with every problem. */
export async function checkPolicies(shell: Shell): Promise<number> {
  const { place, policySet, policies, warnings } = await (await openPolicies(shell)).list();
  shell.json({ directory: place, policy_set: policySet, policies, problems: warnings.map(problemJson) });
  const rows = policies.map(({ id, effect, file, line }) => [
    clean(id),
    effect === 'permit' ? shell.colors.green(effect) : shell.colors.red(effect),
    `${clean(file)}:${line}`,
  ]);
  shell.say(...tableLines(['POLICY', 'EFFECT', 'WHERE'], rows, shell.colors), '');
  for (const warning of warnings) shell.say(problemLine(warning, shell.colors));
  const number = policies.length === 1 ? '1 policy' : `${policies.length} policies`;
  shell.say(
    `${shell.colors.green('✓')} ${number}, ${count(warnings.length, 'warning')}, set ${policySet.slice(0, 12)}`,
  );
  return 0;
}

export type PolicyTestOptions = PolicyQuestion;

/** Exit code of a deny, the same as that of what it would forbid. */
const DENIED_EXIT = 3;

export async function testPolicies(shell: Shell, options: PolicyTestOptions): Promise<number> {
  const source = await openPolicies(shell);
  const { principal, action, resource, context, workflow } = options;
  const answer = await source.ask({
    principal,
    action,
    resource,
    ...(context === undefined ? {} : { context }),
    ...(workflow === undefined ? {} : { workflow }),
  });
  const { effect, reason, policies, errors, nearMisses, policySet, summary, request } = answer;
  const isAllowed = effect === 'allow';
  shell.json({
    decision: effect,
    reason,
    policies,
    errors,
    near_misses: nearMisses,
    policy_set: policySet,
    request,
  });
  const tone = isAllowed ? shell.colors.green : shell.colors.red;
  shell.say(tone(effect), `  ${clean(summary)}`);
  if (!shell.isJson && policies.length > 0) {
    const listed = await source.list();
    const places = new Map(listed.policies.map(({ id, file, line }) => [id, `${file}:${line}`]));
    for (const id of policies) shell.say(`  ${clean(id)}  ${clean(places.get(id) ?? '')}`);
  }
  for (const error of errors) shell.say(`  error: ${clean(error)}`);
  return isAllowed ? 0 : DENIED_EXIT;
}
