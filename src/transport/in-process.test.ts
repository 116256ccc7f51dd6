import { describe, expect, it } from 'vitest';
import type { TaskOutcome } from '../core/ports.js';
import { failureOf, MemorySink, orderOf, pause, realClock } from './attempt.suite.js';
import { InProcessTransport } from './in-process.js';
import type { AttemptVoice, Runner } from './runner.js';

const DONE: TaskOutcome = { status: 'completed', artifacts: [], output: null, log: null };

function runnerOf(run: Runner['run'], more: { name?: string; stopGraceMs?: number | null } = {}): Runner {
  const { name = 'robot', stopGraceMs = 30 } = more;
  return { info: { name, roles: ['deployer'], maxConcurrent: 2, leaseMs: null }, stopGraceMs, run };
}

function dispatch(run: Runner['run'], stopGraceMs?: number | null) {
  const transport = new InProcessTransport(realClock, [
    runnerOf(run, stopGraceMs === undefined ? {} : { stopGraceMs }),
  ]);
  const sink = new MemorySink();
  const order = orderOf();
  transport.dispatch(order, sink);
  return { transport, sink, order };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

describe('an in-process transport', () => {
  it('hands the order to the named agent and its outcome back, once', async () => {
    const { sink, transport, order } = dispatch(async () => DONE);
    expect(sink.outcomes).toEqual([]);
    expect(await sink.ended).toEqual(DONE);
    await transport.stop(order.task_id);
    expect(sink.outcomes).toHaveLength(1);
  });

  it('tells who is there, and of each arrival and departure', () => {
    const transport = new InProcessTransport(realClock, [runnerOf(async () => DONE)]);
    let changes = 0;
    const unsubscribe = transport.onChange(() => {
      changes += 1;
    });
    transport.register(runnerOf(async () => DONE, { name: 'other' }));
    expect(transport.agents().map((agent) => agent.name)).toEqual(['robot', 'other']);
    transport.unregister('robot');
    transport.unregister('nobody');
    expect(transport.agents().map((agent) => agent.name)).toEqual(['other']);
    unsubscribe();
    transport.unregister('other');
    expect(changes).toBe(2);
  });

  it('refuses a second agent of the same name', () => {
    const transport = new InProcessTransport(realClock, [runnerOf(async () => DONE)]);
    expect(() => transport.register(runnerOf(async () => DONE))).toThrow('already an agent `robot`');
  });

  it('turns a throw, a rejection and an absent agent into retryable outcomes', async () => {
    const thrown = dispatch(() => {
      throw new Error('at once');
    });
    const rejected = dispatch(() => Promise.reject(undefined));
    expect(failureOf(await thrown.sink.ended)).toMatchObject({ code: 'agent_failed', isRetryable: true });
    expect(failureOf(await rejected.sink.ended)).toMatchObject({ code: 'agent_failed', isRetryable: true });
    const absent = new MemorySink();
    thrown.transport.dispatch(orderOf({ agent: 'nobody' }), absent);
    expect(absent.outcomes).toEqual([]);
    expect(failureOf(await absent.ended)).toMatchObject({ code: 'agent_lost', isRetryable: true });
  });

  it('resolves a stop only after the runner has settled and the sink has heard the end', async () => {
    const { transport, sink, order } = dispatch(async (_order, _voice, { signal }) => {
      await untilAborted(signal);
      await pause(50);
      return DONE;
    }, null);
    await Promise.all([transport.stop(order.task_id), transport.stop(order.task_id)]);
    expect(sink.outcomes).toEqual([DONE]);
    await transport.stop(order.task_id);
    await transport.stop('never dispatched');
  });

  it('gives a runner up that does not settle after its grace, and ignores what it says later', async () => {
    let voice: AttemptVoice | undefined;
    let settle: (outcome: TaskOutcome) => void = () => undefined;
    const { transport, sink, order } = dispatch((_order, given) => {
      voice = given;
      return new Promise((resolve) => {
        settle = resolve;
      });
    });
    await transport.stop(order.task_id);
    expect(failureOf(sink.outcomes[0] ?? DONE)).toMatchObject({ code: 'agent_lost', isRetryable: true });
    voice?.heartbeat();
    voice?.progress({ message: 'late', fraction: null });
    await expect(voice?.step({ name: 's', value: 1 })).rejects.toThrow('already ended');
    await expect(voice?.blob(order.input)).rejects.toThrow('already ended');
    settle(DONE);
    await pause(5);
    expect(sink.outcomes).toHaveLength(1);
    expect([sink.heartbeats, sink.progresses, sink.steps]).toEqual([0, [], []]);
  });

  it('lets an attempt finish whose agent has left', async () => {
    const { transport, sink } = dispatch(async () => {
      await pause(10);
      return DONE;
    });
    transport.unregister('robot');
    expect(await sink.ended).toEqual(DONE);
  });

  it('stops everything when it is closed and takes no further orders', async () => {
    const { transport, sink } = dispatch(async (_order, _voice, { signal }) => {
      await untilAborted(signal);
      return DONE;
    });
    await transport.close();
    expect(sink.outcomes).toEqual([DONE]);
    const late = new MemorySink();
    transport.dispatch(orderOf(), late);
    expect(failureOf(await late.ended)).toMatchObject({ code: 'engine_stopping', isRetryable: true });
    expect(transport.agents()).toEqual([]);
    await transport.close();
  });
});
