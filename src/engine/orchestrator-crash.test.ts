import { describe, expect, it } from 'vitest';
import { PermanentError } from '../agent/agent.js';
import { SurrealWorkflowStore } from '../store/surreal/store.js';
import { TestClock } from '../testing/test-clock.js';
import { ANN, gate, Hand, hang, Rig, workflow } from './orchestrator.suite.js';

const seq3 = workflow('seq3', ['a', 'b', 'c']);

describe('after a crash', () => {
  it('finished steps are kept, the attempt number goes on and the key stays', async () => {
    const hand = new Hand('do');
    const ran: string[] = [];
    const held = gate();
    hand.doing = async (task, ctx) => {
      const value = await ctx.step('reserve', () => {
        ran.push(`reserve#${task.attempt}`);
        return { ticket: task.attempt };
      });
      if (task.attempt === 1) await held.opened;
      ran.push(`used ${JSON.stringify(value)}`);
      return undefined;
    };
    const rig = new Rig({ workflows: [workflow('w', ['a'])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.clock.advance(300);
    const next = rig.crash();
    expect(await next.api.recover()).toBe(1);
    expect((await next.api.untilRest('x')).status).toBe('completed');
    expect(ran).toEqual(['reserve#1', 'used {"ticket":1}']);
    expect(hand.log).toEqual(['a#1', 'a#2']);
    expect(new Set(hand.orders.map((order) => order.idempotency_key))).toEqual(new Set(['x/a/do/execute']));
    expect(await next.types('x')).toContain('task_interrupted');
    held.open();
    await next.expectQuiet();
  });

  it('a cancel is heard before the interrupted work is taken up again', async () => {
    const hand = new Hand('do');
    const held = gate();
    hand.doing = () => held.opened;
    const rig = new Rig({ workflows: [workflow('w', ['a'])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.clock.advance(0);
    const next = rig.crash();
    await next.api.cancel('x', ANN, { compensate: true });
    expect((await next.api.untilRest('x')).status).toBe('cancelled');
    expect(hand.log).toEqual(['a#1']);
    held.open();
    await next.expectQuiet();
  });

  it('at any commit of a rollback, the rollback goes on where it was', async () => {
    const undo = (name: string) => ({ name, agents: ['do'], compensation_agents: ['do'] });
    const template = workflow('w', [
      undo('a'),
      undo('b'),
      { name: 'c', agents: ['broken'], retry: { max_attempts: 1 } },
    ]);
    for (let at = 1; at <= 6; at += 1) {
      const [hand, broken] = [new Hand('do'), new Hand('broken')];
      broken.doing = () => {
        throw new Error('no way');
      };
      const rig = new Rig({ workflows: [template], agents: [hand, broken] });
      let next: Rig | null = null;
      rig.store.meet = (call) => {
        if (call !== 'save' || rig.store.commits.length < at) return;
        next ??= rig.crash();
        return new Promise<void>(() => {});
      };
      rig.start('w', 'x').catch(() => undefined);
      await rig.clock.advance(0);
      const after: Rig = next ?? rig.crash();
      const live = await after.api.recover();
      expect(live).toBe(at === 1 ? 0 : 1);
      if (live === 0) continue;
      expect((await after.api.untilRest('x')).status).toBe('failed');
      const undone = hand.orders
        .filter((order) => order.type === 'compensation')
        .map((order) => order.stage_name);
      expect([...new Set(undone)]).toEqual(['b', 'a']);
      await after.expectQuiet();
    }
  });

  it('recovery may be asked for twice, also while instances are started and move on', async () => {
    const hand = new Hand('do', ['do'], 3);
    hand.doing = hang;
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    for (let number = 0; number < 30; number += 1) await rig.start('seq3', `i${number}`);
    const next = rig.crash();
    hand.doing = () => undefined;
    // the second reading of the store is held up until all that it read has moved on and gone to sleep
    const held = gate();
    next.store.meet = (call) => (call === 'loadActive' ? held.opened : undefined);
    const late = next.api.recover();
    await next.clock.advance(0);
    next.store.meet = () => undefined;
    const [first] = await Promise.all([next.api.recover(), next.start('seq3', 'new')]);
    expect(first).toBe(30);
    await Promise.all([...Array(30).keys()].map((number) => next.api.untilRest(`i${number}`)));
    await next.clock.advance(0);
    expect(next.api.awake).toBe(0);
    held.open();
    expect(await late).toBeGreaterThanOrEqual(30);
    expect((await next.api.list({ limit: 100, status: 'completed' })).items).toHaveLength(31);
    await next.expectQuiet();
  });
});

describe('a close', () => {
  it('during activity records no outcome, and the next engine goes on', async () => {
    const hand = new Hand('do');
    hand.doing = hang;
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    for (const id of ['x', 'y']) await rig.start('seq3', id);
    const resting = rig.api.untilRest('x').catch((error: unknown) => error);
    await Promise.all([rig.api.close(), rig.api.close()]);
    expect(await resting).toMatchObject({ code: 'engine_stopping' });
    await expect(rig.start('seq3', 'z')).rejects.toMatchObject({ code: 'engine_stopping' });
    expect(rig.clock.pending).toBe(0);

    hand.doing = () => undefined;
    const next = rig.crash();
    expect((await next.api.get('x')).stages[0]?.tasks[0]).toMatchObject({
      status: 'dispatched',
      attempt: 1,
      failures: 0,
    });
    expect(await next.api.recover()).toBe(2);
    for (const id of ['x', 'y']) expect((await next.api.untilRest(id)).status).toBe('completed');
    expect(hand.log.filter((line) => line.startsWith('a'))).toEqual(['a#1', 'a#1', 'a#2', 'a#2']);
    await next.expectQuiet();
  });

  it('with many tasks in the queue ends, and leaves them to the next engine', async () => {
    const hand = new Hand('do', ['do'], 1);
    hand.doing = hang;
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    await Promise.all([...Array(500).keys()].map((number) => rig.start('seq3', `i${number}`)));
    expect(rig.api.swarm.queued).toBe(499);
    await rig.api.close();
    expect(hand.log).toEqual(['a#1']);
    hand.doing = () => undefined;
    const next = rig.crash();
    expect(await next.api.recover()).toBe(500);
    await Promise.all([...Array(500).keys()].map((number) => next.api.untilRest(`i${number}`)));
    await next.expectQuiet();
  });

  it('lets a recovery that is under way leave off before the store is closed', async () => {
    const hand = new Hand('do', ['do'], 3);
    hand.doing = hang;
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    for (let number = 0; number < 3; number += 1) await rig.start('seq3', `i${number}`);
    for (const [read, woken] of [
      ['loadActive', 0],
      ['nextWakeAt', 3],
      ['list', 3],
    ] as const) {
      const next = rig.crash();
      const held = gate();
      next.store.meet = (call) => (call === read ? held.opened : undefined);
      const recovered = next.api.recover();
      await next.clock.advance(0);
      const closed = next.api.close();
      held.open();
      expect(await recovered).toBe(woken);
      await closed;
    }
  });
});

describe('an agent', () => {
  it('that comes later unblocks whoever waited for its role, asleep or not', async () => {
    const stages = [
      { name: 'a', agents: ['do'], needs: [] },
      { name: 'b', agents: ['later'], needs: [] },
    ];
    const rig = new Rig({ workflows: [workflow('w', stages)], agents: [new Hand('do')] });
    for (const id of ['x', 'y']) expect((await rig.run('w', id)).status).toBe('blocked');
    await rig.clock.advance(0);
    expect(rig.api.awake).toBe(0);
    const later = new Hand('later');
    rig.add(later);
    await rig.clock.advance(0);
    // only looked at: to ask for their rest would wake them
    for (const id of ['x', 'y']) expect((await rig.api.get(id)).status).toBe('completed');
    expect(later.log).toEqual(['b#1', 'b#1']);
    await rig.expectQuiet();
  });

  it('that goes while tasks wait for it leaves them blocked, not silently queued', async () => {
    const hand = new Hand('do', ['do'], 1);
    const held = gate();
    hand.doing = () => held.opened;
    const rig = new Rig({ workflows: [workflow('w', ['a'])], agents: [hand] });
    for (const id of ['x', 'y']) await rig.start('w', id);
    rig.transport.unregister('do');
    expect((await rig.api.untilRest('y')).stages[0]?.block).toMatchObject({
      code: 'role_unserved',
      role: 'do',
    });
    held.open();
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    rig.add(hand);
    await rig.clock.advance(0);
    expect((await rig.api.untilRest('y')).status).toBe('completed');
    await rig.expectQuiet();
  });

  it('that falls silent loses its attempt, and the next one follows when it has stopped', async () => {
    const hand = new Hand('do', ['do'], 1);
    hand.doing = (task, ctx) => (task.attempt === 1 ? hang(task, ctx) : undefined);
    const rig = new Rig({
      workflows: [workflow('w', ['a'])],
      agents: [Object.assign(hand, { leaseMs: 1_000 })],
    });
    await rig.start('w', 'x');
    await rig.clock.advance(1_000);
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'a#2']);
    const lost = (await rig.events('x')).find((event) => event.type === 'task_interrupted');
    expect(lost).toMatchObject({ attempt: 1, reason: 'its lease ran out' });
    expect((await rig.api.get('x')).stages[0]?.tasks[0]?.failures).toBe(0);
    await rig.expectQuiet();
  });
});

describe('wishes', () => {
  it('meet the instance wherever it is on its way to sleep', async () => {
    const rig = new Rig({
      workflows: [workflow('w', [{ name: 'a', agents: ['do'], approval_required: true }])],
      agents: [new Hand('do')],
    });
    await rig.run('w', 'x');
    const before = (await rig.api.get('x')).revision;
    for (let round = 0; round < 20; round += 1) {
      const asked = [rig.api.resume('x', ANN), rig.api.untilRest('x'), rig.api.resume('x', ANN)];
      await rig.clock.advance(0);
      await Promise.all(asked);
      if (round % 2 === 0) await rig.clock.advance(0);
    }
    const { revision, seq } = await rig.api.get('x');
    expect(revision).toBeGreaterThan(before);
    expect((await rig.events('x')).at(-1)?.seq).toBe(seq);
    await rig.expectQuiet();
  });
});

describe('many instances at once', () => {
  it.each([
    ['memory', 1_000],
    ['mem://', 200],
  ])('all end and leave nothing behind (%s)', async (kind, count) => {
    const hand = new Hand('do', ['do'], 8);
    hand.doing = ({ workflow_id, stage_name, attempt }) => {
      if (stage_name === 'b' && attempt === 1 && workflow_id.endsWith('3')) throw new Error('once');
      if (stage_name === 'c' && workflow_id.endsWith('7')) throw new PermanentError('never');
      return { artifacts: [{ name: stage_name, kind: 'code', content: workflow_id }] };
    };
    const retry = { max_attempts: 2, initial_ms: 1_000 };
    const stages = [
      { name: 'a', agents: ['do'], compensation_agents: ['do'] },
      { name: 'b', agents: ['do'], retry },
      'c',
    ];
    const workflows = [workflow('w', stages, { workflowTimeoutMs: 3_600_000 })];
    const clock = new TestClock();
    const store = kind === 'memory' ? {} : { store: await SurrealWorkflowStore.open(kind, { clock }) };
    const rig = new Rig({ workflows, agents: [hand], maxParallelTasks: 6, ...store, clock });
    let left = count;
    const runs = Array.from({ length: count }, async (_, number) => {
      const { status } = await rig.run('w', `i${number}`);
      left -= 1;
      return status;
    });
    // slowly enough for a store that takes real time
    for (; left > 0; await clock.advance(100)) await new Promise((resolve) => setTimeout(resolve, 2));
    const ends = await Promise.all(runs);
    expect(ends.filter((status) => status === 'completed')).toHaveLength(count * 0.9);
    expect(ends.filter((status) => status === 'failed')).toHaveLength(count * 0.1);
    // three stages each, a second attempt for one in ten and a compensation for another one
    expect(hand.orders).toHaveLength(count * 3.2);
    await rig.expectQuiet();
    await rig.api.close();
    expect(clock.pending).toBe(0);
  });
});
