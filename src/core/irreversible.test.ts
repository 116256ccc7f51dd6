import { describe, expect, it } from 'vitest';
import { type Case, make, play, stagesOf, testCases } from './cases.suite.js';
import { graph, Scenario, stage, template } from './scenario.suite.js';

const once = { maxAttempts: 1, initialMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0 };
const final = stage('b', { irreversible: true });
const PASSED = template(['a', final, 'c']);

const CASES: Case[] = [
  {
    name: 'is like any stage while nothing of it was dispatched',
    template: PASSED,
    denials: { b: 1 },
    moves: [{ type: 'cancel', compensate: true }],
    expect: { status: 'cancelled', stages: 'a:completed/compensated b:skipped c:skipped' },
  },
  {
    name: 'stops for an operator when a later stage fails, instead of going back',
    template: PASSED,
    replies: { 'do-c': ['fail'] },
    expect: {
      status: 'blocked',
      stages: 'a:completed b:completed c:failed',
      block: 'point_of_no_return',
      undone: '',
    },
  },
  {
    name: 'stops for an operator when it fails itself',
    template: PASSED,
    replies: { 'do-b': ['fail'] },
    expect: { status: 'blocked', stages: 'a:completed b:failed c:pending', block: 'point_of_no_return' },
  },
  {
    name: 'goes forward from the failed stage on retry, with attempts that number on',
    template: PASSED,
    replies: { 'do-c': ['fail', 'ok'] },
    moves: [{ type: 'retry' }],
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed c:completed',
      dispatched: 'do-a#1 do-b#1 do-c#1 do-c#2',
    },
  },
  {
    name: 'does not run again on retry what had completed in the failed stage',
    template: template([stage('a', { irreversible: true, agents: ['x', 'y', 'z'] })]),
    replies: { y: ['fail', 'ok'] },
    moves: [{ type: 'retry' }],
    expect: { status: 'completed', stages: 'a:completed', dispatched: 'x#1 y#1 y#2 z#1' },
  },
  {
    name: 'refuses to go back before it, also after a retry of the stage itself',
    template: template(['a', stage('b', { irreversible: true, approvalRequired: true })]),
    replies: { 'do-b': ['fail'] },
    moves: [
      { type: 'approve', stage: 'b', comment: null, digest: null },
      { type: 'cancel', compensate: true, refused: 'point_of_no_return' },
      { type: 'retry' },
      { type: 'cancel', compensate: true, refused: 'point_of_no_return' },
      { type: 'rollback', to: 'a', refused: 'point_of_no_return' },
      { type: 'rollback', to: null, refused: 'point_of_no_return' },
    ],
    expect: { status: 'waiting_approval', stages: 'a:completed b:waiting_approval' },
  },
  {
    name: 'can be stopped as it is',
    template: PASSED,
    replies: { 'do-c': ['fail'] },
    moves: [{ type: 'cancel', compensate: false }],
    expect: {
      status: 'cancelled',
      stages: 'a:completed/skipped b:completed/skipped c:failed/skipped',
      undone: '',
      skips: { c: 'none of its tasks completed' },
    },
  },
  {
    name: 'allows a rollback to itself or to what came after',
    template: template([final, 'c', stage('d', { approvalRequired: true })]),
    moves: [
      { type: 'rollback', to: 'c' },
      { type: 'rollback', to: 'b' },
    ],
    expect: {
      status: 'waiting_approval',
      stages: 'b:completed c:completed d:waiting_approval',
      undone: 'c',
    },
  },
  {
    name: 'refuses a rollback that would cross a second one',
    template: template([
      final,
      'c',
      stage('d', { irreversible: true }),
      stage('e', { approvalRequired: true }),
    ]),
    moves: [{ type: 'rollback', to: 'b', refused: 'point_of_no_return' }],
    expect: { status: 'waiting_approval', stages: 'b:completed c:completed d:completed e:waiting_approval' },
  },
  {
    name: 'takes back by rollback what a retried stage had done before it waited again',
    template: template([final, stage('c', { agents: ['x', 'y'], approvalRequired: true })]),
    replies: { y: ['fail'] },
    moves: [
      { type: 'approve', stage: 'c', comment: null, digest: null },
      { type: 'retry' },
      { type: 'rollback', to: 'b' },
    ],
    expect: { status: 'waiting_approval', stages: 'b:completed c:waiting_approval', undone: 'c' },
  },
  {
    name: 'is not undone by a denial where denials compensate',
    template: { ...PASSED, onDeny: 'compensate' },
    denials: { c: 1 },
    expect: { status: 'blocked', stages: 'a:completed b:completed c:failed', block: 'point_of_no_return' },
  },
  {
    name: 'is not undone by a rejection',
    template: template([final, stage('c', { approvalRequired: true })]),
    moves: [{ type: 'reject', stage: 'c', reason: 'no' }, { type: 'retry' }],
    expect: {
      status: 'waiting_approval',
      stages: 'b:completed c:waiting_approval',
      block: 'point_of_no_return',
    },
  },
  {
    name: 'lets what runs beside the failed stage finish, retries included, before it stops',
    template: graph([
      final,
      stage('c', { needs: ['b'] }),
      stage('d', { needs: ['b'] }),
      stage('e', { needs: ['d'] }),
    ]),
    replies: { 'do-c': ['pause'], 'do-d': ['pause'] },
    moves: [
      { type: 'answer', role: 'do-c', reply: 'fail' },
      { type: 'answer', role: 'do-d', reply: 'retry' },
    ],
    expect: { status: 'blocked', stages: 'b:completed c:failed d:completed e:pending' },
  },
  {
    name: 'limits what runs beside the failed stage by its own timeout',
    template: graph([
      final,
      stage('c', { needs: ['b'], retry: once }),
      stage('d', { needs: ['b'], timeoutMs: 9_000 }),
    ]),
    replies: { 'do-c': ['pause'], 'do-d': ['hang'] },
    moves: [{ type: 'answer', role: 'do-c', reply: 'fail' }],
    expect: { status: 'blocked', stages: 'b:completed c:failed d:failed' },
  },
];

describe('a point of no return', () => {
  testCases(CASES);

  it('is the reason also where the stage that fails had waited for a role that nobody serves', () => {
    const shape = template([final, stage('c', { timeoutMs: 5_000 })]);
    const run = play({ template: shape, replies: { 'do-c': ['unserved'] }, moves: [{ type: 'wait' }] });
    expect(stagesOf(run.state)).toBe('b:completed c:failed');
    expect(run.state.stages.map((item) => item.block?.code)).toEqual([undefined, 'point_of_no_return']);
  });

  it('keeps the idempotency key when the stage behind it is retried: its effect was not taken back', () => {
    const run = play({ template: PASSED, replies: { 'do-c': ['fail', 'ok'] }, moves: [{ type: 'retry' }] });
    const keys = run.seen('task_dispatched').filter((event) => event.stage === 'c');
    expect(keys.map((event) => event.idempotencyKey)).toEqual(['wf-1/c/do-c/execute', 'wf-1/c/do-c/execute']);
  });

  it('asks nothing and says nothing again while it waits for the operator', () => {
    const shape = graph([
      final,
      stage('c', { needs: ['b'] }),
      stage('d', { needs: ['b'] }),
      stage('e', { needs: ['d'] }),
    ]);
    const run = new Scenario(shape, { replies: { 'do-c': ['pause'], 'do-d': ['pause'] } }).run();
    run.answer('do-c', 'fail');
    run.answer('do-d', 'ok');
    expect(stagesOf(run.state)).toBe('b:completed c:failed d:completed e:pending');
    expect(run.effects).toEqual([]);
    make(run, { type: 'resume', denied: true });
    expect(run.events.slice(-2).map((event) => event.type)).toEqual([
      'workflow_blocked',
      'action_authorized',
    ]);
  });

  it('keeps the steps of the failed attempt for the retry', () => {
    const run = new Scenario(PASSED, { replies: { 'do-c': ['pause'] } }).run();
    const at = { stage: 'c', role: 'do-c', kind: 'execute', attempt: 1 } as const;
    run.send({ type: 'step', ...at, result: { name: 'upload', value: 1 } });
    run.answer('do-c', 'fail');
    make(run, { type: 'retry' });
    expect(run.state.stages[2]?.tasks[0]?.steps).toEqual([{ name: 'upload', value: 1 }]);
    expect(stagesOf(run.run().state)).toBe('a:completed b:completed c:completed');
  });

  it('stops the clock of the instance at the failure and starts it anew on retry where it is over', () => {
    const run = new Scenario(
      { ...PASSED, timeoutMs: 60_000 },
      { replies: { 'do-c': ['fail', 'fail'] } },
    ).run();
    expect(run.effects).toEqual([]);
    const deadlineAt = run.state.deadlineAt;
    make(run, { type: 'retry' });
    run.run();
    expect(run.state.deadlineAt).toBe(deadlineAt);
    run.now += 100_000;
    run.send({ type: 'tick' });
    expect(run.state.status).toBe('blocked');
    make(run, { type: 'retry' });
    expect(run.state.deadlineAt).toBe(run.now + 60_000);
    expect(run.run().state.status).toBe('completed');
  });
});
