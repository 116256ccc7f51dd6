/** Who may do what: the rules of the scenario, evaluated here, and in a share of the worlds by Cedar too. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Decision } from '../../src/core/instance.js';
import type { Digest } from '../../src/core/names.js';
import type { AuthorizationRequest, Authorizer } from '../../src/core/ports.js';
import type { EngineCode } from './engine-code.js';
import type { SimulatedProcess } from './process.js';
import type { Rule } from './scenario.js';

const POLICY_SET = '5'.repeat(64) as Digest;

export function isAllowed(rules: readonly Rule[], request: AuthorizationRequest): boolean {
  const matching = rules.filter((rule) => isMatching(rule, request));
  return (
    matching.some(({ effect }) => effect === 'permit') && matching.every(({ effect }) => effect === 'permit')
  );
}

function isMatching(rule: Rule, { principal, action, resource, context }: AuthorizationRequest): boolean {
  const groups = principal.type === 'User' ? principal.groups : context.initiator.groups;
  const workflow = 'workflow' in resource ? resource.workflow : resource.id;
  return (
    (rule.action === null || rule.action === action) &&
    (rule.group === null || groups.includes(rule.group)) &&
    (rule.workflow === null || rule.workflow === workflow) &&
    (rule.stage === null || (resource.type === 'Stage' && resource.id === rule.stage))
  );
}

/** A rule in Cedar's words. */
function cedarText({ effect, action, workflow, stage, group }: Rule, index: number): string {
  const head = [
    'principal',
    action === null ? 'action' : `action == Action::"${action}"`,
    stage === null
      ? workflow === null
        ? 'resource'
        : inWorkflow(action, workflow)
      : `resource == Stage::"${stage}"`,
  ];
  const conditions = [
    group === null ? null : ofGroup(action, group),
    stage !== null && workflow !== null ? `resource in Workflow::"${workflow}"` : null,
  ].filter((condition) => condition !== null);
  const when = conditions.length === 0 ? '' : ` when { ${conditions.join(' && ')} }`;
  return `@id("rule-${index}")\n${effect} (${head.join(', ')})${when};\n`;
}

function inWorkflow(action: string | null, workflow: string): string {
  return action === 'start-workflow'
    ? `resource == Workflow::"${workflow}"`
    : `resource in Workflow::"${workflow}"`;
}

function ofGroup(action: string | null, group: string): string {
  const isPerson = `principal is User && principal in Group::"${group}"`;
  const isEngine = `principal is Orchestrator && context.initiator in Group::"${group}"`;
  if (action === null) return `(${isPerson} || ${isEngine})`;
  return action === 'execute-stage' || action === 'pass-point-of-no-return' ? isEngine : isPerson;
}

/** What Cedar makes of the rules. Reading them takes real time, so it is done before the world begins. */
export async function compileRules(
  code: EngineCode,
  rules: readonly Rule[],
): Promise<Authorizer & { close(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'vapora-policies-'));
  try {
    writeFileSync(join(folder, 'rules.cedar'), rules.map(cedarText).join('\n'));
    return await code.cedar.CedarAuthorizer.loadFromDir(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The authorizer of one process: it answers by what is in force in the world. */
export class SimulatedAuthorizer implements Authorizer {
  readonly isEnforcing = true;
  readonly policySet = POLICY_SET;
  readonly #process: SimulatedProcess;

  constructor(process: SimulatedProcess) {
    this.#process = process;
  }

  authorize(request: AuthorizationRequest): Decision {
    const { world } = this.#process;
    const dead = decided(false);
    return this.#process.port('authorize', () => world.decide(this.#process, request), dead);
  }
}

export function decided(isAllow: boolean): Decision {
  const reason = isAllow ? 'permitted by the rules' : 'no permit matched';
  return { effect: isAllow ? 'allow' : 'deny', policies: [], reason, errors: [], policySet: POLICY_SET };
}
