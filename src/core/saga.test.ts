import { describe, expect, it } from 'vitest';
import { type Case, play, stagesOf, testCases } from './cases.suite.js';
import { graph, Scenario, stage, template } from './scenario.suite.js';

const two = { agents: ['x', 'y'] };

const CASES: Case[] = [
  {
    name: 'takes completed stages back in the exact reverse of their completion',
    template: template(['a', 'b', 'c', 'd']),
    replies: { 'do-d': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/compensated c:completed/compensated d:failed/skipped',
      undone: 'c b a',
      error: 'agent_failed',
      skips: { d: 'none of its tasks completed' },
    },
  },
  {
    name: 'records why a stage is not taken back, and skips what never started',
    template: template([stage('a', { compensationAgents: [] }), 'b', 'c']),
    replies: { 'do-b': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/skipped b:failed/skipped c:skipped',
      undone: '',
      skips: { a: 'names no compensation agents', b: 'none of its tasks completed' },
    },
  },
  {
    name: 'takes the failed stage back where one of its tasks completed',
    template: template(['a', stage('b', two)]),
    replies: { y: ['fail'] },
    expect: { status: 'failed', stages: 'a:completed/compensated b:failed/compensated', undone: 'b a' },
  },
  {
    name: 'leaves the failed stage alone where compensate_failed is `never`',
    template: template(['a', stage('b', { ...two, compensateFailed: 'never' })]),
    replies: { y: ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/skipped',
      undone: 'a',
      skips: { b: 'not completed, and compensate_failed is `never`' },
    },
  },
  {
    name: 'takes the failed stage back where compensate_failed is `always`',
    template: template(['a', stage('b', { compensateFailed: 'always' })]),
    replies: { 'do-b': ['fail'] },
    expect: { status: 'failed', stages: 'a:completed/compensated b:failed/compensated', undone: 'b a' },
  },
  {
    name: 'runs the compensation roles of a stage in the order written',
    template: template([stage('a', { compensationAgents: ['p', 'q'] }), 'b']),
    replies: { 'do-b': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/skipped',
      dispatched: 'do-a#1 do-b#1 p#1 q#1',
    },
  },
  {
    name: 'gives compensations attempts of their own',
    template: template(['a', 'b']),
    replies: { 'do-a': ['retry', 'retry', 'ok'], 'do-b': ['fail'], 'undo-a': ['retry', 'ok'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/skipped',
      dispatched: 'do-a#1 do-a#2 do-a#3 do-b#1 undo-a#1 undo-a#2',
    },
  },
  {
    name: 'does not count lost compensation attempts',
    template: template(['a', 'b']),
    replies: { 'do-b': ['fail'], 'undo-a': ['lost', 'lost', 'retry', 'ok'] },
    expect: { status: 'failed', stages: 'a:completed/compensated b:failed/skipped' },
  },
  {
    name: 'dead-letters a compensation whose attempts are used up and goes on with the rest',
    template: template(['a', 'b', 'c']),
    replies: { 'do-c': ['fail'], 'undo-b': ['retry', 'retry'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/dead_lettered c:failed/skipped',
      undone: 'a',
      skips: { b: 'undo-b failed' },
    },
  },
  {
    name: 'dead-letters a compensation that nobody serves, and the rest goes on',
    template: template(['a', 'b', 'c']),
    replies: { 'do-c': ['fail'], 'undo-b': ['unserved', 'unserved'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/dead_lettered c:failed/skipped',
      skips: { b: 'no agent serves role `undo-b` of stage `b`' },
    },
  },
  {
    name: 'gives up a compensation attempt that takes too long',
    template: template(['a', 'b']),
    replies: { 'do-b': ['fail'], 'undo-a': ['hang', 'hang'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/dead_lettered b:failed/skipped',
      skips: { a: 'compensation of stage `a` was not done in time' },
    },
  },
  {
    name: 'takes back the later written first of several that did not complete',
    template: graph([stage('a', two), stage('b', { agents: ['v', 'w'] }), stage('c')]),
    replies: { y: ['pause'], w: ['pause'], 'do-c': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:failed/compensated b:failed/compensated c:failed/skipped',
      undone: 'b a',
    },
  },
  {
    name: 'takes back what runs beside the failed stage',
    template: graph([stage('a'), stage('b', two), stage('c', { needs: ['a'] })]),
    replies: { y: ['pause'], 'do-c': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/compensated c:failed/skipped',
      undone: 'b a',
      error: 'agent_failed',
    },
  },
];

describe('the saga', () => {
  testCases(CASES);

  it('says of an attempt that nobody serves, and of a stage that ran beside the failed one, why it failed', () => {
    const unserved = new Scenario(template(['a', 'b']), {
      replies: { 'do-b': ['fail'], 'undo-a': ['unserved', 'unserved'] },
    }).run();
    expect(unserved.seen('task_failed').map(({ error }) => error.code)).toEqual([
      'agent_failed',
      'role_unserved',
      'role_unserved',
    ]);
    const beside = graph([stage('a'), stage('b')]);
    const aborted = new Scenario(beside, { replies: { 'do-a': ['pause'], 'do-b': ['fail'] } }).run();
    expect(aborted.seen('stage_failed').map(({ stage, error }) => [stage, error])).toEqual([
      ['b', { code: 'agent_failed', message: 'do-b failed' }],
      ['a', { code: 'stage_aborted', message: 'aborted: do-b failed' }],
    ]);
  });

  it('plans the way back in the very decision that fails the stage', () => {
    const run = new Scenario(template(['a', 'b']), { replies: { 'do-b': ['pause'] } }).run();
    const events = run.answer('do-b', 'fail').map((event) => event.type);
    expect(events).toEqual(['task_failed', 'stage_failed', 'compensation_planned', 'compensation_started']);
  });

  it('lets independent compensations go side by side, each after those that build upon it', () => {
    const shape = graph(
      [
        stage('a'),
        stage('b', { needs: ['a'] }),
        stage('c', { needs: ['a'] }),
        stage('d', { needs: ['b', 'c'] }),
        stage('e', { needs: ['d'] }),
      ],
      { sagaParallelism: 2 },
    );
    const run = new Scenario(shape, {
      replies: { 'do-e': ['fail'], 'undo-b': ['pause'], 'undo-c': ['pause'], 'undo-d': ['pause'] },
    }).run();
    const started = () => run.seen('compensation_started').map((event) => event.stage);
    expect(started()).toEqual(['d']);
    run.answer('undo-d', 'ok');
    run.settle();
    expect(started()).toEqual(['d', 'c', 'b']);
    run.answer('undo-c', 'ok');
    run.settle();
    expect(started()).toEqual(['d', 'c', 'b']);
    run.answer('undo-b', 'ok');
    expect(run.run().state.status).toBe('failed');
    expect(started()).toEqual(['d', 'c', 'b', 'a']);
  });

  it('keeps to saga_parallelism', () => {
    const shape = graph([stage('a'), stage('b'), stage('c'), stage('d', { needs: ['a', 'b', 'c'] })], {
      sagaParallelism: 2,
    });
    const replies = { 'do-d': ['fail'], 'undo-b': ['pause'], 'undo-c': ['pause'] } as const;
    const run = new Scenario(shape, { replies }).run();
    expect(run.seen('compensation_started').map((event) => event.stage)).toEqual(['c', 'b']);
  });

  it('says for each compensation attempt when it is given up, and uses a stable key', () => {
    const run = play({
      template: template(['a', 'b']),
      replies: { 'do-b': ['fail'], 'undo-a': ['retry', 'ok'] },
    });
    const undo = run.seen('task_dispatched').filter((event) => event.kind === 'compensate');
    expect(undo.map((event) => event.idempotencyKey)).toEqual([
      'wf-1/a/undo-a/compensate',
      'wf-1/a/undo-a/compensate',
    ]);
    expect(Number(undo[1]?.deadlineAt) - Number(undo[0]?.deadlineAt)).toBe(1_000);
    expect(stagesOf(run.state)).toBe('a:completed/compensated b:failed/skipped');
  });
});
