import { describe, expect, it } from 'vitest';
import type { TaskOutcome } from '../core/ports.js';
import { TestClock } from '../testing/test-clock.js';
import { MemorySink, orderOf, pause, realClock } from './attempt.suite.js';
import { InProcessTransport } from './in-process.js';
import { JoinedTransport } from './joined.js';
import { RemoteTransport } from './remote.js';

const DONE: TaskOutcome = { status: 'completed', artifacts: [], output: null, log: null };
const LIMITS = { maxArtifacts: 10, maxTotalArtifactBytes: 1_000 };

function joined() {
  const local = new InProcessTransport(realClock, [
    {
      info: { name: 'here', roles: ['deployer'], maxConcurrent: 1, leaseMs: null },
      stopGraceMs: null,
      run: async () => DONE,
    },
  ]);
  const clock = new TestClock();
  const remote = new RemoteTransport({ clock, leaseMs: 1_000, limits: LIMITS });
  remote.desk.attach({ claimed: async () => {}, late: async () => false }, (name) => name === 'here');
  return { transport: new JoinedTransport(local, remote), remote, clock };
}

describe('two transports as one', () => {
  it('show the agents of both, and tell of changes of either', async () => {
    const { transport, remote } = joined();
    let changes = 0;
    const unsubscribe = transport.onChange(() => {
      changes += 1;
    });
    const there = { name: 'there', roles: ['deployer'], capacity: 1, version: null, key: null };
    const { session } = await remote.desk.register('ann', there, []);
    expect(transport.agents().map(({ name }) => name)).toEqual(['here', 'there']);
    remote.desk.leave(session, 'ann');
    expect(changes).toBe(2);
    unsubscribe();
    await expect(remote.desk.register('ann', { ...there, name: 'here' }, [])).rejects.toThrow('already');
    expect(changes).toBe(2);
    await transport.close();
  });

  it('carry an order to where its agent is, and stop it there', async () => {
    const { transport, remote } = joined();
    const here = new MemorySink();
    transport.dispatch(orderOf({ agent: 'here' }), here);
    expect(await here.ended).toEqual(DONE);
    await remote.desk.register(
      'ann',
      { name: 'there', roles: ['deployer'], capacity: 1, version: null, key: null },
      [],
    );
    const there = new MemorySink();
    const order = orderOf({ agent: 'there' });
    transport.dispatch(order, there);
    await transport.stop(order.task_id);
    expect(there.outcomes).toEqual([{ status: 'lost', reason: 'it was stopped' }]);
    const nowhere = new MemorySink();
    transport.dispatch(orderOf({ agent: 'nowhere' }), nowhere);
    expect(await nowhere.ended).toMatchObject({ status: 'lost' });
    await transport.close();
  });

  it('take up only what an agent elsewhere may still be at, until its lease is over', async () => {
    const { transport, clock } = joined();
    const sink = new MemorySink();
    expect(transport.resume('here', () => orderOf({ agent: 'here' }), sink)).toBe(false);
    expect(transport.resume('there', () => orderOf({ agent: 'there' }), sink)).toBe(true);
    await clock.advance(900);
    await pause(0);
    expect(sink.outcomes).toEqual([]);
    await clock.advance(200);
    expect(sink.outcomes).toEqual([{ status: 'lost', reason: 'agent `there` did not come back in time' }]);
    await transport.close();
  });
});
