/** What became of an instance, in a line, and what can be done next. */
import {
  deadLettersOf,
  type InstanceStatus,
  isTerminal,
  type StageState,
  type WorkflowInstance,
} from '../core/instance.js';
import { INSTANCE_LOOKS, type Palette, toned } from './palette.js';
import { clean, count, duration } from './text.js';

const WORDS: Readonly<Record<InstanceStatus, string>> = {
  draft: 'is not started yet',
  active: 'goes on',
  waiting_approval: 'waits for an approval',
  blocked: 'is blocked',
  compensating: 'is being taken back',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'was cancelled',
};

/** `✗ release 01J… failed at smoke-test; 3 stages taken back, 0 dead letters`, why, and what to do next. */
export function summaryLines(instance: WorkflowInstance, colors: Palette): string[] {
  const look = INSTANCE_LOOKS[instance.status];
  const head = `${colors.bold(clean(instance.templateName))} ${clean(instance.id)} ${toned(colors, look.tone, WORDS[instance.status])}`;
  const lines = [`${toned(colors, look.tone, look.glyph)} ${head}${atStage(instance)}${outcome(instance)}`];
  const reason = reasonOf(instance);
  if (reason !== null) lines.push(`  ${clean(reason)}`);
  for (const step of nextSteps(instance)) lines.push(`  ${colors.dim('→')} ${step}`);
  return lines;
}

/** The stage at which it came to rest, if one can be named. */
function atStage(instance: WorkflowInstance): string {
  const names = haltedAt(instance).map((stage) => clean(stage.name));
  if (names.length === 0) return '';
  return `${instance.status === 'waiting_approval' ? ' of' : ' at'} ${names.join(', ')}`;
}

function haltedAt({ status, stages }: WorkflowInstance): readonly StageState[] {
  if (status === 'waiting_approval') return stages.filter((stage) => stage.status === 'waiting_approval');
  if (status === 'blocked') return stages.filter((stage) => stage.block !== null);
  if (status === 'failed') {
    const own = stages.filter((stage) => stage.status === 'failed' && stage.error?.code !== 'stage_aborted');
    return own;
  }
  return [];
}

function outcome(instance: WorkflowInstance): string {
  const parts: string[] = [];
  if (instance.rollback !== null || instance.status === 'failed' || instance.status === 'cancelled') {
    const undone = instance.stages.filter((stage) => stage.compensation.status === 'compensated').length;
    parts.push(`${count(undone, 'stage')} taken back`, count(deadLettersOf(instance).length, 'dead letter'));
  }
  const took = instance.endedAt === null ? '' : ` in ${duration(instance.endedAt - instance.createdAt)}`;
  return parts.length === 0 ? took : `${took}; ${parts.join(', ')}`;
}

function reasonOf(instance: WorkflowInstance): string | null {
  if (instance.status === 'blocked') {
    return instance.stages.find((stage) => stage.block !== null)?.block?.message ?? null;
  }
  return isTerminal(instance.status) ? (instance.error?.message ?? null) : null;
}

/** Commands that make sense now, most helpful first. */
export function nextSteps(instance: WorkflowInstance): string[] {
  const { status } = instance;
  const id = clean(instance.id);
  const letters = deadLettersOf(instance);
  const steps: string[] = [];
  if (status === 'waiting_approval') {
    for (const stage of haltedAt(instance)) {
      steps.push(
        `vapora approve ${id} ${clean(stage.name)}, or vapora reject ${id} ${clean(stage.name)} --reason TEXT`,
      );
    }
  }
  if (status === 'blocked') steps.push(...stepsWhenBlocked(instance));
  if (letters.length > 0) {
    steps.push(
      `vapora dead-letters retry ${id}/${clean(letters[0]?.name ?? '')}, or resolve it with --reason TEXT`,
    );
  } else if (status === 'failed' || status === 'cancelled') {
    steps.push(`vapora retry ${id}, to run it again from there`);
  }
  if (!isTerminal(status) && steps.length === 0) steps.push(`vapora resume ${id}, to go on`);
  steps.push(`vapora show ${id}`);
  return steps;
}

function stepsWhenBlocked(instance: WorkflowInstance): string[] {
  const id = clean(instance.id);
  const codes = new Set(instance.stages.map((stage) => stage.block?.code));
  const steps: string[] = [];
  if (codes.has('denied')) steps.push(`vapora resume ${id}, after the policies have changed`);
  if (codes.has('role_unserved')) steps.push(`vapora resume ${id}, after an agent for the role was added`);
  if (codes.has('budget_exceeded')) steps.push(`vapora resume ${id}, to grant the budget again`);
  if (codes.has('point_of_no_return')) {
    steps.push(
      `vapora retry ${id}, to try the failed stage again`,
      `vapora cancel ${id} --no-compensate, to stop it as it is`,
    );
  } else if (!codes.has('rollback_incomplete')) steps.push(`vapora cancel ${id}, to take it back`);
  return steps;
}
