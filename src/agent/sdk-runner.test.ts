import { describe, expect, it } from 'vitest';
import type { TaskOrder } from '../core/ports.js';
import {
  artifactsOf,
  blobOf,
  failureOf,
  inputArtifact,
  logOf,
  MemorySink,
  orderOf,
  realClock,
} from '../transport/attempt.suite.js';
import { InProcessTransport } from '../transport/in-process.js';
import { type Agent, defineAgent, PermanentError, RetryableError } from './agent.js';
import { DEFAULT_LIMITS } from './limits.js';
import { createSdkRunner, type SdkRunnerOptions } from './sdk-runner.js';

type Execute = Agent['execute'];

async function outcomeOf(
  execute: Execute,
  more: {
    order?: Partial<TaskOrder>;
    agent?: Partial<Agent>;
    options?: SdkRunnerOptions;
    sink?: MemorySink;
  } = {},
) {
  const agent: Agent = { name: 'robot', roles: ['deployer'], execute, ...more.agent };
  const transport = new InProcessTransport(realClock, [createSdkRunner(agent, more.options)]);
  const sink = more.sink ?? new MemorySink();
  transport.dispatch(orderOf(more.order), sink);
  const outcome = await sink.ended;
  expect(sink.outcomes).toHaveLength(1);
  return outcome;
}

/** For results that the compiler would refuse, as JavaScript gives them. */
const returning = (value: unknown) => (() => value) as Execute;

describe('an agent of functions', () => {
  it('gets the decoded task and hands in artifacts of text, bytes and JSON', async () => {
    const outcome = await outcomeOf(async (task) => ({
      artifacts: [
        { name: 'notes', kind: 'documentation', content: `${task.stage_name} ${task.attempt}` },
        { name: 'raw', kind: 'code', content: new Uint8Array([104, 105]) },
        { name: 'report', kind: 'test_results', content: { input: task.input } },
      ],
      output: { passed: 3, missing: undefined },
    }));
    expect(artifactsOf(outcome)).toEqual({
      notes: 'deploy 1',
      raw: 'hi',
      report: '{"input":{"version":"1.2"}}',
    });
    expect(outcome).toMatchObject({ output: { passed: 3 }, log: null });
  });

  it('completes without a result, synchronously or not', async () => {
    const doIt = (): void => {};
    // an agent that only acts need not say `return undefined`
    const acts: Agent = { name: 'robot', roles: ['deployer'], execute: () => doIt() };
    expect(await outcomeOf(acts.execute)).toMatchObject({ status: 'completed' });
    expect(await outcomeOf(() => undefined)).toMatchObject({
      status: 'completed',
      artifacts: [],
      output: null,
    });
    expect(await outcomeOf(async () => {})).toMatchObject({
      status: 'completed',
      artifacts: [],
      output: null,
    });
  });

  it('reads input and artifacts that travel by reference', async () => {
    const long = 'x'.repeat(10_000);
    const outcome = await outcomeOf(
      async (task, { artifacts }) => ({
        output: [
          String(task.input).length,
          (await artifacts.text('log')).length,
          await artifacts.json('plan'),
          await artifacts.text('plan', { stage: 'design' }),
          [...(await artifacts.bytes('plan'))].length,
          artifacts.list({ kind: 'adr' }).map((artifact) => artifact.stage),
        ],
      }),
      {
        order: {
          input: blobOf(JSON.stringify(long)),
          artifacts: [
            inputArtifact('plan', '"old"', { stage: 'design', kind: 'adr' }),
            inputArtifact('plan', '{"v":2}'),
            inputArtifact('log', long),
          ],
        },
      },
    );
    expect(outcome).toMatchObject({ output: [10_000, 10_000, { v: 2 }, '"old"', 7, ['design']] });
  });

  it('fails for good where it reads an artifact that is not there or not JSON', async () => {
    const order = { artifacts: [inputArtifact('plan', 'no json')] };
    const absent = await outcomeOf(async (_task, ctx) => void (await ctx.artifacts.text('pla')), { order });
    expect(failureOf(absent)).toMatchObject({ code: 'task_failed', isRetryable: false });
    expect(failureOf(absent).message).toContain('no artifact `pla` (there are: `plan`)');
    const bad = await outcomeOf(async (_task, ctx) => void (await ctx.artifacts.json('plan')), { order });
    expect(failureOf(bad)).toMatchObject({
      code: 'task_failed',
      message: expect.stringContaining('is not JSON'),
    });
  });

  it('keeps its log with the outcome and passes progress and signs of life on', async () => {
    const sink = new MemorySink();
    const outcome = await outcomeOf(
      (_task, { log, progress, heartbeat }) => {
        log.info('begun', { at: 1 });
        log.error('oh');
        progress('half\nway', 0.5);
        progress('wrong', 7);
        heartbeat();
        return undefined;
      },
      { sink },
    );
    expect(logOf(outcome)).toBe('info begun {"at":1}\nerror oh\n');
    expect(sink.progresses).toEqual([
      { message: 'half way', fraction: 0.5 },
      { message: 'wrong', fraction: null },
    ]);
    expect(sink.heartbeats).toBe(1);
  });

  it('keeps only the end of a long log', async () => {
    const outcome = await outcomeOf((_task, { log }) => {
      for (let line = 0; line < 50_000; line++) log.info(`line ${line}`);
      return undefined;
    });
    const kept = logOf(outcome);
    expect(kept.length).toBeLessThanOrEqual(DEFAULT_LIMITS.maxLogBytes);
    expect(kept.length).toBeGreaterThan(DEFAULT_LIMITS.maxLogBytes - 100);
    expect(kept).toMatch(/^info line \d+\n/);
    expect(kept).toMatch(/info line 49999\n$/);
  });
});

describe('a step', () => {
  it('is run once and its result is on disk before the agent goes on', async () => {
    const sink = new MemorySink();
    const outcome = await outcomeOf(
      async (_task, { step }) => {
        const first = await step('reserve', () => ({ id: 7 }));
        expect(sink.steps).toEqual([{ name: 'reserve', value: { id: 7 } }]);
        return { output: [first, await step('nothing', async () => undefined)] };
      },
      { sink },
    );
    expect(outcome).toMatchObject({ status: 'completed', output: [{ id: 7 }, null] });
  });

  it('answers what an earlier attempt kept, null included, without running again', async () => {
    const sink = new MemorySink();
    let runs = 0;
    const outcome = await outcomeOf(
      async (_task, { step }) => {
        const run = () => ++runs;
        return { output: [await step('a', run), await step('b', run), await step('c', run)] };
      },
      {
        sink,
        order: {
          attempt: 2,
          steps: [
            { name: 'a', value: 'kept' },
            { name: 'b', value: null },
          ],
        },
      },
    );
    expect(outcome).toMatchObject({ output: ['kept', null, 1] });
    expect(sink.steps).toEqual([{ name: 'c', value: 1 }]);
  });

  it.each([
    ['the same name twice', ['a', 'a'], 1],
    ['a value that is no JSON', ['a'], new Date(0)],
    ['a value that is too large', ['a'], 'x'.repeat(100_000)],
    ['an empty name', [''], 1],
  ])('is refused with %s', async (_case, names, value) => {
    const outcome = await outcomeOf(async (_task, { step }) => {
      for (const name of names) await step(name, () => value);
    });
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_protocol', isRetryable: false });
  });

  it('that rejects unawaited leaves the engine alive', async () => {
    const outcome = await outcomeOf((_task, { step }) => {
      void step('lost', () => Promise.reject(new Error('nobody listens')));
      return undefined;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(outcome.status).toBe('completed');
  });
});

describe('a failing agent', () => {
  it.each<[string, unknown, string, boolean]>([
    ['an error', new Error('boom'), 'agent_failed', true],
    ['a retryable error', new RetryableError('busy'), 'agent_failed', true],
    ['a permanent error', new PermanentError('no such host'), 'task_failed', false],
    ['nothing', undefined, 'agent_failed', true],
    ['a string', 'text', 'agent_failed', true],
    ['null', null, 'agent_failed', true],
    ['a symbol', Symbol('s'), 'agent_failed', true],
    ['an object without words', Object.create(null), 'agent_failed', true],
  ])('that throws %s, at once or later, becomes an outcome', async (_case, thrown, code, isRetryable) => {
    const sync = await outcomeOf(() => {
      throw thrown;
    });
    const later = await outcomeOf(() => Promise.reject<undefined>(thrown));
    for (const outcome of [sync, later]) expect(failureOf(outcome)).toMatchObject({ code, isRetryable });
  });

  it('has its message in the failure and its stack only in the log', async () => {
    const outcome = await outcomeOf(() => {
      throw new Error('boom');
    });
    expect(failureOf(outcome).message).toBe('agent `robot` failed: boom');
    expect(logOf(outcome)).toContain('sdk-runner.test');
  });

  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  let deep: unknown = 1;
  for (let depth = 0; depth < 50_000; depth++) deep = [deep];
  const throwing = {
    get artifacts(): never {
      throw new Error('gotcha');
    },
  };
  const artifact = { name: 'a', kind: 'code', content: 'x' };
  it.each<[string, unknown]>([
    ['text', 'done'],
    ['a list', []],
    ['an unknown key', { artefacts: [] }],
    ['artifacts that are no list', { artifacts: 'x' }],
    ['an artifact that is no object', { artifacts: [null] }],
    ['a name that is a path', { artifacts: [{ ...artifact, name: '../x' }] }],
    ['a kind that is no name', { artifacts: [{ ...artifact, kind: 'a b' }] }],
    ['no content', { artifacts: [{ name: 'a', kind: 'code' }] }],
    ['the same name twice', { artifacts: [artifact, artifact] }],
    ['content that is a function', { artifacts: [{ ...artifact, content: () => 1 }] }],
    [
      'too many artifacts',
      { artifacts: Array.from({ length: 101 }, (_, i) => ({ ...artifact, name: `a${i}` })) },
    ],
    ['an artifact that is too large', { artifacts: [{ ...artifact, content: 'x'.repeat(1_001) }] }],
    [
      'a total that is too large',
      { artifacts: ['a', 'b', 'c'].map((name) => ({ ...artifact, name, content: 'x'.repeat(900) })) },
    ],
    ['an output that is too large', { output: 'x'.repeat(100_000) }],
    ['an output that is a date', { output: { at: new Date(0) } }],
    ['an output that is not finite', { output: [Number.NaN] }],
    ['a cyclic output', { output: cyclic }],
    ['an output nested for ever', { output: deep }],
    ['a getter that throws', throwing],
    ['a number', 3],
  ])('that returns %s breaks the protocol, for good', async (_case, result) => {
    const limits = { ...DEFAULT_LIMITS, maxArtifactBytes: 1_000, maxTotalArtifactBytes: 2_000 };
    const outcome = await outcomeOf(returning(result), { options: { limits } });
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_protocol', isRetryable: false });
    expect(failureOf(outcome).message).toMatch(/^agent `robot` returned /);
  });

  it('that never settles is given up after its grace', async () => {
    const runner = createSdkRunner(
      { name: 'robot', roles: ['deployer'], execute: () => new Promise<void>(() => undefined) },
      { stopGraceMs: 20 },
    );
    const transport = new InProcessTransport(realClock, [runner]);
    const sink = new MemorySink();
    const order = orderOf();
    transport.dispatch(order, sink);
    await transport.stop(order.task_id);
    expect(sink.outcomes.map(failureOf)).toMatchObject([{ code: 'agent_lost', isRetryable: true }]);
  });

  it('that throws because it was stopped is no failure of its own', async () => {
    const runner = createSdkRunner({
      name: 'robot',
      roles: ['deployer'],
      execute: (_task, { signal }) =>
        new Promise<void>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        ),
    });
    const transport = new InProcessTransport(realClock, [runner]);
    const sink = new MemorySink();
    const order = orderOf();
    transport.dispatch(order, sink);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await transport.stop(order.task_id);
    expect(sink.outcomes.map(failureOf)).toMatchObject([{ code: 'agent_lost', isRetryable: true }]);
  });
});

describe('a compensation order', () => {
  const order: Partial<TaskOrder> = {
    type: 'compensation',
    reason: 'stage `verify` failed',
    artifacts: [inputArtifact('image', 'of build')],
    artifacts_to_undo: [inputArtifact('image', 'of deploy', { stage: 'deploy' })],
  };

  it('gives the agent what the stage had and made', async () => {
    const outcome = await outcomeOf(() => undefined, {
      order,
      agent: {
        compensate: async (task, ctx) => ({
          output: [
            task.type,
            task.original_context.input,
            task.original_context.artifacts.length,
            task.artifacts_to_undo.length,
            task.reason,
            await ctx.artifacts.text('image'),
            await ctx.artifacts.text('image', { stage: 'build' }),
          ],
        }),
      },
    });
    expect(outcome).toMatchObject({
      output: ['compensation', { version: '1.2' }, 1, 1, 'stage `verify` failed', 'of deploy', 'of build'],
    });
  });

  it('fails for good where the agent has nothing to take it back with', async () => {
    const outcome = await outcomeOf(() => undefined, { order });
    expect(failureOf(outcome)).toMatchObject({ code: 'task_failed', isRetryable: false });
    expect(failureOf(outcome).message).toContain('has no `compensate`');
  });
});

describe('defining an agent', () => {
  it('names every problem at once', () => {
    const bad = { name: 'a b', roles: ['x/y', 'x/y'], maxConcurrent: 0, leaseMs: -1 };
    // @ts-expect-error: as from JavaScript, without `execute`
    const define = () => defineAgent(bad);
    expect(define).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    try {
      define();
    } catch (error) {
      expect(error).toMatchObject({ problems: { length: 7 } });
    }
  });

  it('returns the agent as it was given', () => {
    const agent: Agent = { name: 'a', roles: ['r'], execute: () => undefined };
    expect(defineAgent(agent)).toBe(agent);
  });
});
