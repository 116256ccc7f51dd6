/** The format of `workflows.toml`: one definition for the reader, the JSON Schema, the documentation and TypeScript. */
import {
  DEFAULT_COMPENSATION_RETRY,
  DEFAULT_COMPENSATION_TIMEOUT_MS,
  DEFAULT_RETRY,
  type RetryPolicy,
} from '../core/template.js';
import { agentShape } from './agent-shape.js';
import { budgetShape, sharedBudgetShape } from './budget.js';
import { outboundShape } from './outbound.js';
import { serverShape } from './server-shape.js';
import {
  choice,
  flag,
  integer,
  type JsonSchema,
  list,
  name,
  number,
  optional,
  type RowOf,
  required,
  table,
  text,
  type Written,
} from './shape.js';
import { afterShape, scheduleShape, webhookShape } from './trigger-schema.js';

const KIB = 1_024;
const MIB = KIB * KIB;
const DAY_SECONDS = 86_400;
/** Longer waits are a mistake in units more often than a wish. */
const MAX_SECONDS = 366 * DAY_SECONDS;
const MAX_KEPT_DAYS = 36_500;
const MAX_MS = DAY_SECONDS * 1_000;

export const DEFAULT_ENGINE = {
  maxParallelTasks: 10,
  approvalGatesEnabled: true,
  store: 'rocksdb://.vapora/store',
  onDeny: 'block',
  sagaParallelism: 1,
  agentLease: 30,
  limits: {
    maxInputBytes: MIB,
    maxArtifactBytes: 16 * MIB,
    maxOutputBytes: 64 * KIB,
    maxStages: 1_000,
    maxTemplates: 1_000,
  },
} as const;

const seconds = number(0.001, MAX_SECONDS, 'seconds');
const roles = { min: 1, max: 100 } as const;

export const limitsShape = table('`[engine.limits]`', {
  max_input_bytes: optional(
    integer(1, 64 * MIB, 'bytes'),
    "Size of an instance's input, in bytes.",
    DEFAULT_ENGINE.limits.maxInputBytes,
  ),
  max_artifact_bytes: optional(
    integer(1, KIB * MIB, 'bytes'),
    'Size of one artifact, in bytes.',
    DEFAULT_ENGINE.limits.maxArtifactBytes,
  ),
  max_output_bytes: optional(
    integer(1, 16 * MIB, 'bytes'),
    "Size of a task's JSON output, in bytes.",
    DEFAULT_ENGINE.limits.maxOutputBytes,
  ),
  max_stages: optional(integer(1, 10_000), 'Stages of one workflow.', DEFAULT_ENGINE.limits.maxStages),
  max_templates: optional(integer(1, 10_000), 'Workflows of one file.', DEFAULT_ENGINE.limits.maxTemplates),
});

export const retentionShape = table('`[engine.retention]`', {
  keep_days: optional(
    number(0.001, MAX_KEPT_DAYS, 'days'),
    'Days that an instance is kept after its end. Without it instances are kept for ever.',
  ),
  archive: optional(
    text('the path of a directory'),
    'Directory, relative to this file, that the history of an instance goes to before the instance goes. Without it the history goes too.',
  ),
});

export const engineShape = table('`[engine]`', {
  max_parallel_tasks: optional(
    integer(1, 100_000),
    'Tasks in flight at once, over all instances.',
    DEFAULT_ENGINE.maxParallelTasks,
  ),
  workflow_timeout: optional(
    seconds,
    'Seconds from the start of an instance until it fails with `workflow_timeout`, compensation not included. Without it there is no limit.',
  ),
  approval_gates_enabled: optional(
    flag,
    '`false` lets every stage run without its approval.',
    DEFAULT_ENGINE.approvalGatesEnabled,
  ),
  cedar_policy_dir: optional(
    text('the path of a directory'),
    'Directory of Cedar policies, relative to this file. Without it everything is allowed.',
  ),
  store: optional(
    text('a store URL'),
    'Where state is kept: `mem://`, `rocksdb://PATH`, `surrealkv://PATH` (relative to this file), or `ws`, `wss`, `http`, `https` for a SurrealDB server.',
    DEFAULT_ENGINE.store,
  ),
  on_deny: optional(
    choice(['block', 'compensate']),
    'What a denied stage does to its instance: block it for an operator, or take it back.',
    DEFAULT_ENGINE.onDeny,
  ),
  saga_parallelism: optional(
    integer(1, 1_000),
    'Compensations of one instance side by side, where the order allows it.',
    DEFAULT_ENGINE.sagaParallelism,
  ),
  agent_lease: optional(
    number(1, 3_600, 'seconds'),
    'Seconds that an agent which calls over the network may be silent before what it is at is lost to it.',
    DEFAULT_ENGINE.agentLease,
  ),
  retention: optional(retentionShape, 'How long what has ended is kept.'),
  outbound: optional(outboundShape, 'Whom the engine may call.'),
  limits: optional(limitsShape, 'Upper bounds, so that one workflow can not exhaust the engine.'),
});

function retryShape(what: string, defaults: RetryPolicy) {
  return table(what, {
    max_attempts: optional(integer(1, 1_000), 'Attempts in all, the first included.', defaults.maxAttempts),
    initial_ms: optional(
      integer(0, MAX_MS, 'milliseconds'),
      'Delay before the first retry.',
      defaults.initialMs,
    ),
    max_ms: optional(
      integer(0, MAX_MS, 'milliseconds'),
      'Longest delay between two attempts.',
      defaults.maxMs,
    ),
    factor: optional(number(1, 100), 'Growth of the delay from one retry to the next.', defaults.factor),
    jitter: optional(number(0, 1), 'Share of the delay that is drawn at random.', defaults.jitter),
  });
}

export const stageShape = table('a stage', {
  name: required(name, 'Unique within the workflow.'),
  agents: required(list(name, roles, 'agent roles'), 'Agent roles that carry the stage out, one task each.'),
  parallel: optional(flag, 'Run the tasks side by side rather than in order.', false),
  max_parallel: optional(
    integer(1, 100),
    'Tasks of the stage in flight at once where `parallel`; by default all of them.',
  ),
  needs: optional(
    list(name, { min: 0, max: 10_000 }, 'stage names'),
    'Stages that must be completed before; by default the stage written before this one. `[]`: none.',
  ),
  approval_required: optional(flag, 'Wait for a person before the stage runs.', false),
  approval_timeout: optional(seconds, 'Seconds to wait for the approval. Without it there is no limit.'),
  on_approval_timeout: optional(
    choice(['reject', 'approve']),
    'What an approval that nobody gave in time counts as.',
    'reject',
  ),
  timeout: optional(
    seconds,
    "Seconds from the stage's start to its completion, retries included. Without it there is no limit.",
  ),
  retry: optional(retryShape('`retry`', DEFAULT_RETRY), 'When and how often a failed task is tried again.'),
  compensation_agents: optional(
    list(name, { min: 0, max: roles.max }, 'agent roles'),
    'Agent roles that take the stage back, in this order. Without them it can not be taken back.',
    [],
  ),
  compensation_retry: optional(
    retryShape('`compensation_retry`', DEFAULT_COMPENSATION_RETRY),
    'When and how often a failed compensation is tried again before it becomes a dead letter.',
  ),
  compensation_timeout: optional(
    seconds,
    'Seconds that one attempt of a compensation may take.',
    DEFAULT_COMPENSATION_TIMEOUT_MS / 1_000,
  ),
  compensate_failed: optional(
    choice(['completed_tasks', 'always', 'never']),
    'Whether the stage that failed is compensated itself: if one of its tasks completed, always, or never.',
    'completed_tasks',
  ),
  budget: optional(
    budgetShape,
    'What the tasks of the stage may use, in all its runs, before nothing more of it is dispatched, and what uses up its seconds is called off.',
  ),
  irreversible: optional(
    flag,
    'A point of no return: afterwards the instance only goes forward or stops for an operator. Needs `approval_required` or `cedar_policy_dir`.',
    false,
  ),
});

const workflowTable = table('a workflow', {
  name: required(name, 'Unique within the file.'),
  trigger: optional(
    choice(['manual', 'schedule', 'webhook', 'workflow']),
    'What starts the workflow, besides people: a time, a signed request, or the end of another workflow.',
    'manual',
  ),
  schedule: optional(scheduleShape, 'When `trigger = "schedule"`: the times.'),
  webhook: optional(webhookShape, 'When `trigger = "webhook"`: whose requests, and what becomes of them.'),
  after: optional(afterShape, 'When `trigger = "workflow"`: whose end.'),
  budget: optional(
    budgetShape,
    'What the tasks of one instance may use, before nothing more of it is dispatched, and what uses up its seconds is called off.',
  ),
  shared_budget: optional(
    sharedBudgetShape,
    'What the tasks of all instances may use together in an hour, day, week or month, before nothing more of any is dispatched.',
  ),
  on_breach: optional(
    choice(['pause', 'compensate']),
    'What becomes of a stage that would go on although a budget is used up: it waits for `vapora resume`, which grants the budget again, or it fails.',
    'pause',
  ),
  stages: required(
    list(stageShape, { min: 1, max: 10_000 }, 'stages'),
    'Steps of the workflow, `[[workflows.stages]]`.',
  ),
});

/** Editors learn which table a trigger needs; the reader's own check is in `triggers.ts`. */
const triggerTables = { schedule: 'schedule', webhook: 'webhook', workflow: 'after' };
export const workflowShape: typeof workflowTable = {
  ...workflowTable,
  schema: {
    ...workflowTable.schema,
    anyOf: [
      { properties: { trigger: { const: 'manual' } } },
      ...Object.entries(triggerTables).map(([trigger, key]) => ({
        properties: { trigger: { const: trigger }, [key]: {} },
        required: [key],
      })),
    ],
  },
};

export const documentShape = table('the document', {
  engine: optional(engineShape, 'Settings of the engine.'),
  server: optional(serverShape, 'Where `vapora serve` listens, and how it knows who calls.'),
  workflows: optional(list(workflowShape, { min: 0, max: 10_000 }, 'workflows'), 'Workflow templates.'),
  agents: optional(
    list(agentShape, { min: 0, max: 10_000 }, 'agents'),
    'Agents that are programs, services that are called, or language models.',
  ),
});

export type EngineRow = RowOf<typeof engineShape>;
export type WorkflowRow = RowOf<typeof workflowShape>;
export type StageRow = RowOf<typeof stageShape>;
/** A workflow as a program defines it: the keys of `[[workflows]]`. */
export type WorkflowDefinition = Written<WorkflowRow>;

/** JSON Schema (draft 7) of `workflows.toml`, for editors. */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Vapora workflows',
    description: 'Workflow templates, agents and engine settings: `workflows.toml`.',
    ...documentShape.schema,
  };
}
