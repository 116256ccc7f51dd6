import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type AttemptUsage,
  type Budget,
  breachesOf,
  chargeOf,
  cutOffAt,
  NOTHING_SPENT,
  type Spent,
  usedRatio,
} from './budget.js';
import { type Case, play, testCases } from './cases.suite.js';
import { ALLOW, ANN, graph, Scenario, START, stage, template, WINDOW_MS } from './scenario.suite.js';

interface BreachCase {
  readonly name: string;
  readonly stage?: Partial<Budget>;
  readonly workflow?: Partial<Budget>;
  readonly shared?: Partial<Budget>;
  readonly stageGrants?: number;
  readonly workflowGrants?: number;
  /** In the present window, and in one before it. */
  readonly sharedGrants?: number;
  readonly staleGrants?: number;
  /** By stage `a`, and by stage `b`. */
  readonly spent: Partial<Spent>;
  readonly others?: Partial<Spent>;
  /** By other instances. */
  readonly elsewhere?: Partial<Spent>;
  /** `<scope> <grants that it takes>: <message>` */
  readonly breaches: readonly string[];
}

const CASES: BreachCase[] = JSON.parse(readFileSync(new URL('./cases/budget.json', import.meta.url), 'utf8'));

const NO_LIMITS: Budget = { tokens: null, microUsd: null, ms: null };
const limits = (some: Partial<Budget> | undefined): Budget | null =>
  some === undefined ? null : { ...NO_LIMITS, ...some };

describe('a budget', () => {
  it.each(CASES)('$name', (item) => {
    const of = template([stage('a', { budget: limits(item.stage) }), stage('b')], {
      budget: limits(item.workflow),
      ...(item.shared === undefined ? {} : { sharedBudget: { ...NO_LIMITS, ...item.shared, per: 'day' } }),
    });
    const { state } = new Scenario(of);
    const spent = [item.spent, item.others ?? {}].map((some) => ({ ...NOTHING_SPENT, ...some }));
    const stages = state.stages.map((each, index) => ({
      ...each,
      spent: spent[index] ?? NOTHING_SPENT,
      grants: item.stageGrants ?? 0,
    }));
    const grants = item.sharedGrants ?? item.staleGrants;
    const fromAt = item.sharedGrants === undefined ? START - WINDOW_MS : START;
    const instance = {
      ...state,
      stages,
      grants: item.workflowGrants ?? 0,
      ...(grants === undefined ? {} : { sharedGrants: { fromAt, count: grants } }),
    };
    const shared = () => ({
      fromAt: START,
      untilAt: START + WINDOW_MS,
      spent: { ...NOTHING_SPENT, ...item.elsewhere },
    });
    const [first] = stages;
    if (first === undefined) throw new Error('there is a stage');
    const found = breachesOf(of, instance, first, shared).map(
      ({ scope, grants, message }) => `${scope} ${grants}: ${message}`,
    );
    expect(found).toEqual(item.breaches);
  });
});

it.each<[Partial<Budget>, Partial<Spent>, number]>([
  [{}, { tokens: 9, microUsd: 9, ms: 9 }, 0],
  [{ tokens: 100, microUsd: 10 }, { tokens: 25, microUsd: 5 }, 0.5],
  [{ tokens: 100, ms: 10 }, { tokens: 150, microUsd: 900, ms: 1 }, 1.5],
])('the share of %j that %j is, is %j', (budget, spent, ratio) => {
  expect(usedRatio({ ...NO_LIMITS, ...budget }, { ...NOTHING_SPENT, ...spent })).toBe(ratio);
});

const tokens = (count: number): Budget => ({ tokens: count, microUsd: null, ms: null });
/** 10 tokens an attempt. */
const USAGE: AttemptUsage = { model: 'm', inputTokens: 7, outputTokens: 3, microUsd: 20 };

const DECISIONS: Case[] = [
  {
    name: 'that is used up holds what comes next until somebody grants it again',
    template: template(['a', 'b'], { budget: tokens(10) }),
    usage: USAGE,
    moves: [{ type: 'resume' }],
    expect: {
      status: 'completed',
      stages: 'a:completed b:completed',
      block: 'budget_exceeded',
      dispatched: 'do-a#1 do-b#1',
    },
  },
  {
    name: 'that is used up by the last stage takes nothing back',
    template: template(['a', 'b'], { budget: tokens(20), onBreach: 'compensate' }),
    usage: USAGE,
    expect: { status: 'completed', stages: 'a:completed b:completed' },
  },
  {
    name: 'of an instance has the stage that would come next fail where so configured',
    template: template(['a', 'b', 'c'], { budget: tokens(10), onBreach: 'compensate' }),
    usage: USAGE,
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed c:skipped',
      undone: 'a',
      error: 'budget_exceeded',
    },
  },
  {
    name: 'of a stage ends its retries',
    template: template([stage('a', { budget: tokens(20) }), 'b'], { onBreach: 'compensate' }),
    replies: { 'do-a': ['retry', 'retry', 'ok'] },
    usage: USAGE,
    expect: {
      status: 'failed',
      stages: 'a:failed/skipped b:skipped',
      error: 'budget_exceeded',
      dispatched: 'do-a#1 do-a#2',
    },
  },
  {
    name: 'of a stage holds its own tasks only',
    template: graph([stage('a', { agents: ['x', 'y'], budget: tokens(10) }), stage('b')]),
    usage: USAGE,
    expect: {
      status: 'blocked',
      stages: 'a:running b:completed',
      block: 'budget_exceeded',
      dispatched: 'x#1 do-b#1',
    },
  },
  {
    name: 'is granted again by a retry too',
    template: template([stage('a', { agents: ['x', 'y'], budget: tokens(10) })]),
    usage: USAGE,
    moves: [{ type: 'retry' }],
    expect: { status: 'completed', stages: 'a:completed' },
  },
  {
    name: 'stays used up where the grant is denied',
    template: template(['a', 'b'], { budget: tokens(10) }),
    usage: USAGE,
    moves: [{ type: 'resume', denied: true }],
    expect: { status: 'blocked', stages: 'a:completed b:pending', block: 'budget_exceeded' },
  },
  {
    name: 'is held once more when what was granted is used up',
    template: template(['a', 'b', 'c'], { budget: tokens(10) }),
    usage: USAGE,
    moves: [{ type: 'resume' }],
    expect: { status: 'blocked', stages: 'a:completed b:completed c:pending', block: 'budget_exceeded' },
  },
  {
    name: 'never keeps anything from being taken back',
    template: template(['a', 'b'], { budget: tokens(10) }),
    usage: USAGE,
    moves: [{ type: 'cancel', compensate: true }],
    expect: { status: 'cancelled', stages: 'a:completed/compensated b:skipped', undone: 'a' },
  },
  {
    name: 'behind a point of no return stops for an operator rather than taking back',
    template: template([stage('a', { irreversible: true }), 'b'], {
      budget: tokens(10),
      onBreach: 'compensate',
    }),
    usage: USAGE,
    expect: { status: 'blocked', stages: 'a:completed b:failed', block: 'point_of_no_return' },
  },
];

describe('a budget of a running instance', () => {
  testCases(DECISIONS);

  it('counts what each attempt has used, failed ones too, and the time that agents were at it; taking back counts nothing', () => {
    const run = new Scenario(template(['a', 'b']), {
      replies: { 'do-a': ['pause'], 'do-b': ['fail'] },
      usage: USAGE,
    }).run();
    run.now += 1_500;
    run.answer('do-a', 'ok');
    run.run();
    expect(run.state.stages.map(({ spent }) => spent)).toEqual([
      { tokens: 10, microUsd: 20, ms: 1_500 },
      { tokens: 10, microUsd: 20, ms: 0 },
    ]);
    expect(run.seen('task_failed').map(({ usage }) => usage)).toEqual([USAGE]);
  });

  it('lets what is in flight end: nothing is held where nothing would go on', () => {
    const shape = template([stage('a', { agents: ['x', 'y'], parallel: true, maxParallel: 2 })], {
      budget: tokens(10),
    });
    const run = new Scenario(shape, { replies: { x: ['pause'], y: ['pause'] }, usage: USAGE }).run();
    run.answer('x', 'ok');
    expect(run.state.stages[0]?.block).toBeNull();
    run.answer('y', 'ok');
    expect(run.state.status).toBe('completed');
    expect(run.seen('workflow_blocked')).toEqual([]);
  });

  it('leaves a stage that is held for another reason as it is', () => {
    const run = new Scenario(graph([stage('a'), stage('b')], { budget: tokens(10) }), {
      replies: { 'do-a': ['unserved'], 'do-b': ['ok'] },
      usage: USAGE,
    }).run();
    expect(run.seen('stage_blocked').map((event) => [event.stage, event.block.code])).toEqual([
      ['a', 'role_unserved'],
    ]);
  });

  it('counts the time of an attempt that was lost or called off, and none of one that never began', () => {
    const shape = template([stage('a', { agents: ['x', 'y'] })]);
    const run = play({ template: shape, replies: { x: ['pause', 'pause'] } });
    run.now += 400;
    run.answer('x', 'lost');
    run.settle();
    run.now += 100;
    run.send({
      type: 'cancel',
      by: { user: 'ann', groups: [] },
      decision: { effect: 'allow', policies: [], reason: '', errors: [], policySet: null },
      compensate: true,
    });
    expect(run.seen('task_cancelled')).toHaveLength(2);
    expect(run.state.stages[0]?.spent).toEqual({ tokens: 0, microUsd: 0, ms: 500 });
  });

  it('cuts off what would use more time than is left, and goes on with it when more is granted', () => {
    const shape = template([stage('a', { budget: { ...NO_LIMITS, ms: 10_000 } })]);
    const run = new Scenario(shape, { replies: { 'do-a': ['hang', 'ok'] } }).settle();
    expect(run.effects).toContainEqual({ type: 'timer', at: START + 10_000 });
    expect(cutOffAt(shape, run.state, 'a')).toBe(START + 10_000);
    run.run();
    expect(run.seen('task_interrupted')).toMatchObject([
      { role: 'do-a', attempt: 1, reason: 'the 10 s of its budget are used up' },
    ]);
    expect(run.state.stages[0]?.block?.message).toBe('stage `a` has used 10 seconds of 10 seconds');
    expect([run.state.status, run.state.stages[0]?.tasks[0]?.failures]).toEqual(['blocked', 0]);
    expect(cutOffAt(shape, run.state, 'a')).toBeNull();
    run.send({ type: 'resume', by: ANN, decision: ALLOW });
    expect(run.settle().state.status).toBe('completed');
  });

  it('leaves attempts side by side the time that is left together, also of what the instance may use', () => {
    const own = stage('a', { agents: ['x', 'y'], parallel: true, maxParallel: 2 });
    const shape = graph([own, stage('b', { budget: { ...NO_LIMITS, ms: 5_000 } })], {
      budget: { ...NO_LIMITS, ms: 9_000 },
      onBreach: 'compensate',
    });
    const run = new Scenario(shape, { replies: { x: ['hang'], y: ['hang'], 'do-b': ['hang'] } }).settle();
    expect([cutOffAt(shape, run.state, 'a'), cutOffAt(shape, run.state, 'b')]).toEqual([
      START + 3_000,
      START + 3_000,
    ]);
    run.now += 1_000;
    run.answer('do-b', 'ok');
    // of 9 s 3 s are used: two go on
    expect(cutOffAt(shape, run.settle().state, 'a')).toBe(START + 4_000);
    run.run();
    expect([run.state.status, run.state.error?.code]).toEqual(['failed', 'budget_exceeded']);
    expect(run.seen('task_interrupted')).toHaveLength(2);
    expect(run.state.stages[0]?.spent.ms).toBe(8_000);
  });

  it('keeps what was used when a stage runs again after it was taken back', () => {
    const shape = template(['a', 'b', stage('c', { approvalRequired: true })]);
    const run = play({ template: shape, usage: USAGE, moves: [{ type: 'rollback', to: 'a' }] });
    expect(run.state.stages.map(({ spent: { tokens: used } }) => used)).toEqual([10, 20, 0]);
    const again = play({
      template: template(['a', stage('b', { budget: tokens(5) }), stage('c', { approvalRequired: true })]),
      usage: USAGE,
      moves: [{ type: 'rollback', to: 'a' }, { type: 'resume' }],
    });
    expect(again.seen('budget_granted')).toMatchObject([
      { stage: 'b', scope: 'stage', grants: 2, by: 'ann' },
    ]);
    expect(again.state.status).toBe('waiting_approval');
  });
});

const shares = (count: number, more: object = {}) => ({
  sharedBudget: { ...tokens(count), per: 'day' as const },
  ...more,
});

describe('a budget that instances share', () => {
  it('holds an instance for what others have used, and lets it go on by itself in the next window', () => {
    const run = new Scenario(template(['a', 'b'], shares(100)), { usage: USAGE });
    run.others = { ...NOTHING_SPENT, tokens: 90 };
    run.settle();
    const untilAt = START - (START % WINDOW_MS) + WINDOW_MS;
    const message = 'in this day the instances of `ship` have used 100 tokens of 100 tokens';
    expect(run.state.stages[1]?.block).toEqual({ code: 'budget_exceeded', message, liftsAt: untilAt });
    expect(run.state.status).toBe('blocked');
    expect(run.effects).toEqual([{ type: 'timer', at: untilAt }]);
    run.others = { ...NOTHING_SPENT, tokens: -10 };
    run.run();
    // it waits for nobody: `run` stops where only a person could move it
    expect(run.passTime()).toBe(true);
    run.settle();
    expect(run.state.status).toBe('completed');
  });

  it('is looked at once more when an agent is found', () => {
    const run = new Scenario(template(['a'], shares(100)), { usage: USAGE });
    run.send({ type: 'authorization', stage: 'a', action: 'execute-stage', decision: ALLOW });
    expect(run.effects).toMatchObject([{ type: 'assign' }]);
    run.others = { ...NOTHING_SPENT, tokens: 100 };
    run.settle();
    expect(run.seen('task_dispatched')).toEqual([]);
    expect(run.state.stages[0]).toMatchObject({ status: 'running', block: { code: 'budget_exceeded' } });
    expect(run.state.status).toBe('blocked');
    expect(run.effects).toMatchObject([{ type: 'timer' }]);
  });

  it('has the stage fail where so configured', () => {
    const run = new Scenario(template(['a', 'b'], shares(100, { onBreach: 'compensate' })), { usage: USAGE });
    run.others = { ...NOTHING_SPENT, tokens: 95 };
    run.run();
    expect([run.state.status, run.state.error?.code]).toEqual(['failed', 'budget_exceeded']);
    expect(run.state.stages[0]?.compensation.status).toBe('compensated');
  });

  it('is granted again to one instance, for one window', () => {
    const run = new Scenario(template(['a', 'b'], shares(100)), { usage: USAGE });
    run.others = { ...NOTHING_SPENT, tokens: 190 };
    run.settle();
    run.send({ type: 'resume', by: ANN, decision: ALLOW });
    const fromAt = START - (START % WINDOW_MS);
    expect(run.seen('budget_granted')).toEqual([
      { type: 'budget_granted', stage: 'a', scope: 'shared', grants: 1, by: 'ann', fromAt },
    ]);
    expect(run.state.sharedGrants).toEqual({ fromAt, count: 1 });
    run.settle();
    expect(run.state.stages.map(({ status, block }) => [status, block?.code])).toEqual([
      ['completed', undefined],
      ['pending', 'budget_exceeded'],
    ]);
    run.now += WINDOW_MS;
    run.settle();
    run.send({ type: 'tick' });
    // of the window before
    expect(run.state.stages[1]?.block?.liftsAt).toBe(fromAt + 2 * WINDOW_MS);
  });

  it('charges what a commit adds, by the hour, and nothing where nothing is shared', () => {
    const shape = template(['a'], shares(100));
    const run = new Scenario(shape, { usage: USAGE });
    const { state: before } = run;
    run.settle();
    expect(chargeOf(shape, before, run.state, START + 5)).toEqual({
      workflow: 'ship',
      hour: START - (START % 3_600_000),
      spent: { tokens: 10, microUsd: 20, ms: 0 },
    });
    expect(chargeOf(shape, null, before, START)).toBeNull();
    expect(chargeOf(shape, run.state, run.state, START)).toBeNull();
    expect(chargeOf(template(['a']), null, run.state, START)).toBeNull();
    for (const spent of [{ microUsd: 1 }, { ms: 1 }]) {
      const [first] = before.stages;
      if (first === undefined) throw new Error('there is a stage');
      const after = { ...before, stages: [{ ...first, spent: { ...NOTHING_SPENT, ...spent } }] };
      expect(chargeOf(shape, before, after, START)?.spent).toMatchObject(spent);
    }
  });
});
