import { describe, expect, it } from 'vitest';
import type { EventType, WorkflowEvent } from '../core/events.js';
import { asDigest, asInstanceId } from '../core/names.js';
import { eventWords } from './event-words.js';

const BAD = 'x\u001b[2J\u0007\u202e\ny';
const digest = asDigest('0'.repeat(64));
const id = asInstanceId('i1');
const error = { code: 'task_failed', message: BAD } as const;
const block = { code: 'denied', message: BAD } as const;
const decision = { effect: 'deny', policies: [BAD], reason: BAD, errors: [BAD], policySet: null } as const;
const by = { user: BAD, groups: [BAD] };
const at = { stage: BAD, role: BAD, kind: 'compensate', attempt: 2 } as const;
const artifact = { name: BAD, kind: BAD, digest, size: 2_048 };

/** One of each, with hostile text wherever text may be. */
const EVENTS: { readonly [T in EventType]: Extract<WorkflowEvent, { type: T }> } = {
  workflow_created: {
    type: 'workflow_created',
    template: BAD,
    templateHash: digest,
    input: { digest, size: 2 },
    initiator: by,
    labels: [[BAD, BAD]],
    deadlineAt: null,
    retryOf: id,
    decision,
  },
  workflow_started: { type: 'workflow_started' },
  stage_carried_over: { type: 'stage_carried_over', stage: BAD, artifacts: [] },
  workflow_waiting: { type: 'workflow_waiting' },
  workflow_blocked: { type: 'workflow_blocked', stage: BAD, block },
  workflow_resumed: { type: 'workflow_resumed', deadlineAt: null },
  workflow_completed: { type: 'workflow_completed' },
  workflow_failed: { type: 'workflow_failed' },
  workflow_cancelled: { type: 'workflow_cancelled' },
  action_authorized: { type: 'action_authorized', action: BAD, by, decision },
  stage_authorized: { type: 'stage_authorized', stage: BAD, action: 'execute-stage', decision },
  approval_requested: { type: 'approval_requested', stage: BAD, digest, deadlineAt: 0 },
  approval_given: { type: 'approval_given', stage: BAD, by: BAD, comment: BAD, digest },
  approval_rejected: { type: 'approval_rejected', stage: BAD, by: BAD, reason: BAD },
  approval_expired: { type: 'approval_expired', stage: BAD, outcome: 'reject' },
  stage_started: { type: 'stage_started', stage: BAD, deadlineAt: 0 },
  stage_blocked: { type: 'stage_blocked', stage: BAD, block },
  budget_granted: { type: 'budget_granted', stage: BAD, scope: 'stage', grants: 1, by: BAD },
  stage_unblocked: { type: 'stage_unblocked', stage: BAD },
  stage_completed: { type: 'stage_completed', stage: BAD },
  stage_failed: { type: 'stage_failed', stage: BAD, error },
  stage_skipped: { type: 'stage_skipped', stage: BAD },
  stage_reset: { type: 'stage_reset', stage: BAD },
  task_dispatched: {
    type: 'task_dispatched',
    ...at,
    assignment: { agent: BAD, score: 0.5, successRate: 0.5, load: 0, candidates: 1 },
    idempotencyKey: BAD,
    deadlineAt: null,
  },
  task_started: { type: 'task_started', ...at },
  step_completed: { type: 'step_completed', ...at, name: BAD, value: null },
  task_completed: { type: 'task_completed', ...at, artifacts: [artifact], output: null, log: null },
  task_failed: { type: 'task_failed', ...at, error, retryAt: 0, log: null },
  task_interrupted: { type: 'task_interrupted', ...at, reason: BAD },
  task_cancelled: { type: 'task_cancelled', ...at },
  late_result_ignored: { type: 'late_result_ignored', ...at, outcome: 'completed' },
  compensation_planned: {
    type: 'compensation_planned',
    target: { end: 'failed' },
    cause: error,
    entries: [
      { stage: BAD, skip: null },
      { stage: BAD, skip: BAD },
    ],
    by: BAD,
  },
  compensation_started: { type: 'compensation_started', stage: BAD },
  stage_compensated: { type: 'stage_compensated', stage: BAD },
  compensation_dead_lettered: { type: 'compensation_dead_lettered', stage: BAD, error },
  dead_letter_retried: { type: 'dead_letter_retried', stage: BAD, by: BAD },
  dead_letter_resolved: { type: 'dead_letter_resolved', stage: BAD, by: BAD, reason: BAD },
  rollback_completed: { type: 'rollback_completed', to: BAD },
};

const words = (event: WorkflowEvent) => eventWords({ seq: 1, at: 0, workflow_id: id, ...event });

describe('eventWords', () => {
  it.each(Object.values(EVENTS))('says $type in words that are safe to show', (event) => {
    const { glyph, subject, words: text } = words(event);
    expect(`${glyph}${subject}${text}`).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text).not.toMatch(/undefined|null|\[object/);
    expect(text).not.toBe('');
    if ('stage' in event && event.type !== 'workflow_blocked') expect(subject).not.toBe('');
  });

  it('names what matters', () => {
    expect(
      words({ ...EVENTS.task_failed, error: { code: 'task_failed', message: 'it broke' } }).words,
    ).toMatch(/^undo by .* \(attempt 2\) failed: it broke, again at 1970-01-01T00:00:00\.000Z$/);
    expect(words(EVENTS.task_completed).words).toContain('(2.0 KiB)');
    const planned = { ...EVENTS.compensation_planned, entries: [{ stage: 'a', skip: 'no agents' }] };
    expect(words(planned).words).toMatch(/^nothing to take back; 1 stage kept/);
    const denied = { ...decision, policies: ['no-friday'], reason: 'forbidden by `no-friday`' };
    expect(words({ ...EVENTS.stage_authorized, decision: denied }).words).toBe(
      'execute-stage denied: forbidden by `no-friday`',
    );
  });
});
