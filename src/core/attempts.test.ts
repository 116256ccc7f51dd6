import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.js';
import { make } from './cases.suite.js';
import { MAX_INTERRUPTIONS } from './decide.js';
import { failure } from './errors.js';
import type { WorkflowInput } from './inputs.js';
import { blobsOf, findTask } from './instance.js';
import { ASSIGNMENT, Scenario, stage, template } from './scenario.suite.js';
import type { RetryPolicy } from './template.js';

const AT = { stage: 'a', role: 'do-a', kind: 'execute' } as const;
const DONE = { artifacts: [], output: null, log: null };

function paused(): Scenario {
  return new Scenario(template(['a', 'b']), { replies: { 'do-a': ['pause'], 'do-b': ['pause'] } }).run();
}

function typesOf(run: Scenario, input: WorkflowInput): string[] {
  return run.send(input).map((event) => event.type);
}

describe('an attempt', () => {
  it('is dispatched with its number, agent, reasons and key', () => {
    const run = paused();
    expect(run.seen('task_dispatched')).toEqual([
      {
        type: 'task_dispatched',
        ...AT,
        attempt: 1,
        assignment: ASSIGNMENT,
        idempotencyKey: 'wf-1/a/do-a/execute',
        deadlineAt: null,
      },
    ]);
    expect(run.effects).toEqual([{ type: 'execute', ...AT, attempt: 1, agent: 'agent-1' }]);
  });

  it('is followed by the next one with the same key and the steps so far when it is lost', () => {
    const run = paused();
    run.send({ type: 'step', ...AT, attempt: 1, result: { name: 's', value: { n: 1 } } });
    run.send({ type: 'lost', ...AT, attempt: 1, reason: 'agent gone' });
    const task = findTask(run.state, AT);
    expect(task).toMatchObject({ status: 'pending', attempt: 1, failures: 0, interruptions: 1, agent: null });
    expect(task?.steps).toEqual([{ name: 's', value: { n: 1 } }]);
    run.settle();
    const keys = run.seen('task_dispatched').filter((event) => event.stage === 'a');
    expect(keys.map((event) => [event.attempt, event.idempotencyKey])).toEqual([
      [1, 'wf-1/a/do-a/execute'],
      [2, 'wf-1/a/do-a/execute'],
    ]);
  });

  it('fails for good once it was lost too often', () => {
    const pauses = Array.from({ length: MAX_INTERRUPTIONS }, () => 'pause' as const);
    const run = new Scenario(template(['a']), { replies: { 'do-a': pauses } }).run();
    for (let attempt = 1; attempt <= MAX_INTERRUPTIONS; attempt += 1) {
      run.send({ type: 'lost', ...AT, attempt, reason: 'agent gone' });
      run.settle();
    }
    expect(findTask(run.state, AT)?.status).toBe('failed');
    expect(run.state.error?.code).toBe('agent_lost');
  });

  it('takes no word of an attempt that never was', () => {
    const run = paused();
    const words = { error: failure('task_failed', 'no'), isRetryable: false, log: null } as const;
    expect(typesOf(run, { type: 'failed', ...AT, attempt: 2, ...words })).toEqual([]);
  });

  it('keeps a step once, whatever is said again', () => {
    const run = paused();
    const step = { type: 'step', ...AT, attempt: 1, result: { name: 's', value: 1 } } as const;
    expect(typesOf(run, step)).toEqual(['step_completed']);
    expect(typesOf(run, { ...step, result: { name: 's', value: 2 } })).toEqual([]);
    expect(findTask(run.state, AT)?.steps).toEqual([{ name: 's', value: 1 }]);
  });

  it('keeps each of several steps, in their order', () => {
    const run = paused();
    for (const name of ['s', 't']) {
      const step = { type: 'step', ...AT, attempt: 1, result: { name, value: name } } as const;
      expect(typesOf(run, step)).toEqual(['step_completed']);
    }
    expect(findTask(run.state, AT)?.steps.map(({ name }) => name)).toEqual(['s', 't']);
  });

  it('starts once', () => {
    expect(typesOf(paused(), { type: 'started', ...AT, attempt: 1 })).toEqual([]);
  });

  it('may end without a word that it had started', () => {
    const run = new Scenario(template(['a']));
    run.send({
      type: 'authorization',
      stage: 'a',
      action: 'execute-stage',
      decision: run.seen('workflow_created')[0]?.decision ?? never(),
    });
    run.send({ type: 'assigned', ...AT, assignment: ASSIGNMENT });
    run.send({ type: 'succeeded', ...AT, attempt: 1, ...DONE });
    expect(run.state.status).toBe('completed');
    expect(run.seen('task_started')).toEqual([]);
  });

  it('is recorded and ignored when its result comes too late', () => {
    const run = paused();
    run.answer('do-a', 'lost');
    const before = run.state.stages;
    const error = failure('agent_failed', 'late');
    expect(run.send({ type: 'succeeded', ...AT, attempt: 1, ...DONE })).toEqual([
      { type: 'late_result_ignored', ...AT, attempt: 1, outcome: 'completed' },
    ]);
    expect(run.send({ type: 'failed', ...AT, attempt: 1, error, isRetryable: true, log: null })).toEqual([
      { type: 'late_result_ignored', ...AT, attempt: 1, outcome: 'failed' },
    ]);
    expect(run.state.stages).toEqual(before);
  });

  it('says nothing that counts once it is over, or where there is no such task', () => {
    const run = paused();
    run.answer('do-a', 'lost');
    const stale = { ...AT, attempt: 1 };
    expect(typesOf(run, { type: 'started', ...stale })).toEqual([]);
    expect(typesOf(run, { type: 'lost', ...stale, reason: 'again' })).toEqual([]);
    expect(typesOf(run, { type: 'step', ...stale, result: { name: 's', value: 1 } })).toEqual([]);
    expect(typesOf(run, { type: 'succeeded', ...stale, role: 'other', ...DONE })).toEqual([]);
    expect(typesOf(run, { type: 'succeeded', ...stale, stage: 'nowhere', ...DONE })).toEqual([]);
  });

  it('says nothing that counts once the instance has ended', () => {
    const run = new Scenario(template(['a'])).run();
    expect(typesOf(run, { type: 'succeeded', ...AT, attempt: 1, ...DONE })).toEqual([]);
  });

  it('is dispatched only while the state asks for it', () => {
    const run = paused();
    const assigned = { type: 'assigned', ...AT, assignment: ASSIGNMENT } as const;
    expect(typesOf(run, assigned)).toEqual([]);
    run.answer('do-a', 'retry');
    expect(typesOf(run, assigned), 'before its delay is over').toEqual([]);
    expect(typesOf(run, { type: 'unserved', ...AT }), 'before its delay is over').toEqual([]);
    expect(typesOf(run, { ...assigned, stage: 'b', role: 'do-b' })).toEqual([]);
    expect(typesOf(run, { ...assigned, stage: 'nowhere' })).toEqual([]);
    run.now += 1_000;
    expect(typesOf(run, assigned)).toEqual(['task_dispatched']);
  });

  it('waits its turn where roles go one after the other', () => {
    const run = new Scenario(template([stage('a', { agents: ['x', 'y'] })]), {
      replies: { x: ['pause'] },
    }).run();
    const early = {
      type: 'assigned',
      stage: 'a',
      role: 'y',
      kind: 'execute',
      assignment: ASSIGNMENT,
    } as const;
    expect(typesOf(run, early)).toEqual([]);
  });

  it('keeps what the agent made, said and logged', () => {
    const run = paused();
    const log = { digest: run.state.input.digest, size: 3 };
    run.send({ type: 'succeeded', ...AT, attempt: 1, artifacts: [], output: { ok: true }, log });
    expect(findTask(run.state, AT)).toMatchObject({
      status: 'completed',
      output: { ok: true },
      log,
      endedAt: run.now,
    });
    make(run, { type: 'cancel', compensate: false });
    expect(run.state.status).toBe('cancelled');
  });
});

function never(): never {
  throw new Error('the event is there');
}

describe('the delay before a retry', () => {
  const policy: RetryPolicy = { maxAttempts: 9, initialMs: 100, maxMs: 1_000, factor: 3, jitter: 0 };
  const cases: { policy: Partial<RetryPolicy>; failures: number; random: number; ms: number }[] = [
    { policy: {}, failures: 1, random: 0, ms: 100 },
    { policy: {}, failures: 2, random: 0, ms: 300 },
    { policy: {}, failures: 3, random: 0, ms: 900 },
    { policy: {}, failures: 4, random: 0, ms: 1_000 },
    { policy: {}, failures: 5_000, random: 0, ms: 1_000 },
    { policy: { factor: 1 }, failures: 7, random: 0, ms: 100 },
    { policy: { jitter: 0.5 }, failures: 1, random: 0, ms: 100 },
    { policy: { jitter: 0.5 }, failures: 1, random: 0.5, ms: 75 },
    { policy: { jitter: 1 }, failures: 1, random: 0.999, ms: 0 },
    { policy: { initialMs: 0 }, failures: 5_000, random: 0, ms: 0 },
  ];
  it.each(cases)(
    'is $ms ms after failure $failures with $policy',
    ({ policy: more, failures, random, ms }) => {
      expect(backoffMs({ ...policy, ...more }, failures, () => random)).toBe(ms);
    },
  );
});

describe('content', () => {
  it('that an instance refers to is its input, its artifacts and its logs', () => {
    const run = new Scenario(template(['a'])).run();
    const { digest } = run.state.input;
    const artifacts = run.state.stages.flatMap(({ tasks }) => tasks.flatMap((task) => task.artifacts));
    expect(artifacts).not.toEqual([]);
    expect(blobsOf(run.state).map((blob) => blob.digest)).toEqual([
      digest,
      ...artifacts.map((artifact) => artifact.digest),
    ]);
    const log = { digest, size: 2 };
    const [first, ...others] = run.state.stages;
    const logged = first && { ...first, tasks: first.tasks.map((task) => ({ ...task, log })) };
    const stages = logged === undefined ? [] : [logged, ...others];
    expect(blobsOf({ ...run.state, stages })).toContain(log);
  });
});
