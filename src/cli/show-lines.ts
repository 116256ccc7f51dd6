/** One instance in full, as `vapora show` prints it. */
import type { InstanceArtifact } from '../core/api.js';
import { type Spent, spentBy } from '../core/budget.js';
import {
  type Approval,
  type Decision,
  deadLettersOf,
  type StageState,
  type TaskState,
  type WorkflowInstance,
} from '../core/instance.js';
import { COMPENSATION_LOOKS, INSTANCE_LOOKS, type Palette, stageLook, toned } from './palette.js';
import { nextSteps } from './summary.js';
import { tableLines } from './table.js';
import { byteSize, clean, count, duration, moment, padTo, width } from './text.js';

export interface Shown {
  readonly instance: WorkflowInstance;
  readonly artifacts: readonly InstanceArtifact[];
  /** Decisions that hold stages back, by stage. */
  readonly denials: ReadonlyMap<string, Decision>;
  readonly now: number;
}

export function showLines(shown: Shown, colors: Palette): string[] {
  const { instance } = shown;
  return [
    ...headLines(shown, colors),
    '',
    ...stageTable(instance, shown.now, colors),
    ...section('approvals', instance.stages.flatMap(approvalLines), colors),
    ...section('why', whyLines(shown), colors),
    ...section('taken back', compensationLines(instance, shown.now), colors),
    ...section('dead letters', letterLines(instance), colors),
    ...section('artifacts', shown.artifacts.map(artifactLine), colors),
    // the last step is to look at what is shown here
    ...section('next', nextSteps(instance).slice(0, -1), colors),
  ];
}

/** Of models alone: how long agents were at it is in the table of stages. */
function usedText({ tokens, microUsd }: Spent): string | null {
  if (tokens === 0 && microUsd === 0) return null;
  return `${count(tokens, 'token')}, ${(microUsd / 1_000_000).toFixed(4)} USD`;
}

function section(title: string, lines: readonly string[], colors: Palette): string[] {
  return lines.length === 0 ? [] : ['', colors.bold(title), ...lines.map((line) => `  ${line}`)];
}

function headLines({ instance, now }: Shown, colors: Palette): string[] {
  const look = INSTANCE_LOOKS[instance.status];
  const { user, groups } = instance.initiator;
  const state = toned(colors, look.tone, `${look.glyph} ${instance.status.replace('_', ' ')}`);
  const facts: [string, string][] = [
    [
      'state',
      `${state}${instance.error === null ? '' : `: ${clean(instance.error.message)} (${instance.error.code})`}`,
    ],
    [
      'by',
      `${clean(user)}${groups.length === 0 ? '' : ` (${groups.map((group) => clean(group)).join(', ')})`}`,
    ],
    [
      'started',
      `${moment(instance.createdAt)}, ${duration((instance.endedAt ?? now) - instance.createdAt)}${instance.endedAt === null ? ' ago' : ' in all'}`,
    ],
    ['input', `${byteSize(instance.input.size)}, ${instance.input.digest.slice(0, 12)}`],
    ['template', instance.templateHash.slice(0, 12)],
  ];
  if (instance.labels.length > 0) {
    facts.push(['labels', instance.labels.map(([key, value]) => `${clean(key)}=${clean(value)}`).join(' ')]);
  }
  const used = usedText(spentBy(instance));
  if (used !== null) facts.push(['used', used]);
  if (instance.retryOf !== null) facts.push(['goes on from', clean(instance.retryOf)]);
  if (instance.deadlineAt !== null && instance.endedAt === null)
    facts.push(['deadline', moment(instance.deadlineAt)]);
  return [
    `${colors.bold(clean(instance.templateName))} ${clean(instance.id)}`,
    ...facts.map(([name, value]) => `  ${colors.dim(name.padEnd(12))}  ${value}`),
  ];
}

function stageTable(instance: WorkflowInstance, now: number, colors: Palette): string[] {
  const rows = instance.stages.flatMap((stage) => stageRows(stage, now, colors));
  return tableLines(['  STAGE', 'STATE', 'ROLE', 'AGENT', 'ATTEMPT', 'TIME', 'UNDO'], rows, colors);
}

/** One row a task; the first has the stage's own columns. */
function stageRows(stage: StageState, now: number, colors: Palette): string[][] {
  const look = stageLook(stage);
  const undo = COMPENSATION_LOOKS[stage.compensation.status];
  const own = [
    `${toned(colors, look.tone, look.glyph)} ${clean(stage.name)}${stage.run > 1 ? colors.dim(` (run ${stage.run})`) : ''}`,
    toned(colors, look.tone, look.words),
  ];
  const undone = undo === null ? '' : toned(colors, undo.tone, undo.words);
  if (stage.tasks.length === 0)
    return [[...own, '', '', '', timeOf(stage.startedAt, stage.endedAt, now), undone]];
  return stage.tasks.map((task, index) => [
    ...(index === 0 ? own : ['', '']),
    ...taskCells(task, now),
    index === 0 ? undone : '',
  ]);
}

function taskCells(task: TaskState, now: number): string[] {
  const lost = task.interruptions === 0 ? '' : `, ${count(task.interruptions, 'interruption')}`;
  return [
    clean(task.role),
    clean(task.agent ?? ''),
    task.attempt === 0 ? '' : `${task.attempt}${lost}`,
    timeOf(task.dispatchedAt, task.endedAt, now),
  ];
}

function timeOf(from: number | null, to: number | null, now: number): string {
  return from === null ? '' : duration((to ?? now) - from);
}

function approvalLines(stage: StageState): string[] {
  const { approval } = stage;
  return approval === null ? [] : [`${clean(stage.name)}: ${approvalWords(approval)}`];
}

function approvalWords({ status, by, decidedAt, comment, requestedAt, deadlineAt }: Approval): string {
  const until = deadlineAt === null ? '' : `, until ${moment(deadlineAt)}`;
  if (status === 'requested') return `wanted since ${moment(requestedAt)}${until}`;
  const who = by === null ? '' : ` by ${clean(by)}`;
  const when = decidedAt === null ? '' : ` at ${moment(decidedAt)}`;
  return `${status}${who}${when}${comment === null ? '' : `: ${clean(comment)}`}`;
}

/** Blocks with the policies behind them, and errors of stages and tasks. */
function whyLines({ instance, denials }: Shown): string[] {
  return instance.stages.flatMap((stage) => {
    const name = clean(stage.name);
    const lines: string[] = [];
    if (stage.block !== null) {
      const { message, liftsAt } = stage.block;
      const until = liftsAt === undefined ? '' : `, until ${moment(liftsAt)}`;
      lines.push(`${name} is blocked: ${clean(message)}${until}`);
    }
    const denial = denials.get(stage.name);
    if (denial !== undefined) lines.push(...denialLines(denial));
    if (stage.error !== null)
      lines.push(`${name} failed: ${clean(stage.error.message)} (${stage.error.code})`);
    for (const task of stage.tasks) {
      if (task.error === null || task.error.message === stage.error?.message) continue;
      lines.push(`${name}, ${clean(task.role)}: ${clean(task.error.message)} (${task.error.code})`);
    }
    return lines;
  });
}

function denialLines(denial: Decision): string[] {
  const lines = [`  decision: ${clean(denial.reason)}`];
  if (denial.policies.length > 0) {
    lines.push(`  policies: ${denial.policies.map((id) => clean(id)).join(', ')}`);
  }
  for (const error of denial.errors) lines.push(`  error: ${clean(error)}`);
  return lines;
}

function compensationLines(instance: WorkflowInstance, now: number): string[] {
  const plan = instance.rollback;
  if (plan === null) return [];
  const stages = plan.order.flatMap((name) => instance.stages.find((stage) => stage.name === name) ?? []);
  const columns = Math.max(0, ...stages.map(({ name }) => width(clean(name))));
  const lines = stages.map((stage) => {
    return `${padTo(clean(stage.name), columns)}  ${compensationWords(stage, now)}`;
  });
  return [`because ${clean(plan.cause.message)}`, ...lines];
}

function compensationWords({ compensation }: StageState, now: number): string {
  const words = COMPENSATION_LOOKS[compensation.status]?.words ?? 'not yet looked at';
  const reason = compensation.reason === null ? '' : `: ${clean(compensation.reason)}`;
  const tasks = compensation.tasks
    .filter((task) => task.attempt > 0)
    .map((task) => {
      const attempts = task.attempt > 1 ? `, ${count(task.attempt, 'attempt')}` : '';
      return `${clean(task.agent ?? task.role)}${attempts}, ${timeOf(task.dispatchedAt, task.endedAt, now)}`;
    });
  return `${words}${reason}${tasks.length === 0 ? '' : ` (${tasks.join('; ')})`}`;
}

function letterLines(instance: WorkflowInstance): string[] {
  return deadLettersOf(instance).map((stage) => {
    const error = stage.compensation.tasks.find((task) => task.status === 'failed')?.error;
    return `${clean(instance.id)}/${clean(stage.name)}  ${clean(error?.message ?? 'not taken back')}`;
  });
}

function artifactLine({ stage, name, kind, size }: InstanceArtifact): string {
  return `${clean(stage)}/${clean(name)}  ${clean(kind)}, ${byteSize(size)}`;
}
