/** The shapes that `--json` prints. They are a contract: keys in snake_case, times in ISO 8601, ids as `workflow_id`. */
import type { AgentReport, DeadLetter, InstanceArtifact, ScheduleInfo } from '../core/api.js';
import { type Spent, spentBy } from '../core/budget.js';
import type { Problem, VaporaError } from '../core/errors.js';
import type { EventRecord } from '../core/events.js';
import {
  deadLettersOf,
  type StageBlock,
  type StageState,
  type TaskState,
  type WorkflowInstance,
} from '../core/instance.js';
import type { InstanceSummary } from '../core/ports.js';
import { isoTime } from './text.js';

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/** An event as it is kept, its keys and times as in everything else that is printed. */
export function eventJson(event: EventRecord): Record<string, unknown> {
  const { seq, type, at, workflow_id, ...rest } = event;
  return { seq, type, at: isoTime(at), workflow_id, ...printed(rest) };
}

/** JSON of agents and labels of people: theirs to the letter. */
const FOREIGN = new Set(['output', 'value', 'labels']);

function printed(fields: object): Record<string, unknown> {
  const entries = Object.entries(fields).map(([key, value]: [string, unknown]) => {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (key.endsWith('At') && typeof value === 'number') return [name, isoTime(value)] as const;
    return [name, FOREIGN.has(key) ? value : printedValue(value)] as const;
  });
  return Object.fromEntries(entries);
}

function printedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(printedValue);
  return typeof value === 'object' && value !== null ? printed(value) : value;
}

export function artifactJson(artifact: InstanceArtifact): Record<string, unknown> {
  const { name, kind, stage, role, digest, size } = artifact;
  return { name, kind, stage, role, digest, size };
}

function compensationJson(instance: WorkflowInstance): Record<string, unknown> | null {
  const plan = instance.rollback;
  if (plan === null) return null;
  return {
    target: plan.target,
    cause: plan.cause,
    order: plan.order,
    dead_letters: deadLettersOf(instance).map((stage) => `${instance.id}/${stage.name}`),
  };
}

/** The last line of every command that drives an instance. */
export function resultJson(
  instance: WorkflowInstance,
  artifacts: readonly InstanceArtifact[],
): Record<string, unknown> {
  return {
    type: 'result',
    workflow_id: instance.id,
    state: instance.status,
    stages: instance.stages.map((stage) => ({
      name: stage.name,
      state: stage.status,
      compensation: stage.compensation.status,
    })),
    artifacts: artifacts.map(artifactJson),
    compensation: compensationJson(instance),
    error: instance.error,
  };
}

function taskJson(task: TaskState): Record<string, unknown> {
  return {
    role: task.role,
    state: task.status,
    agent: task.agent,
    attempt: task.attempt,
    failures: task.failures,
    interruptions: task.interruptions,
    dispatched_at: timeOrNull(task.dispatchedAt),
    ended_at: timeOrNull(task.endedAt),
    retry_at: timeOrNull(task.retryAt),
    output: task.output,
    error: task.error,
    log: task.log?.digest ?? null,
  };
}

function spentJson({ tokens, microUsd, ms }: Spent): Record<string, unknown> {
  return { tokens, usd: microUsd / 1_000_000, seconds: ms / 1_000 };
}

function blockJson({ liftsAt, ...block }: StageBlock): Record<string, unknown> {
  return liftsAt === undefined ? block : { ...block, lifts_at: isoTime(liftsAt) };
}

function stageJson(stage: StageState): Record<string, unknown> {
  const { approval, compensation } = stage;
  return {
    name: stage.name,
    state: stage.status,
    run: stage.run,
    started_at: timeOrNull(stage.startedAt),
    ended_at: timeOrNull(stage.endedAt),
    deadline_at: timeOrNull(stage.deadlineAt),
    approval: approval === null ? null : approvalJson(approval),
    block: stage.block === null ? null : blockJson(stage.block),
    error: stage.error,
    spent: spentJson(stage.spent),
    tasks: stage.tasks.map(taskJson),
    compensation: compensation.status,
    compensation_reason: compensation.reason,
    compensation_tasks: compensation.tasks.map(taskJson),
  };
}

function approvalJson(approval: NonNullable<StageState['approval']>): Record<string, unknown> {
  return {
    state: approval.status,
    requested_at: isoTime(approval.requestedAt),
    deadline_at: timeOrNull(approval.deadlineAt),
    digest: approval.digest,
    by: approval.by,
    decided_at: timeOrNull(approval.decidedAt),
    comment: approval.comment,
  };
}

/** What `show --json` prints. */
export function instanceJson(
  instance: WorkflowInstance,
  artifacts: readonly InstanceArtifact[],
): Record<string, unknown> {
  return {
    workflow_id: instance.id,
    workflow: instance.templateName,
    template_hash: instance.templateHash,
    state: instance.status,
    initiator: instance.initiator,
    spent: spentJson(spentBy(instance)),
    labels: Object.fromEntries(instance.labels),
    created_at: isoTime(instance.createdAt),
    updated_at: isoTime(instance.updatedAt),
    ended_at: timeOrNull(instance.endedAt),
    deadline_at: timeOrNull(instance.deadlineAt),
    retry_of: instance.retryOf,
    input: { digest: instance.input.digest, size: instance.input.size },
    stages: instance.stages.map(stageJson),
    artifacts: artifacts.map(artifactJson),
    compensation: compensationJson(instance),
    error: instance.error,
  };
}

export function summaryJson(summary: InstanceSummary): Record<string, unknown> {
  return {
    workflow_id: summary.id,
    workflow: summary.template,
    state: summary.status,
    initiator: summary.initiator,
    labels: summary.labels,
    created_at: isoTime(summary.createdAt),
    updated_at: isoTime(summary.updatedAt),
    ended_at: timeOrNull(summary.endedAt),
    dead_letters: summary.deadLetters,
    error: summary.error,
  };
}

export function letterJson(letter: DeadLetter): Record<string, unknown> {
  return { ...letter, at: isoTime(letter.at) };
}

/** What `agents --json` prints of each. */
export function agentJson(agent: AgentReport): Record<string, unknown> {
  return {
    name: agent.name,
    roles: agent.roles,
    capacity: agent.capacity,
    in_flight: agent.inFlight,
    success_rate: agent.successRate,
    score: agent.score,
    is_remote: agent.isRemote,
    version: agent.version,
    seen_at: timeOrNull(agent.seenAt),
  };
}

export function scheduleJson(info: ScheduleInfo): Record<string, unknown> {
  const { last, paused } = info;
  return {
    workflow: info.workflow,
    cron: info.cron,
    timezone: info.timezone,
    overlap: info.overlap,
    catch_up: info.catchUp,
    next_at: timeOrNull(info.nextAt),
    last: last === null ? null : { ...last, at: isoTime(last.at) },
    last_id: info.lastId,
    paused: paused === null ? null : { ...paused, at: isoTime(paused.at) },
  };
}

export function problemJson(problem: Problem): Record<string, unknown> {
  const { severity, message, place, path, expected, hint } = problem;
  return {
    severity,
    message,
    ...(place === undefined ? {} : { file: place.file, line: place.line, column: place.column }),
    ...(path === undefined ? {} : { path }),
    ...(expected === undefined ? {} : { expected }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** The last line of a command that failed. */
export function errorJson(error: VaporaError): Record<string, unknown> {
  return {
    type: 'error',
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    problems: error.problems.map(problemJson),
  };
}
