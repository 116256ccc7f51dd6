/** `[[workflows]]`: defaults filled in, `needs` resolved, cross-checked, hashed. */

import {
  DEFAULT_COMPENSATION_RETRY,
  DEFAULT_COMPENSATION_TIMEOUT_MS,
  DEFAULT_RETRY,
  type RetryPolicy,
  type StageTemplate,
  type WorkflowTemplate,
} from '../core/template.js';
import { buildBudget, buildSharedBudget } from './budget.js';
import { hashOf } from './canonical.js';
import { type DocumentNode, originOf, textAt } from './document.js';
import { orderByNeeds } from './order.js';
import { reportRepeated } from './repeated.js';
import type { Report } from './report.js';
import type { StageRow, WorkflowRow } from './schema.js';
import { type EngineSettings, toMs, toMsOrNull } from './settings.js';
import { type KeyPath, quoted } from './text.js';
import { buildTrigger, checkChains } from './triggers.js';

export interface TemplateContext {
  readonly settings: EngineSettings;
  readonly root: DocumentNode;
  readonly report: Report;
}

/** By name. Incomplete where the report has errors. */
export function buildTemplates(
  rows: readonly (WorkflowRow | undefined)[],
  context: TemplateContext,
): Map<string, WorkflowTemplate> {
  const { settings, root, report } = context;
  const { maxTemplates } = settings.limits;
  if (rows.length > maxTemplates) {
    const origin = originOf(root, ['workflows', maxTemplates]);
    const message = `there are ${rows.length} workflows`;
    report.error({ message, path: ['workflows'], origin, expected: `at most ${maxTemplates}` });
  }
  reportRepeated(
    rows.map((row, index) => row?.name ?? textAt(root, ['workflows', index, 'name'])),
    (index) => ['workflows', index, 'name'],
    (name) => `workflow ${name} is defined twice`,
    root,
    report,
  );
  const templates = new Map<string, WorkflowTemplate>();
  for (const [index, row] of rows.entries()) {
    const template = row === undefined ? null : buildTemplate(row, ['workflows', index], context);
    if (template !== null) templates.set(template.name, template);
  }
  // a workflow that is wrong in itself is missing here, and its name would count as unknown
  if (templates.size === rows.length) {
    const pathOf = (name: string) => ['workflows', rows.findIndex((row) => row?.name === name)];
    checkChains(templates, pathOf, root, report);
  }
  return templates;
}

/** Null: it has errors, which the report knows. `path` is where the workflow stands in the document. */
export function buildTemplate(
  row: WorkflowRow,
  path: KeyPath,
  context: TemplateContext,
): WorkflowTemplate | null {
  const { settings, root, report } = context;
  const stagesPath = [...path, 'stages'];
  if (row.stages.length > settings.limits.maxStages) {
    const origin = originOf(root, [...stagesPath, settings.limits.maxStages]);
    const message = `workflow ${quoted(row.name)} has ${row.stages.length} stages`;
    const expected = `at most ${settings.limits.maxStages}`;
    report.error({ message, path: stagesPath, origin, expected });
  }
  // a stage that is wrong in itself may be needed all the same
  const names = row.stages.map((stage, index) => stage?.name ?? textAt(root, [...stagesPath, index, 'name']));
  reportRepeated(
    names,
    (index) => [...stagesPath, index, 'name'],
    (name) => `stage ${name} is defined twice in workflow ${quoted(row.name)}`,
    root,
    report,
  );
  for (const [index, stage] of row.stages.entries()) {
    if (stage !== undefined) checkStage(stage, [...stagesPath, index], context);
  }
  const ordered = orderStages(row.stages, names, stagesPath, context);
  if (ordered === null) return null;
  const content = {
    name: row.name,
    trigger: buildTrigger(row, { path, root, report }),
    stages: ordered.map(({ stage, needs }) => stageTemplate(stage, needs, settings)),
    timeoutMs: settings.workflowTimeoutMs,
    onDeny: settings.onDeny,
    sagaParallelism: settings.sagaParallelism,
    budget: buildBudget(row.budget),
    ...buildSharedBudget(row.shared_budget),
    onBreach: row.on_breach ?? 'pause',
  };
  return { ...content, hash: hashOf(content) };
}

interface OrderedStage {
  readonly stage: StageRow;
  readonly needs: readonly string[];
}

/** Null: there are problems, which the report knows, or not all that is needed is known. */
function orderStages(
  stages: WorkflowRow['stages'],
  names: readonly (string | undefined)[],
  path: KeyPath,
  context: TemplateContext,
): readonly OrderedStage[] | null {
  const before = context.report.errorCount;
  const indices = new Map<string, number>();
  // Of two with one name the first counts; the second is a problem already.
  for (const [index, name] of names.entries()) {
    if (name !== undefined && !indices.has(name)) indices.set(name, index);
  }
  // Without all names nothing can be said about `needs`.
  if (names.includes(undefined)) return null;
  const needs = stages.map((stage, index) =>
    stage === undefined ? [] : (stage.needs ?? names.slice(Math.max(0, index - 1), index)),
  );
  for (const [index, stage] of stages.entries()) {
    if (stage?.needs !== undefined) checkNeeds(stage, indices, [...path, index, 'needs'], context);
  }
  if (context.report.errorCount > before) return null;
  const edges = needs.map((of) => of.map((name) => indices.get(name ?? '') ?? 0));
  const { order, cycles } = orderByNeeds(edges);
  for (const cycle of cycles) reportCycle(cycle, stages, path, context);
  const known = stages.filter((stage) => stage !== undefined);
  if (cycles.length > 0 || known.length < stages.length) return null;
  return order.flatMap((index) => {
    const stage = stages[index];
    const of = (needs[index] ?? []).filter((name) => name !== undefined);
    return stage === undefined ? [] : [{ stage, needs: of }];
  });
}

function checkNeeds(
  stage: StageRow,
  known: ReadonlyMap<string, number>,
  path: KeyPath,
  { root, report }: TemplateContext,
): void {
  const twice = (name: string) => `stage ${quoted(stage.name)} needs stage ${name} twice`;
  reportRepeated(stage.needs ?? [], (index) => [...path, index], twice, root, report);
  for (const [index, name] of (stage.needs ?? []).entries()) {
    if (name === undefined || known.has(name)) continue;
    report.error({
      message: `stage ${quoted(stage.name)} needs unknown stage ${quoted(name)}`,
      path: [...path, index],
      origin: originOf(root, [...path, index]),
      expected: 'the name of a stage of the same workflow',
      hint: report.meant(name, known.keys()),
    });
  }
}

const MAX_SHOWN_STAGES = 10;

function reportCycle(
  cycle: readonly number[],
  stages: WorkflowRow['stages'],
  path: KeyPath,
  { root, report }: TemplateContext,
): void {
  const [first = 0] = cycle;
  const at = [...path, first, stages[first]?.needs === undefined ? 'name' : 'needs'];
  const names = cycle.map((index) => quoted(stages[index]?.name ?? ''));
  const text =
    names.length <= MAX_SHOWN_STAGES
      ? names.join(' -> ')
      : `${names.slice(0, MAX_SHOWN_STAGES - 1).join(' -> ')} -> … -> ${names.at(-1)}`;
  const implied = cycle.find((index) => stages[index]?.needs === undefined);
  const hint =
    implied === undefined
      ? undefined
      : `stage ${quoted(stages[implied]?.name ?? '')} has no \`needs\`, so it waits for the stage written before it; \`needs = []\` waits for none`;
  report.error({
    message: `stages need each other in a cycle: ${text}`,
    path: at,
    origin: originOf(root, at),
    hint,
  });
}

/** What has to hold between the keys of one stage. */
function checkStage(stage: StageRow, path: KeyPath, context: TemplateContext): void {
  const { settings, root, report } = context;
  const subject = `stage ${quoted(stage.name)}`;
  for (const key of ['agents', 'compensation_agents'] as const) {
    const twice = (role: string) => `${subject} names agent role ${role} twice in \`${key}\``;
    reportRepeated(stage[key] ?? [], (index) => [...path, key, index], twice, root, report);
  }
  for (const key of ['retry', 'compensation_retry'] as const) {
    const { initial_ms: initialMs, max_ms: maxMs } = stage[key] ?? {};
    if (initialMs === undefined || maxMs === undefined || initialMs <= maxMs) continue;
    const at = [...path, key, 'initial_ms'];
    report.error({
      message: `${subject} waits longer before the first retry (\`${initialMs}\` ms) than it ever may (\`max_ms\` is \`${maxMs}\`)`,
      path: at,
      origin: originOf(root, at),
      expected: '`initial_ms` not above `max_ms`',
    });
  }
  const isGated = settings.approvalGatesEnabled && stage.approval_required === true;
  if (stage.irreversible === true && !isGated && settings.cedarPolicyDir === null) {
    const at = [...path, 'irreversible'];
    report.error({
      message: `irreversible ${subject} has nobody's word before it`,
      path: at,
      origin: originOf(root, at),
      expected:
        '`approval_required = true` with approval gates enabled, or a `cedar_policy_dir` in `[engine]`',
    });
  }
  warnOfIdleKeys(stage, subject, path, context);
}

/** Keys that are valid and do nothing are misunderstandings. */
function warnOfIdleKeys(stage: StageRow, subject: string, path: KeyPath, context: TemplateContext): void {
  const warn = (key: string, without: string) => {
    const at = [...path, key];
    const message = `\`${key}\` of ${subject} has no effect without ${without}`;
    context.report.warn({ message, path: at, origin: originOf(context.root, at) });
  };
  if (stage.max_parallel !== undefined && stage.max_parallel > 1 && stage.parallel !== true) {
    warn('max_parallel', '`parallel = true`');
  }
  if (stage.approval_required === true) return;
  if (stage.approval_timeout !== undefined) warn('approval_timeout', '`approval_required = true`');
  if (stage.on_approval_timeout !== undefined) warn('on_approval_timeout', '`approval_required = true`');
}

function stageTemplate(stage: StageRow, needs: readonly string[], settings: EngineSettings): StageTemplate {
  const agents = stage.agents.filter((role) => role !== undefined);
  const parallel = stage.parallel ?? false;
  return {
    name: stage.name,
    agents,
    parallel,
    maxParallel: parallel ? (stage.max_parallel ?? agents.length) : 1,
    approvalRequired: settings.approvalGatesEnabled && (stage.approval_required ?? false),
    approvalTimeoutMs: toMsOrNull(stage.approval_timeout),
    onApprovalTimeout: stage.on_approval_timeout ?? 'reject',
    compensationAgents: (stage.compensation_agents ?? []).filter((role) => role !== undefined),
    needs,
    timeoutMs: toMsOrNull(stage.timeout),
    retry: retryPolicy(stage.retry, DEFAULT_RETRY),
    compensationRetry: retryPolicy(stage.compensation_retry, DEFAULT_COMPENSATION_RETRY),
    compensationTimeoutMs:
      stage.compensation_timeout === undefined
        ? DEFAULT_COMPENSATION_TIMEOUT_MS
        : toMs(stage.compensation_timeout),
    compensateFailed: stage.compensate_failed ?? 'completed_tasks',
    irreversible: stage.irreversible ?? false,
    budget: buildBudget(stage.budget),
  };
}

/** Where only one of the two delays is given, the default of the other yields to it. */
function retryPolicy(row: StageRow['retry'], defaults: RetryPolicy): RetryPolicy {
  const maxMs = row?.max_ms ?? Math.max(defaults.maxMs, row?.initial_ms ?? 0);
  return {
    maxAttempts: row?.max_attempts ?? defaults.maxAttempts,
    initialMs: row?.initial_ms ?? Math.min(defaults.initialMs, maxMs),
    maxMs,
    factor: row?.factor ?? defaults.factor,
    jitter: row?.jitter ?? defaults.jitter,
  };
}
