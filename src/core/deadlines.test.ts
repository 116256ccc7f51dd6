import { describe, expect, it } from 'vitest';
import { type Case, make, play, testCases } from './cases.suite.js';
import { nextDueAt, wakeAtOf } from './deadlines.js';
import { decide } from './decide.js';
import { graph, Scenario, START, stage, template } from './scenario.suite.js';

const final = stage('b', { irreversible: true });
const two = { agents: ['x', 'y'] };

const CASES: Case[] = [
  {
    name: 'fails a stage that is not done in time, retries included',
    template: template(['a', stage('b', { timeoutMs: 1_500 })]),
    replies: { 'do-b': ['retry', 'hang'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/skipped',
      error: 'stage_timeout',
      dispatched: 'do-a#1 do-b#1 do-b#2 undo-a#1',
    },
  },
  {
    name: 'fails an instance that is not done in time and takes it back, whatever it was at',
    template: template(['a', stage('b', two), 'c'], { timeoutMs: 60_000 }),
    replies: { y: ['hang'] },
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/compensated c:skipped',
      error: 'workflow_timeout',
      undone: 'b a',
    },
  },
  {
    name: 'counts the time that an approval takes',
    template: template(['a', stage('b', { approvalRequired: true })], { timeoutMs: 60_000 }),
    moves: [{ type: 'wait' }],
    expect: { status: 'failed', stages: 'a:completed/compensated b:skipped', error: 'workflow_timeout' },
  },
  {
    name: 'counts the time that a block takes',
    template: template(['a', 'b'], { timeoutMs: 60_000 }),
    denials: { b: 1 },
    moves: [{ type: 'wait' }],
    expect: { status: 'failed', stages: 'a:completed/compensated b:skipped', error: 'workflow_timeout' },
  },
  {
    name: 'stops what runs, instead of going back, behind a point of no return',
    template: template([final, 'c'], { timeoutMs: 60_000 }),
    replies: { 'do-c': ['hang'] },
    expect: { status: 'blocked', stages: 'b:completed c:failed', block: 'point_of_no_return' },
  },
  {
    name: 'stops what waits for an approval behind a point of no return',
    template: template([final, stage('c', { approvalRequired: true })], { timeoutMs: 60_000 }),
    moves: [{ type: 'wait' }],
    expect: { status: 'blocked', stages: 'b:completed c:failed', block: 'point_of_no_return' },
  },
  {
    name: 'stops what is denied behind a point of no return, and a retry asks again',
    template: template([final, 'c'], { timeoutMs: 60_000 }),
    denials: { c: 1 },
    moves: [{ type: 'wait' }, { type: 'resume' }, { type: 'retry' }],
    expect: { status: 'completed', stages: 'b:completed c:completed' },
  },
  {
    name: 'stops at the first stage that could have gone on, behind a point of no return',
    template: template([final, 'c', 'd'], { timeoutMs: 60_000 }),
    denials: { c: 1 },
    moves: [{ type: 'wait' }],
    expect: { status: 'blocked', stages: 'b:completed c:failed d:pending' },
  },
  {
    name: 'fails several stages that are late at the same time',
    template: graph([stage('a', { timeoutMs: 5_000 }), stage('b', { timeoutMs: 5_000 })]),
    replies: { 'do-a': ['hang'], 'do-b': ['hang'] },
    expect: { status: 'failed', stages: 'a:failed/skipped b:failed/skipped', error: 'stage_timeout' },
  },
];

describe('a deadline', () => {
  testCases(CASES);

  it('never passes early', () => {
    const run = new Scenario(template([stage('a', { timeoutMs: 5_000 })]), {
      replies: { 'do-a': ['hang'] },
    }).settle();
    expect(nextDueAt(run.state, run.now)).toBe(START + 5_000);
    run.now = START + 4_999;
    expect(run.send({ type: 'tick' })).toEqual([]);
    run.now += 1;
    expect(run.send({ type: 'tick' }).map((event) => event.type)).toContain('stage_failed');
  });

  it('is not counted while everything is taken back', () => {
    const run = new Scenario(template(['a', 'b'], { timeoutMs: 60_000 }), {
      replies: { 'do-b': ['fail'], 'undo-a': ['pause'] },
    }).run();
    expect(nextDueAt(run.state, run.now)).toBe(START + 5_000);
    run.answer('undo-a', 'ok');
    expect(nextDueAt(run.state, run.now)).toBeNull();
  });

  it('wakes a retry once, and not while nobody serves another role of the stage', () => {
    const shape = template([stage('a', { ...two, parallel: true, maxParallel: 2 })]);
    const run = new Scenario(shape, { replies: { x: ['retry'], y: ['pause'] } }).settle();
    expect(run.effects.at(-1)).toEqual({ type: 'timer', at: START + 1_000 });
    run.now = START + 1_000;
    expect(run.effects.map((effect) => effect.type)).toEqual(['assign', 'execute']);
    const stuck = new Scenario(shape, { replies: { x: ['retry'], y: ['unserved'] } }).settle();
    expect(stuck.state.status).toBe('blocked');
    expect(stuck.effects).toEqual([]);
    make(stuck, { type: 'resume' });
    expect(stuck.run().state.status).toBe('completed');
  });

  it('takes time to stand still when the clock jumps back', () => {
    const run = new Scenario(template([stage('a', { timeoutMs: 5_000 })]), {
      replies: { 'do-a': ['pause'] },
    }).run();
    run.now -= 3_600_000;
    run.answer('do-a', 'retry');
    expect(run.state.updatedAt).toBe(START);
    expect(run.state.stages[0]?.tasks[0]?.retryAt).toBe(START + 1_000);
    run.run();
    expect(run.state).toMatchObject({ status: 'completed', endedAt: START + 1_000 });
  });

  it('of an approval stands still while a failure behind a point of no return waits for the operator', () => {
    const gate = { needs: ['b'], approvalRequired: true, approvalTimeoutMs: 60_000 };
    const shape = graph([final, stage('c', gate), stage('d', { needs: ['b'] })]);
    const run = new Scenario(shape, { replies: { 'do-d': ['fail'] } }).run();
    expect(run.state.status).toBe('blocked');
    expect(run.effects).toEqual([]);
    run.now += 60_000;
    expect(run.send({ type: 'tick' })).toEqual([]);
    make(run, { type: 'retry' });
    run.run();
    expect(run.state.status).toBe('waiting_approval');
    expect(run.effects).toEqual([{ type: 'timer', at: run.now + 60_000 }]);
    expect(run.send({ type: 'tick' })).toEqual([]);
  });

  it('of an approval goes on through the retry of another stage while it is not over', () => {
    const gate = { needs: ['b'], approvalRequired: true, approvalTimeoutMs: 60_000 };
    const shape = graph([final, stage('c', gate), stage('d', { needs: ['b'] })]);
    const run = new Scenario(shape, { replies: { 'do-d': ['fail'] } }).run();
    run.now += 59_999;
    make(run, { type: 'retry' });
    run.run();
    expect(run.effects).toEqual([{ type: 'timer', at: run.now + 1 }]);
  });

  it('says how long the limit was', () => {
    const run = play({
      template: template([stage('a', { timeoutMs: 1_500 })]),
      replies: { 'do-a': ['hang'] },
    });
    expect(run.state.error?.message).toBe('stage `a` was not done within 1.5 s');
    const whole = play({ template: template(['a'], { timeoutMs: 60_000 }), replies: { 'do-a': ['hang'] } });
    expect(whole.state.error?.message).toBe('not done within 60 s');
  });

  it('leaves the compensation that is still in time alone', () => {
    const shape = graph([stage('a'), stage('b'), stage('c', { needs: ['a', 'b'] })], { sagaParallelism: 2 });
    const run = new Scenario(shape, {
      replies: { 'do-c': ['fail'], 'undo-a': ['retry', 'hang'], 'undo-b': ['hang'] },
    }).settle();
    run.passTime();
    run.settle();
    run.passTime();
    const late = run.seen('task_failed').filter((event) => event.error.code === 'agent_timeout');
    expect(late.map((event) => event.role)).toEqual(['undo-b']);
    const tick = decide(shape, run.state, { type: 'tick' }, run.moment);
    expect(tick).toEqual([]);
  });

  it('is when the engine has to be at an instance: always, at its next deadline, or never', () => {
    const gate = stage('b', { approvalRequired: true, approvalTimeoutMs: 60_000 });
    const asked = new Scenario(template(['a', gate]));
    expect(wakeAtOf(asked.state)).toBe(0);
    asked.settle();
    expect([asked.state.status, wakeAtOf(asked.state)]).toEqual(['waiting_approval', START + 60_000]);
    const limited = new Scenario(template(['a', gate], { timeoutMs: 5_000 })).settle();
    expect(wakeAtOf(limited.state)).toBe(START + 5_000);
    const delayed = new Scenario(template(['a']), { replies: { 'do-a': ['retry'] } }).settle();
    expect(wakeAtOf(delayed.state)).toBe(0);
    const denied = new Scenario(template(['a']), { denials: { a: 1 } }).settle();
    expect([denied.state.status, wakeAtOf(denied.state)]).toEqual(['blocked', null]);
    expect(wakeAtOf(new Scenario(template(['a'])).run().state)).toBeNull();
  });
});
