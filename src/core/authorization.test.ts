import { describe, expect, it } from 'vitest';
import { type Case, make, play, testCases } from './cases.suite.js';
import { denied } from './decide.js';
import { WISH_ACTIONS } from './inputs.js';
import { ALLOW, ANN, DENY, graph, Scenario, stage, template } from './scenario.suite.js';

const final = stage('b', { irreversible: true });

const CASES: Case[] = [
  {
    name: 'blocks at a denied stage by default',
    template: template(['a', 'b']),
    denials: { b: 1 },
    expect: { status: 'blocked', stages: 'a:completed b:pending', block: 'denied', dispatched: 'do-a#1' },
  },
  {
    name: 'asks again on resume, and goes on when the answer has changed',
    template: template(['a', 'b']),
    denials: { b: 2 },
    moves: [{ type: 'resume' }, { type: 'resume' }],
    expect: { status: 'completed', stages: 'a:completed b:completed' },
  },
  {
    name: 'asks again on retry',
    template: template(['a', 'b']),
    denials: { b: 1 },
    moves: [{ type: 'retry' }],
    expect: { status: 'completed', stages: 'a:completed b:completed' },
  },
  {
    name: 'takes everything back at a denied stage where so configured',
    template: template(['a', 'b', 'c'], { onDeny: 'compensate' }),
    denials: { b: 1 },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed c:skipped',
      undone: 'a',
      error: 'unauthorized',
    },
  },
  {
    name: 'lets independent stages finish beside a denied one',
    template: graph([stage('a'), stage('b'), stage('c', { needs: ['b'] })]),
    denials: { a: 1 },
    expect: { status: 'blocked', stages: 'a:pending b:completed c:completed' },
  },
  {
    name: 'can be cancelled and taken back while blocked',
    template: template(['a', 'b']),
    denials: { b: 1 },
    moves: [{ type: 'cancel', compensate: true }],
    expect: { status: 'cancelled', stages: 'a:completed/compensated b:skipped', error: 'cancelled' },
  },
  {
    name: 'changes nothing on a denied wish',
    template: template(['a', 'b']),
    denials: { b: 1 },
    moves: [
      { type: 'resume', denied: true },
      { type: 'cancel', compensate: true, denied: true },
      { type: 'rollback', to: null, denied: true },
      { type: 'retry', denied: true },
    ],
    expect: { status: 'blocked', stages: 'a:completed b:pending' },
  },
  {
    name: 'changes nothing on a resume where nothing is blocked',
    template: template(['a', stage('b', { approvalRequired: true })]),
    moves: [{ type: 'resume' }, { type: 'retry', refused: 'not_retryable' }],
    expect: { status: 'waiting_approval', stages: 'a:completed b:waiting_approval' },
  },
];

describe('authorization', () => {
  testCases(CASES);

  it('is asked for two actions before a point of no return that nobody approves', () => {
    const run = new Scenario(template(['a', final])).run();
    const asked = run.seen('stage_authorized').map((event) => `${event.stage} ${event.action}`);
    expect(asked).toEqual(['a execute-stage', 'b execute-stage', 'b pass-point-of-no-return']);
  });

  it('is asked for both actions again after a denial of the second', () => {
    const run = new Scenario(template([final]));
    const answer = { type: 'authorization', stage: 'b' } as const;
    run.send({ ...answer, action: 'execute-stage', decision: ALLOW });
    run.send({ ...answer, action: 'pass-point-of-no-return', decision: DENY });
    expect(run.state.status).toBe('blocked');
    expect(run.effects).toEqual([]);
    make(run, { type: 'resume' });
    expect(run.effects).toEqual([{ type: 'authorize', stage: 'b', action: 'execute-stage' }]);
  });

  it('is not asked for while something is taken back', () => {
    const shape = graph([stage('a'), stage('b', { needs: ['a'] }), stage('c')]);
    const run = play({ template: shape, denials: { c: 1 }, replies: { 'undo-b': ['pause'] } });
    make(run, { type: 'resume' });
    expect(run.effects.map((effect) => effect.type)).toEqual(['authorize']);
    make(run, { type: 'rollback', to: 'a' });
    expect(run.effects.map((effect) => effect.type)).toEqual(['assign']);
  });

  it('is asked for one action where a person has approved the point of no return', () => {
    const gated = { ...final, approvalRequired: true };
    const run = play({
      template: template(['a', gated]),
      moves: [{ type: 'approve', stage: 'b', comment: null, digest: null }],
    });
    const asked = run.seen('stage_authorized').map((event) => `${event.stage} ${event.action}`);
    expect(asked).toEqual(['a execute-stage', 'b execute-stage']);
  });

  it('records every decision, also on wishes, with who asked', () => {
    const run = play({ template: template(['a']), denials: { a: 1 } });
    make(run, { type: 'resume', denied: true });
    expect(run.seen('stage_authorized').map((event) => event.decision)).toEqual([DENY]);
    expect(run.seen('action_authorized')).toEqual([
      { type: 'action_authorized', action: WISH_ACTIONS.resume, by: ANN, decision: DENY },
    ]);
  });

  it('is not asked again for an instance that has ended', () => {
    const run = play({
      template: template(['a']),
      denials: { a: 1 },
      moves: [{ type: 'cancel', compensate: true }],
    });
    const { stages } = run.state;
    expect(stages[0]?.block?.code).toBe('denied');
    make(run, { type: 'resume' });
    expect(run.state.stages).toEqual(stages);
  });

  it('ignores answers to questions that are no longer open', () => {
    const run = new Scenario(template(['a', 'b']), { replies: { 'do-a': ['pause'] } }).run();
    const answer = { type: 'authorization', decision: ALLOW } as const;
    expect(run.send({ ...answer, stage: 'a', action: 'execute-stage' })).toEqual([]);
    expect(run.send({ ...answer, stage: 'b', action: 'execute-stage' })).toEqual([]);
    expect(run.send({ ...answer, stage: 'nowhere', action: 'execute-stage' })).toEqual([]);
    const fresh = new Scenario(template(['a']));
    expect(fresh.send({ ...answer, stage: 'a', action: 'pass-point-of-no-return' })).toEqual([]);
  });

  it('tells the caller why a wish is denied', () => {
    const error = denied('cancel-workflow', DENY);
    expect(error.code).toBe('unauthorized');
    expect(error.message).toBe('`cancel-workflow` is denied: no permit matched');
  });
});
