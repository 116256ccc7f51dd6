import { describe, expect, it } from 'vitest';
import { approvalDigest, isApproved } from './approval.js';
import { type Case, make, play, testCases } from './cases.suite.js';
import { findStage } from './instance.js';
import { artifact, digestOf, graph, Scenario, stage, template } from './scenario.suite.js';

const GATED = { template: template(['a', stage('b', { approvalRequired: true }), 'c']) };
const approve = { type: 'approve', stage: 'b', comment: null, digest: null } as const;
const reject = { type: 'reject', stage: 'b', reason: 'too risky' } as const;

function limited(onApprovalTimeout: 'approve' | 'reject') {
  return template([
    'a',
    stage('b', { approvalRequired: true, approvalTimeoutMs: 60_000, onApprovalTimeout }),
  ]);
}

const CASES: Case[] = [
  {
    name: 'is waited for before anything of the stage is dispatched',
    ...GATED,
    expect: {
      status: 'waiting_approval',
      stages: 'a:completed b:waiting_approval c:pending',
      dispatched: 'do-a#1',
    },
  },
  {
    name: 'lets the instance go on',
    ...GATED,
    moves: [approve],
    expect: { status: 'completed', stages: 'a:completed b:completed c:completed' },
  },
  {
    name: 'lets the policy have the last word',
    ...GATED,
    denials: { b: 1 },
    moves: [approve],
    expect: { status: 'blocked', stages: 'a:completed b:pending c:pending', block: 'denied' },
  },
  {
    name: 'is given once',
    ...GATED,
    replies: { 'do-b': ['pause'] },
    moves: [approve, { ...approve, refused: 'not_waiting' }, { ...reject, refused: 'not_waiting' }],
    expect: { status: 'active', stages: 'a:completed b:running c:pending' },
  },
  {
    name: 'is refused where nothing waits, after the end, and for what is unknown',
    template: template(['a']),
    moves: [
      { ...approve, stage: 'a', refused: 'instance_ended' },
      { ...reject, stage: 'a', refused: 'instance_ended' },
      { ...approve, stage: 'b', refused: 'stage_unknown' },
    ],
    expect: { status: 'completed', stages: 'a:completed' },
  },
  {
    name: 'is refused for what has changed since it was looked at',
    ...GATED,
    moves: [{ ...approve, digest: digestOf('something else'), refused: 'approval_drifted' }],
    expect: { status: 'waiting_approval', stages: 'a:completed b:waiting_approval c:pending' },
  },
  {
    name: 'changes nothing where policy denies the person',
    ...GATED,
    moves: [
      { ...approve, denied: true },
      { ...reject, denied: true },
    ],
    expect: { status: 'waiting_approval', stages: 'a:completed b:waiting_approval c:pending' },
  },
  {
    name: 'takes everything back when rejected',
    ...GATED,
    moves: [reject],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed c:skipped',
      undone: 'a',
      error: 'approval_rejected',
    },
  },
  {
    name: 'takes everything back when nobody gives it in time',
    template: limited('reject'),
    moves: [{ type: 'wait' }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed',
      error: 'approval_timeout',
    },
  },
  {
    name: 'goes on when nobody answers in time, where that is the configured outcome',
    template: limited('approve'),
    moves: [{ type: 'wait' }, { ...approve, refused: 'instance_ended' }],
    expect: { status: 'completed', stages: 'a:completed b:completed' },
  },
  {
    name: 'does not hold up independent stages',
    template: graph([stage('a', { approvalRequired: true }), stage('b'), stage('c', { needs: ['a', 'b'] })]),
    expect: { status: 'waiting_approval', stages: 'a:waiting_approval b:completed c:pending' },
  },
];

describe('an approval', () => {
  testCases(CASES);

  it('records who, when, what and why', () => {
    const run = new Scenario(GATED.template).run();
    const asked = run.seen('approval_requested')[0];
    run.now += 10_000;
    make(run, { ...approve, comment: 'looks good', digest: asked?.digest ?? null });
    expect(findStage(run.state, 'b')?.approval).toEqual({
      status: 'approved',
      requestedAt: run.now - 10_000,
      deadlineAt: null,
      digest: asked?.digest,
      by: 'ann',
      decidedAt: run.now,
      comment: 'looks good',
    });
  });

  it('names who has given it to who comes too late', () => {
    const run = play({ ...GATED, replies: { 'do-b': ['pause'] }, moves: [approve] });
    expect(() => run.send({ ...approve, by: { user: 'bob', groups: [] }, decision: ALLOWED })).toThrow(
      'stage `b` is running (approved by `ann`), not waiting for an approval',
    );
    const late = play({
      template: limited('approve'),
      replies: { 'do-b': ['pause'] },
      moves: [{ type: 'wait' }],
    });
    expect(() => late.send({ ...approve, by: { user: 'bob', groups: [] }, decision: ALLOWED })).toThrow(
      'stage `b` is running (approved by `its time limit`), not waiting for an approval',
    );
  });

  it('is asked for again when what was approved is not what there is after a rollback', () => {
    const shape = template(['a', 'b', stage('c', { approvalRequired: true })]);
    const wish = { ...approve, stage: 'c' };
    const run = play({ template: shape, denials: { c: 1 }, moves: [wish] });
    expect(run.state.status).toBe('blocked');
    make(run, { type: 'rollback', to: 'a' });
    run.run();
    const digests = run.seen('approval_requested').map((event) => event.digest);
    expect(run.state.status).toBe('waiting_approval');
    expect(new Set(digests).size).toBe(2);
  });

  it('still holds after a rollback that made the same again', () => {
    const shape = graph([
      stage('a'),
      stage('b', { needs: ['a'] }),
      stage('c', { needs: ['a'], approvalRequired: true }),
    ]);
    const wish = { ...approve, stage: 'c' };
    const run = play({ template: shape, denials: { c: 1 }, moves: [wish, { type: 'rollback', to: 'a' }] });
    expect(run.state.status).toBe('completed');
    expect(run.seen('approval_requested')).toHaveLength(1);
  });

  it('covers the template, the stage, the input and all artifacts before, and nothing else', () => {
    const run = new Scenario(GATED.template).run();
    const { state, moment, template: shape } = run;
    const digest = approvalDigest(shape, state, 'b', moment);
    const other = { ...state, input: { digest: digestOf('other'), size: 1 } };
    const [a, ...rest] = state.stages;
    const task = a?.tasks[0];
    if (a === undefined || task === undefined) throw new Error('a has a task');
    const remade = { ...a, tasks: [{ ...task, artifacts: [artifact('other')] }] };
    const digests = [
      approvalDigest({ ...shape, hash: digestOf('v2') }, state, 'b', moment),
      approvalDigest(shape, state, 'c', moment),
      approvalDigest(shape, other, 'b', moment),
      approvalDigest(shape, { ...state, stages: [remade, ...rest] }, 'b', moment),
    ];
    expect(new Set([digest, ...digests]).size).toBe(5);
    expect(approvalDigest(shape, { ...state, updatedAt: 0 }, 'b', moment)).toBe(digest);
    const waiting = findStage(state, 'b');
    expect(waiting && isApproved(waiting, digest)).toBe(false);
  });
});

const ALLOWED = { effect: 'allow', policies: [], reason: '', errors: [], policySet: null } as const;
