import { describe, expect, it } from 'vitest';
import { type Case, make, testCases } from './cases.suite.js';
import { graph, Scenario, stage, template } from './scenario.suite.js';

const once = { maxAttempts: 1, initialMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0 };

const CASES: Case[] = [
  {
    name: 'runs stages one after the other',
    template: template(['a', 'b', 'c']),
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed c:completed',
      dispatched: 'do-a#1 do-b#1 do-c#1',
    },
  },
  {
    name: 'runs a diamond once what each stage needs is completed',
    template: graph([
      stage('a'),
      stage('b', { needs: ['a'] }),
      stage('c', { needs: ['a'] }),
      stage('d', { needs: ['b', 'c'] }),
    ]),
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed c:completed d:completed',
      dispatched: 'do-a#1 do-b#1 do-c#1 do-d#1',
    },
  },
  {
    name: 'runs the roles of a stage in order',
    template: template([stage('a', { agents: ['x', 'y', 'z'] })]),
    replies: { x: ['retry', 'ok'] },
    expect: { status: 'completed', stages: 'a:completed', dispatched: 'x#1 x#2 y#1 z#1' },
  },
  {
    name: 'tries again while the retry policy has attempts left',
    template: template(['a']),
    replies: { 'do-a': ['retry', 'retry', 'ok'] },
    expect: { status: 'completed', stages: 'a:completed', dispatched: 'do-a#1 do-a#2 do-a#3' },
  },
  {
    name: 'fails the stage when its attempts are used up',
    template: template(['a']),
    replies: { 'do-a': ['retry', 'retry', 'retry'] },
    expect: {
      status: 'failed',
      stages: 'a:failed/skipped',
      error: 'agent_failed',
      dispatched: 'do-a#1 do-a#2 do-a#3',
    },
  },
  {
    name: 'does not try a permanent failure again',
    template: template(['a']),
    replies: { 'do-a': ['fail'] },
    expect: { status: 'failed', stages: 'a:failed/skipped', error: 'agent_failed', dispatched: 'do-a#1' },
  },
  {
    name: 'does not count lost attempts against the retry policy',
    template: template([stage('a', { retry: once })]),
    replies: { 'do-a': ['lost', 'lost', 'ok'] },
    expect: { status: 'completed', stages: 'a:completed', dispatched: 'do-a#1 do-a#2 do-a#3' },
  },
  {
    name: 'blocks when nobody will ever serve a role, and goes on when told to look again',
    template: template(['a', 'b']),
    replies: { 'do-b': ['unserved'] },
    moves: [{ type: 'resume' }],
    expect: { status: 'completed', stages: 'a:completed b:completed', block: 'role_unserved' },
  },
  {
    name: 'blocks again when still nobody serves the role',
    template: template(['a']),
    replies: { 'do-a': ['unserved', 'unserved'] },
    moves: [{ type: 'resume' }],
    expect: { status: 'blocked', stages: 'a:running', block: 'role_unserved' },
  },
  {
    name: 'is retried in place where a role was unserved',
    template: template(['a']),
    replies: { 'do-a': ['unserved'] },
    moves: [{ type: 'retry' }],
    expect: { status: 'completed', stages: 'a:completed' },
  },
  {
    name: 'finishes independent stages while one waits for its role',
    template: graph([stage('a'), stage('b')]),
    replies: { 'do-a': ['unserved'] },
    expect: { status: 'blocked', stages: 'a:running b:completed' },
  },
];

describe('going forward', () => {
  testCases(CASES);

  it('keeps to max_parallel, and gives the next role its turn as one ends', () => {
    const run = new Scenario(
      template([stage('a', { agents: ['x', 'y', 'z'], parallel: true, maxParallel: 2 })]),
      {
        replies: { x: ['pause'], y: ['pause'], z: ['pause'] },
      },
    ).settle();
    const busy = () => run.effects.flatMap((effect) => (effect.type === 'execute' ? [effect.role] : []));
    expect(busy()).toEqual(['x', 'y']);
    run.answer('x', 'ok');
    run.settle();
    expect(busy()).toEqual(['y', 'z']);
    run.answer('z', 'ok');
    run.answer('y', 'ok');
    expect(run.state.status).toBe('completed');
  });

  it('lets a task that waits for its retry keep its place', () => {
    const run = new Scenario(template([stage('a', { agents: ['x', 'y'] })]), {
      replies: { x: ['retry'] },
    }).settle();
    expect(run.effects).toEqual([{ type: 'timer', at: run.now + 1_000 }]);
  });

  it('calls off what is in flight when another task of the stage fails for good', () => {
    const run = new Scenario(
      template([
        stage('a', { agents: ['x', 'y'], parallel: true, maxParallel: 2, compensateFailed: 'never' }),
      ]),
      {
        replies: { x: ['pause'], y: ['fail'] },
      },
    ).run();
    expect(run.seen('task_cancelled').map((event) => event.role)).toEqual(['x']);
    expect(run.state.status).toBe('failed');
  });

  it('is blocked by a missing role only once nothing else is under way', () => {
    const shape = template([stage('a', { agents: ['x', 'y'], parallel: true, maxParallel: 2 })]);
    const run = new Scenario(shape, { replies: { x: ['pause'], y: ['unserved'] } }).run();
    expect(run.state.status).toBe('active');
    run.answer('x', 'ok');
    expect(run.state.status).toBe('blocked');
  });

  it('looks for agents again by itself when one for the missing role arrives', () => {
    const run = new Scenario(template(['a']), { replies: { 'do-a': ['unserved'] } }).run();
    expect(run.send({ type: 'served', role: 'other' })).toEqual([]);
    const second = new Scenario(template(['a', 'b']), { replies: { 'do-b': ['unserved'] } }).run();
    expect(second.send({ type: 'served', role: 'do-b' }).map((event) => event.type)).toContain(
      'stage_unblocked',
    );
    run.send({ type: 'served', role: 'do-a' });
    expect(run.state.status).toBe('active');
    expect(run.run().state.status).toBe('completed');
    expect(run.send({ type: 'served', role: 'do-a' })).toEqual([]);
    const stopped = new Scenario(template(['a']), { replies: { 'do-a': ['unserved'] } }).run();
    make(stopped, { type: 'cancel', compensate: true });
    expect(stopped.send({ type: 'served', role: 'do-a' })).toEqual([]);
  });

  it('waits longer before each retry, up to the limit', () => {
    const retry = { maxAttempts: 5, initialMs: 1_000, maxMs: 3_000, factor: 2, jitter: 0 };
    const run = new Scenario(template([stage('a', { retry })]), {
      replies: { 'do-a': ['retry', 'retry', 'retry', 'ok'] },
    });
    const start = run.now;
    run.run();
    expect(run.seen('task_failed').map((event) => Number(event.retryAt) - start)).toEqual([
      1_000, 3_000, 6_000,
    ]);
  });
});
