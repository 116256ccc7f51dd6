/** Each event in words, for logs and histories. */
import type { EventRecord, EventType, WorkflowEvent } from '../core/events.js';
import type { Decision } from '../core/instance.js';
import type { Tone } from './palette.js';
import { byteSize, clean, count, isoTime } from './text.js';

export interface EventWords {
  readonly glyph: string;
  readonly tone: Tone;
  /** Stage that it is about, or "" for the instance. Cleaned. */
  readonly subject: string;
  /** Cleaned. */
  readonly words: string;
}

type EventOf<T extends EventType> = Extract<WorkflowEvent, { type: T }>;
type Speaker<T extends EventType> = (event: EventOf<T>) => readonly [string, Tone, string];

/** Task events name the role where it says more than the stage's own name. */
function task(event: { stage: string; role: string; kind: string; attempt: number }): string {
  const undo = event.kind === 'compensate' ? 'undo by ' : '';
  const attempt = event.attempt > 1 ? ` (attempt ${event.attempt})` : '';
  return `${undo}${clean(event.role)}${attempt}`;
}

function decided(decision: Decision): string {
  const by = decision.policies.length > 0 ? ` [${decision.policies.map((id) => clean(id)).join(', ')}]` : '';
  return `${decision.effect === 'allow' ? 'allowed' : 'denied'}: ${clean(decision.reason)}${
    decision.reason.includes(decision.policies[0] ?? '\0') ? '' : by
  }`;
}

function decisionTone(decision: Decision): readonly [string, Tone] {
  return decision.effect === 'allow' ? ['·', 'quiet'] : ['!', 'bad'];
}

const until = (at: number | null): string => (at === null ? '' : `, until ${isoTime(at)}`);

const SPEAKERS: { readonly [T in EventType]: Speaker<T> } = {
  workflow_created: (e) => [
    '·',
    'quiet',
    `created from ${clean(e.template)} by ${clean(e.initiator.user)}${e.retryOf === null ? '' : `, goes on from ${e.retryOf}`}`,
  ],
  workflow_started: () => ['●', 'busy', 'started'],
  stage_carried_over: () => ['✓', 'good', 'taken over as completed'],
  workflow_waiting: () => ['?', 'wait', 'waits for an approval'],
  workflow_blocked: (e) => ['!', 'wait', `blocked at ${clean(e.stage)}: ${clean(e.block.message)}`],
  workflow_resumed: () => ['●', 'busy', 'goes on'],
  workflow_completed: () => ['✓', 'good', 'completed'],
  workflow_failed: () => ['✗', 'bad', 'failed'],
  workflow_cancelled: () => ['✗', 'bad', 'cancelled'],
  action_authorized: (e) => [
    ...decisionTone(e.decision),
    `${clean(e.action)} by ${clean(e.by.user)} ${decided(e.decision)}`,
  ],
  stage_authorized: (e) => [...decisionTone(e.decision), `${e.action} ${decided(e.decision)}`],
  approval_requested: (e) => ['?', 'wait', `approval wanted${until(e.deadlineAt)}`],
  approval_given: (e) => [
    '✓',
    'good',
    `approved by ${clean(e.by)}${e.comment === null ? '' : `: ${clean(e.comment)}`}`,
  ],
  approval_rejected: (e) => ['✗', 'bad', `rejected by ${clean(e.by)}: ${clean(e.reason)}`],
  approval_expired: (e) => ['!', 'wait', `nobody approved in time, which counts as ${e.outcome}`],
  stage_started: (e) => ['●', 'busy', `started${until(e.deadlineAt)}`],
  stage_blocked: (e) => ['!', 'wait', `blocked: ${clean(e.block.message)}`],
  budget_granted: (e) => ['·', 'quiet', `budget of the ${e.scope} granted again by ${clean(e.by)}`],
  stage_unblocked: () => ['·', 'quiet', 'looked at again'],
  stage_completed: () => ['✓', 'good', 'completed'],
  stage_failed: (e) => ['✗', 'bad', `failed: ${clean(e.error.message)}`],
  stage_skipped: () => ['-', 'quiet', 'skipped'],
  stage_reset: () => ['·', 'quiet', 'to run again'],
  task_dispatched: (e) => [
    '·',
    'quiet',
    `${task(e)} to ${clean(e.assignment.agent)} (score ${e.assignment.score.toFixed(2)}, ${count(e.assignment.candidates, 'candidate')})`,
  ],
  task_started: (e) => ['·', 'quiet', `${task(e)} started`],
  step_completed: (e) => ['·', 'quiet', `${task(e)} finished step ${clean(e.name)}`],
  task_completed: (e) => ['✓', 'quiet', `${task(e)} completed${made(e.artifacts)}`],
  task_failed: (e) => [
    '✗',
    'bad',
    `${task(e)} failed: ${clean(e.error.message)}${e.retryAt === null ? '' : `, again at ${isoTime(e.retryAt)}`}`,
  ],
  task_interrupted: (e) => ['!', 'wait', `${task(e)} interrupted: ${clean(e.reason)}`],
  task_cancelled: (e) => ['-', 'quiet', `${task(e)} cancelled`],
  late_result_ignored: (e) => ['-', 'quiet', `${task(e)} ${e.outcome} too late, ignored`],
  compensation_planned: (e) => ['↩', 'undo', planned(e)],
  compensation_started: () => ['↩', 'undo', 'being taken back'],
  stage_compensated: () => ['↩', 'undo', 'taken back'],
  compensation_dead_lettered: (e) => ['!', 'bad', `not taken back: ${clean(e.error.message)}`],
  dead_letter_retried: (e) => ['↩', 'undo', `dead letter tried again by ${clean(e.by)}`],
  dead_letter_resolved: (e) => ['↩', 'undo', `dead letter resolved by ${clean(e.by)}: ${clean(e.reason)}`],
  rollback_completed: (e) => ['↩', 'undo', `rolled back to ${clean(e.to)}, goes on from there`],
};

function made(artifacts: EventOf<'task_completed'>['artifacts']): string {
  if (artifacts.length === 0) return '';
  const [first] = artifacts;
  if (artifacts.length > 1 || first === undefined) return `, ${count(artifacts.length, 'artifact')}`;
  return `, made ${clean(first.name)} (${byteSize(first.size)})`;
}

function planned(event: EventOf<'compensation_planned'>): string {
  const undone = event.entries.filter((entry) => entry.skip === null).map((entry) => clean(entry.stage));
  const kept = event.entries.length - undone.length;
  const plan = undone.length === 0 ? 'nothing to take back' : `takes back ${undone.join(', ')}`;
  return `${plan}${kept === 0 ? '' : `; ${count(kept, 'stage')} kept`} (${clean(event.cause.message)})`;
}

export function eventWords(event: EventRecord): EventWords {
  const [glyph, tone, words] = speak(event);
  const subject = 'stage' in event && event.type !== 'workflow_blocked' ? clean(event.stage) : '';
  return { glyph, tone, subject, words };
}

/** The table has a speaker for exactly this type; the compiler can't follow the two being picked by one key. */
function speak<T extends EventType>(event: EventOf<T>): readonly [string, Tone, string] {
  const speaker: Speaker<T> = SPEAKERS[event.type as T];
  return speaker(event);
}
