/** What is valid and yet unlikely to be meant: undo coverage, roles, points of no return, authorization. */
import type { Problem } from '../core/errors.js';
import type { StageTemplate, WorkflowTemplate } from '../core/template.js';
import type { EngineConfig } from './load.js';
import { meantHint } from './report.js';
import { type RoleUse, unservedMessage, unservedRoles } from './roles.js';
import type { Source } from './sources.js';
import { quoted } from './text.js';

/**
 * Every problem of a valid configuration, its own warnings included; those with severity `error` keep an instance from ending well.
 * `moreRoles`: roles that agents outside the file serve.
 */
export function checkWorkflows(config: EngineConfig, moreRoles: Iterable<string> = []): Problem[] {
  const others = [...moreRoles];
  const served = new Set([...config.agents.flatMap((agent) => agent.roles), ...others]);
  const unserved = unservedRoles(config.templates.values(), served);
  const messages = new Set(unservedRoles(config.templates.values(), new Set()).map(unservedMessage));
  return [
    ...config.warnings.filter((warning) => !messages.has(warning.message)),
    ...checkAuthorization(config),
    ...checkRoles(config, unserved, served),
    ...[...config.templates.values()].flatMap((template) => checkTemplate(template, config)),
  ];
}

function problem(severity: Problem['severity'], message: string, source: Source, hint?: string): Problem {
  return { message, severity, ...source, ...(hint === undefined ? {} : { hint }) };
}

function checkAuthorization(config: EngineConfig): Problem[] {
  if (config.engine.cedarPolicyDir !== null) return [];
  const hint = 'set `cedar_policy_dir` in `[engine]`';
  const message = 'authorization is off: without policies everybody may do everything';
  return [problem('warning', message, config.sources.engine(), hint)];
}

function checkRoles(
  config: EngineConfig,
  unserved: readonly RoleUse[],
  served: ReadonlySet<string>,
): Problem[] {
  if (served.size === 0) {
    if (unserved.length === 0) return [];
    const message = 'there are no agents: every role has to be served by agents that a program registers';
    return [problem('warning', message, config.sources.engine())];
  }
  return unserved.map((use) =>
    problem(
      'error',
      unservedMessage(use),
      config.sources.stage(use.workflow, use.stage, use.key, use.index),
      meantHint(use.role, served),
    ),
  );
}

function checkTemplate(template: WorkflowTemplate, config: EngineConfig): Problem[] {
  const ancestors = ancestorSets(template);
  const gates = [...template.stages.keys()].filter((index) => template.stages[index]?.irreversible);
  const isPastNoReturn = ancestors.map((set) => gates.some((gate) => hasBit(set, gate)));
  return template.stages.flatMap((stage, index) => {
    /** Names of the stages that may be under way or to come when this one has completed: all that it does not need. */
    const others = (isCounted: (at: number) => boolean) =>
      template.stages.flatMap((other, at) =>
        at !== index && isCounted(at) && !hasBit(ancestors[index], at) ? [other.name] : [],
      );
    if (stage.irreversible)
      return checkIrreversible(
        template,
        stage,
        others(() => true),
        config,
      );
    if (stage.compensationAgents.length > 0) return [];
    // A failure past a point of no return takes nothing back, so it asks for no undo either.
    return checkUndo(
      template,
      stage,
      others((at) => !isPastNoReturn[at]),
      config,
    );
  });
}

function checkUndo(
  template: WorkflowTemplate,
  stage: StageTemplate,
  later: readonly string[],
  config: EngineConfig,
): Problem[] {
  if (later.length === 0) return [];
  const message = `stage ${quoted(stage.name)} can't be taken back, and ${naming(later)} can still fail after it`;
  const source = config.sources.stage(template.name, stage.name);
  return [
    problem('warning', message, source, 'name `compensation_agents`, or leave it if the stage only reads'),
  ];
}

function checkIrreversible(
  template: WorkflowTemplate,
  stage: StageTemplate,
  later: readonly string[],
  config: EngineConfig,
): Problem[] {
  const subject = `irreversible stage ${quoted(stage.name)}`;
  const at = (key: string) => config.sources.stage(template.name, stage.name, key);
  const problems: Problem[] = [];
  if (later.length > 0) {
    const message = `${subject} can't be taken back once it is dispatched, and ${naming(later)} can still fail beside or after it`;
    problems.push(problem('warning', message, at('irreversible'), 'let it need the stages that can fail'));
  }
  if (stage.approvalRequired && stage.approvalTimeoutMs !== null && stage.onApprovalTimeout === 'approve') {
    const message = `${subject} is approved by nobody when its approval times out`;
    const hint = 'let `on_approval_timeout` be "reject", or leave `approval_timeout` out';
    problems.push(problem('warning', message, at('on_approval_timeout'), hint));
  }
  if (stage.compensationAgents.length > 0) {
    const message = `\`compensation_agents\` of ${subject} are never used`;
    problems.push(problem('warning', message, at('compensation_agents')));
  }
  return problems;
}

const MAX_NAMED = 3;

function naming(stages: readonly string[]): string {
  const names = stages.slice(0, MAX_NAMED).map(quoted);
  const more = stages.length - names.length;
  return `${stages.length === 1 ? 'stage' : 'stages'} ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** For each stage a bit set of the stages that it needs, directly or through others. Stages stand in topological order. */
function ancestorSets(template: WorkflowTemplate): readonly Uint8Array[] {
  const indices = new Map(template.stages.map((stage, index) => [stage.name, index]));
  const sets: Uint8Array[] = [];
  for (const stage of template.stages) {
    const set = new Uint8Array(Math.ceil(template.stages.length / 8));
    for (const need of stage.needs) {
      const index = indices.get(need) ?? 0;
      for (const [at, byte] of (sets[index] ?? []).entries()) set[at] = (set[at] ?? 0) | byte;
      set[index >> 3] = (set[index >> 3] ?? 0) | (1 << (index & 7));
    }
    sets.push(set);
  }
  return sets;
}

function hasBit(set: Uint8Array | undefined, index: number): boolean {
  return (((set?.[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}
