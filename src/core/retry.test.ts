import { describe, expect, it } from 'vitest';
import { type Case, play, testCases } from './cases.suite.js';
import { carriedOver, refuseUnlessRetryable } from './retry.js';
import { digestOf, Scenario, type Script, stage, template } from './scenario.suite.js';

const SHAPE = template([stage('a', { compensationAgents: [] }), 'b', 'c']);

function ended(script: Script, moves: Case['moves'] = []) {
  return play({ template: SHAPE, ...script, moves }).state;
}

const failed = () => ended({ replies: { 'do-c': ['fail'] } });
const stopped = () => ended({ replies: { 'do-c': ['pause'] } }, [{ type: 'cancel', compensate: false }]);
const letter = { replies: { 'do-c': ['fail'], 'undo-b': ['fail'] } } as const;

const CASES: Case[] = [
  {
    name: 'takes over what still stands and runs what failed or was taken back',
    template: SHAPE,
    get retryOf() {
      return failed();
    },
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed c:completed',
      dispatched: 'do-b#1 do-c#1',
    },
  },
  {
    name: 'takes over everything that completed from an instance stopped as it was',
    template: SHAPE,
    get retryOf() {
      return stopped();
    },
    expect: { status: 'completed', stages: 'a:completed b:completed c:completed', dispatched: 'do-c#1' },
  },
  {
    name: 'takes back what it took over when it fails too',
    template: SHAPE,
    get retryOf() {
      return stopped();
    },
    replies: { 'do-c': ['fail'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/skipped b:completed/compensated c:failed/skipped',
      undone: 'b',
    },
  },
  {
    name: 'is still behind a point of no return that it took over',
    template: template([stage('a', { irreversible: true }), 'b', 'c']),
    get retryOf() {
      return stopped();
    },
    replies: { 'do-c': ['fail'] },
    expect: { status: 'blocked', stages: 'a:completed b:completed c:failed', block: 'point_of_no_return' },
  },
];

describe('the retry of an ended instance', () => {
  testCases(CASES);

  it('names the instance that it goes on from and takes over its artifacts', () => {
    const run = new Scenario(SHAPE, { retryOf: failed() });
    expect(run.state.retryOf).toBe('wf-1');
    const [task] = run.state.stages[0]?.tasks ?? [];
    expect(task?.artifacts.map((item) => item.digest)).toEqual([digestOf('do-a-1')]);
    expect(run.state.stages.map((item) => item.completion)).toEqual([1, null, null]);
  });

  it('takes over stages in the order in which they completed', () => {
    const before = stopped();
    const [a, b, c] = before.stages;
    if (!a || !b || !c) throw new Error('three stages');
    const swapped = { ...before, stages: [{ ...a, completion: 2 }, { ...b, completion: 1 }, c] };
    const names = carriedOver(template(['a', stage('b', { needs: [] }), 'c']), swapped).map((event) =>
      'stage' in event ? event.stage : '',
    );
    expect(names).toEqual(['b', 'a']);
  });

  it('runs anew what was built upon a stage that was taken back, though its own effect stands', () => {
    const shape = template([
      'deploy',
      stage('test', { compensationAgents: [] }),
      stage('announce', { compensationAgents: [] }),
    ]);
    const first = new Scenario(shape, { replies: { 'do-announce': ['fail'] } });
    first.run();
    expect(first.state.stages.map((item) => item.compensation.status)).toEqual([
      'compensated',
      'skipped',
      'skipped',
    ]);
    expect(carriedOver(shape, first.state)).toEqual([]);
  });

  it('takes over a stage without artifacts of a role that the ended instance did not know', () => {
    const wider = template([stage('a', { agents: ['do-a', 'new'] }), 'b', 'c']);
    const run = new Scenario(wider, { retryOf: failed() });
    expect(run.state.stages[0]?.tasks.map((task) => [task.role, task.status, task.artifacts.length])).toEqual(
      [
        ['do-a', 'completed', 1],
        ['new', 'completed', 0],
      ],
    );
  });

  it.each([
    { name: 'failed', instance: failed, refused: null },
    { name: 'stopped', instance: stopped, refused: null },
    {
      name: 'completed',
      instance: () => ended({}),
      refused: 'instance `wf-1` is completed: there is nothing to retry',
    },
    {
      name: 'dead letter',
      instance: () => ended(letter),
      refused: 'stage `b` of instance `wf-1` is not taken back yet',
    },
    {
      name: 'letter being retried',
      instance: () =>
        ended({ replies: { ...letter.replies, 'undo-b': ['fail', 'pause'] } }, [
          { type: 'retry_letter', stage: 'b' },
        ]),
      refused: 'stage `b` of instance `wf-1` is not taken back yet',
    },
    {
      name: 'letter resolved',
      instance: () => ended(letter, [{ type: 'resolve_letter', stage: 'b', reason: 'by hand' }]),
      refused: null,
    },
  ])('is possible unless something is open or nothing failed: $name', ({ instance, refused }) => {
    if (refused === null) return refuseUnlessRetryable(instance());
    expect(() => refuseUnlessRetryable(instance())).toThrow(
      expect.objectContaining({ code: 'not_retryable', message: refused }),
    );
  });
});
