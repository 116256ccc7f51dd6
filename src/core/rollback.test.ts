import { describe, expect, it } from 'vitest';
import { type Case, make, play, stagesOf, testCases } from './cases.suite.js';
import { graph, Scenario, stage, template } from './scenario.suite.js';

/** Waits for an approval before `d`, with `a`, `b` and `c` completed. */
const GATED = { template: template(['a', 'b', 'c', stage('d', { approvalRequired: true })]) };

const CASES: Case[] = [
  {
    name: 'takes everything back and ends cancelled',
    ...GATED,
    moves: [{ type: 'rollback', to: null }],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/compensated b:completed/compensated c:completed/compensated d:skipped',
      undone: 'c b a',
      error: 'rolled_back',
    },
  },
  {
    name: 'takes back what came after a stage and goes on from there',
    ...GATED,
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'approve', stage: 'd', comment: null, digest: null },
    ],
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed c:completed d:completed',
      undone: 'c b',
      dispatched: 'do-a#1 do-b#1 do-c#1 undo-c#1 undo-b#1 do-b#2 do-c#2 do-d#1',
    },
  },
  {
    name: 'has nothing to take back after the last completed stage, and asks for the approval again',
    ...GATED,
    moves: [{ type: 'rollback', to: 'c' }],
    expect: {
      status: 'waiting_approval',
      stages: 'a:completed b:completed c:completed d:waiting_approval',
      undone: '',
    },
  },
  {
    name: 'runs stages again that can not be taken back',
    template: template(['a', stage('b', { compensationAgents: [] }), stage('c', { approvalRequired: true })]),
    moves: [{ type: 'rollback', to: 'a' }],
    expect: {
      status: 'waiting_approval',
      stages: 'a:completed b:completed c:waiting_approval',
      dispatched: 'do-a#1 do-b#1 do-b#2',
    },
  },
  {
    name: 'blocks where something could not be taken back, and goes on once that is resolved',
    ...GATED,
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'resolve_letter', stage: 'b', reason: 'by hand' },
    ],
    expect: {
      status: 'waiting_approval',
      stages: 'a:completed b:completed c:completed d:waiting_approval',
      block: 'rollback_incomplete',
      undone: 'c',
    },
  },
  {
    name: 'blocks where something could not be taken back, and goes on once a retry has done it',
    ...GATED,
    replies: { 'undo-b': ['fail', 'fail', 'ok'], 'undo-c': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'retry_letter', stage: 'b' },
      { type: 'retry_letter', stage: 'c' },
      { type: 'retry_letter', stage: 'b' },
    ],
    expect: {
      status: 'waiting_approval',
      stages: 'a:completed b:completed c:completed d:waiting_approval',
      undone: 'c b',
    },
  },
  {
    name: 'refuses everything but its letters and a cancel while incomplete',
    ...GATED,
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'rollback', to: null, refused: 'not_rollbackable' },
      { type: 'retry', refused: 'not_rollbackable' },
      { type: 'approve', stage: 'd', comment: null, digest: null, refused: 'not_waiting' },
      { type: 'resume' },
    ],
    expect: {
      status: 'blocked',
      stages: 'a:completed b:completed/dead_lettered c:completed/compensated d:waiting_approval',
    },
  },
  {
    name: 'is cancelled while incomplete: the rest is taken back and the letter stays',
    ...GATED,
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'cancel', compensate: true },
    ],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/compensated b:completed/dead_lettered c:completed/compensated d:skipped',
      undone: 'c a',
      error: 'cancelled',
    },
  },
  {
    name: 'is cancelled while incomplete without taking back the rest',
    ...GATED,
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'cancel', compensate: false },
    ],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/skipped b:completed/dead_lettered c:completed/compensated d:skipped',
      undone: 'c',
      skips: { a: 'cancelled without compensation' },
    },
  },
  {
    name: 'refuses a stage that is unknown or not completed',
    ...GATED,
    moves: [
      { type: 'rollback', to: 'd', refused: 'not_rollbackable' },
      { type: 'rollback', to: 'z', refused: 'stage_unknown' },
    ],
    expect: { status: 'waiting_approval', stages: 'a:completed b:completed c:completed d:waiting_approval' },
  },
  {
    name: 'refuses once the instance has ended',
    template: template(['a']),
    moves: [
      { type: 'rollback', to: 'a', refused: 'instance_ended' },
      { type: 'cancel', compensate: true, refused: 'instance_ended' },
      { type: 'retry', refused: 'not_retryable' },
    ],
    expect: { status: 'completed', stages: 'a:completed' },
  },
  {
    name: 'refuses a second cancel while the first is taken back',
    ...GATED,
    replies: { 'undo-c': ['pause'] },
    moves: [
      { type: 'cancel', compensate: true },
      { type: 'cancel', compensate: true, refused: 'not_rollbackable' },
      { type: 'cancel', compensate: false, refused: 'not_rollbackable' },
      { type: 'answer', role: 'undo-c', reply: 'ok' },
    ],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/compensated b:completed/compensated c:completed/compensated d:skipped',
      error: 'cancelled',
    },
  },
  {
    name: 'stops as it is on a cancel without compensation, and says so stage by stage',
    template: template([stage('a', { compensationAgents: [] }), 'b', 'c']),
    replies: { 'do-c': ['pause'] },
    moves: [{ type: 'cancel', compensate: false }],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/skipped b:completed/skipped c:failed/skipped',
      undone: '',
      skips: {
        a: 'names no compensation agents',
        b: 'cancelled without compensation',
        c: 'none of its tasks completed',
      },
    },
  },
  {
    name: 'asks the policy again about a denied stage after a partial rollback',
    template: graph([stage('a'), stage('b', { needs: ['a'] }), stage('c')]),
    denials: { c: 1 },
    moves: [{ type: 'rollback', to: 'a' }],
    expect: { status: 'completed', stages: 'a:completed b:completed c:completed', undone: 'b' },
  },
];

describe('a rollback', () => {
  testCases(CASES);

  it('runs stages anew under another idempotency key, since it is another effect', () => {
    const run = play({ ...GATED, moves: [{ type: 'rollback', to: 'b' }] });
    make(run, { type: 'rollback', to: 'b' });
    run.run();
    const keys = run.seen('task_dispatched').filter((event) => event.stage === 'c');
    expect(keys.map((event) => event.idempotencyKey)).toEqual([
      'wf-1/c/do-c/execute',
      'wf-1/c/undo-c/compensate',
      'wf-1/c/do-c/execute/2',
      'wf-1/c/undo-c/compensate/2',
      'wf-1/c/do-c/execute/3',
    ]);
  });

  it('counts the attempts of each compensation role on, from run to run', () => {
    const shape = template([
      'a',
      stage('b', { compensationAgents: ['u', 'v'] }),
      stage('c', { approvalRequired: true }),
    ]);
    const back = { type: 'rollback', to: 'a' } as const;
    const run = play({ template: shape, replies: { u: ['retry'] }, moves: [back, back] });
    const attempts = run.seen('task_dispatched').filter(({ kind }) => kind === 'compensate');
    expect(attempts.map(({ role, attempt }) => `${role}#${attempt}`)).toEqual([
      'u#1',
      'u#2',
      'v#1',
      'u#3',
      'v#2',
    ]);
  });

  it('resets what waits or failed, asks again for what is denied, and leaves everything else alone', () => {
    const shape = graph([
      stage('a'),
      stage('b', { needs: ['a'], approvalRequired: true }),
      stage('c', { needs: ['a'] }),
      stage('d', { needs: ['b', 'c'] }),
    ]);
    const run = play({ template: shape, denials: { c: 1 } });
    const before = run.events.length;
    make(run, { type: 'rollback', to: 'a' });
    const texts = run.events
      .slice(before)
      .map((event) => ('stage' in event ? `${event.type} ${event.stage}` : event.type));
    expect(texts).toEqual([
      'action_authorized',
      'compensation_planned',
      'stage_reset b',
      'stage_unblocked c',
      'rollback_completed',
      'approval_requested b',
    ]);
  });

  it('runs a stage again that failed before it began', () => {
    const shape = template([stage('a', { irreversible: true }), stage('b', { approvalRequired: true })]);
    const run = play({
      template: shape,
      moves: [
        { type: 'reject', stage: 'b', reason: 'not like this' },
        { type: 'rollback', to: 'a' },
      ],
    });
    expect(stagesOf(run.state)).toBe('a:completed b:waiting_approval');
    expect(run.seen('stage_reset').map((event) => event.stage)).toEqual(['b']);
  });

  it('does not take the late result of an earlier run for one of the new run', () => {
    const shape = template(['a', stage('b', { compensationAgents: [] })]);
    const run = new Scenario(shape, { replies: { 'do-b': ['pause', 'pause'] } }).run();
    make(run, { type: 'rollback', to: 'a' });
    run.run();
    const events = run.send({
      type: 'succeeded',
      stage: 'b',
      role: 'do-b',
      kind: 'execute',
      attempt: 1,
      artifacts: [],
      output: null,
      log: null,
    });
    expect(events.map((event) => event.type)).toEqual(['late_result_ignored']);
    expect(stagesOf(run.state)).toBe('a:completed b:running');
  });

  it('does not count the time that it takes against the deadline of the instance', () => {
    const shape = template(['a', 'b', stage('c', { approvalRequired: true })], { timeoutMs: 60_000 });
    const run = new Scenario(shape, { replies: { 'undo-b': ['pause'] } }).run();
    const deadlineAt = Number(run.state.deadlineAt);
    make(run, { type: 'rollback', to: 'a' });
    run.settle();
    run.now += 4_000;
    run.answer('undo-b', 'ok');
    expect(run.state.deadlineAt).toBe(deadlineAt + 4_000);
  });
});
