import { describe, expect, it } from 'vitest';
import { PermanentError } from '../agent/agent.js';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { VaporaError } from '../core/errors.js';
import type { AuthorizationRequest, Authorizer } from '../core/ports.js';
import { ANN, BOB, gate, Hand, Rig, workflow } from './orchestrator.suite.js';

const seq3 = workflow('seq3', ['a', 'b', 'c']);

/** Denies what `isDenied` says. */
class Gatekeeper implements Authorizer {
  readonly isEnforcing = true;
  readonly policySet = null;
  isDenied: (request: AuthorizationRequest) => boolean = () => false;

  authorize(request: AuthorizationRequest) {
    const allowed = new AllowAllAuthorizer().authorize(request);
    return this.isDenied(request)
      ? { ...allowed, effect: 'deny' as const, reason: 'no permit matched' }
      : allowed;
  }
}

describe('a commit', () => {
  it("carries a stage's end, the permit of the next and its dispatch", async () => {
    const rig = new Rig({ workflows: [seq3], agents: [new Hand('do')] });
    const instance = await rig.run('seq3');
    expect(instance).toMatchObject({ status: 'completed', revision: 4 });
    expect(rig.store.commits.map(({ events }) => events.map((event) => event.type).join(' '))).toEqual([
      'workflow_created workflow_started stage_authorized stage_started task_dispatched',
      'task_completed stage_completed stage_authorized stage_started task_dispatched',
      'task_completed stage_completed stage_authorized stage_started task_dispatched',
      'task_completed stage_completed workflow_completed',
    ]);
    await rig.expectQuiet();
  });

  it('is on disk before an agent is called or a caller is answered', async () => {
    const hand = new Hand('do');
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    const held = gate();
    rig.store.meet = (call) => (call === 'save' ? held.opened : undefined);
    let isAnswered = false;
    const starting = rig.start('seq3', 'x').then(() => {
      isAnswered = true;
    });
    await rig.clock.advance(10);
    expect([hand.log, isAnswered, rig.heard.length]).toEqual([[], false, 0]);
    held.open();
    await starting;
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    await rig.expectQuiet();
  });

  it('that fails dispatches nothing, ends the engine and tells everybody why', async () => {
    const hand = new Hand('do');
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    const broken = new VaporaError('store_failed', 'the disk is gone');
    const held = gate();
    rig.store.meet = async (call) => {
      if (call !== 'save') return;
      await held.opened;
      throw broken;
    };
    const starts = ['x', 'y'].map((id) => rig.start('seq3', id).catch((error: unknown) => error));
    await rig.clock.advance(10);
    held.open();
    expect(await Promise.all(starts)).toEqual([broken, broken]);
    expect(await rig.api.failed).toBe(broken);
    expect(hand.log).toEqual([]);
    for (const call of [
      rig.start('seq3', 'z'),
      rig.api.get('x'),
      rig.api.cancel('x', ANN, { compensate: true }),
    ]) {
      await expect(call).rejects.toBe(broken);
    }
    await rig.api.close();
  });

  it('that fails later rejects whoever waits, and the task done is not lost for the next engine', async () => {
    const hand = new Hand('do');
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    const held = gate();
    hand.doing = () => held.opened;
    await rig.start('seq3', 'x');
    const resting = rig.api.untilRest('x').catch((error: unknown) => error);
    const broken = new VaporaError('store_full', 'no space left');
    rig.store.meet = (call) => {
      if (call === 'save') throw broken;
    };
    held.open();
    expect(await resting).toBe(broken);
    const next = rig.crash();
    expect(await next.api.recover()).toBe(1);
    expect((await next.api.untilRest('x')).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'a#2', 'b#1', 'c#1']);
    await next.expectQuiet();
  });

  it('of an artifact that is too large for the history is made before it is referred to, or not at all', async () => {
    const hand = new Hand('do');
    hand.doing = () => ({ artifacts: [{ name: 'big', kind: 'code', content: 'x'.repeat(10_000) }] });
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    const instance = await rig.run('seq3', 'x');
    const [artifact] = await rig.api.artifacts('x');
    expect(artifact && (await rig.api.content('x', artifact)).byteLength).toBe(10_000);
    expect(instance.revision).toBe(4);
    await rig.expectQuiet();

    const broken = new VaporaError('store_full', 'no space left');
    rig.store.meet = (call) => {
      if (call === 'saveBlob') throw broken;
    };
    const run = rig.run('seq3', 'y').catch((error: unknown) => error);
    expect(await run).toBe(broken);
    expect(await rig.api.failed).toBe(broken);
    expect((await rig.store.load(instance.id))?.instance.id).toBe('x');
    expect(hand.log.slice(3)).toEqual(['a#1']);
  });
});

describe('an attempt', () => {
  it('that ends while another commit of its instance is under way is not started again', async () => {
    const hand = new Hand('do', ['one', 'two']);
    const ends = [gate(), gate()];
    hand.doing = ({ role }) => ends[role === 'one' ? 0 : 1]?.opened;
    const stage = { name: 'a', agents: ['one', 'two'], parallel: true, max_parallel: 2 };
    const rig = new Rig({ workflows: [workflow('w', [stage])], agents: [hand] });
    await rig.start('w', 'x');
    const held = gate();
    rig.store.meet = (call) => (call === 'save' ? held.opened : undefined);
    for (const end of ends) {
      end.open();
      await rig.clock.advance(0);
    }
    expect(rig.store.commits).toHaveLength(2);
    held.open();
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'a#1']);
    await rig.expectQuiet();
  });
});

describe('a denied stage', () => {
  it('is never dispatched, and goes on once the policies allow it', async () => {
    const hand = new Hand('do');
    const authorizer = new Gatekeeper();
    authorizer.isDenied = ({ resource }) => resource.type === 'Stage' && resource.id === 'b';
    const rig = new Rig({ workflows: [seq3], agents: [hand], authorizer });
    const blocked = await rig.run('seq3', 'x');
    expect(blocked).toMatchObject({ status: 'blocked', stages: [{}, { block: { code: 'denied' } }, {}] });
    expect(hand.log).toEqual(['a#1']);
    await rig.expectQuiet();

    expect((await rig.api.resume('x', ANN)).status).toBe('blocked');
    authorizer.isDenied = () => false;
    await rig.api.resume('x', ANN);
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'b#1', 'c#1']);
    await rig.expectQuiet();
  });

  it('gives back an agent that was found in the same turn', async () => {
    const template = workflow(
      'fork',
      [
        { name: 'a', agents: ['do'], needs: [] },
        { name: 'b', agents: ['do'], needs: [] },
      ],
      { onDeny: 'compensate' },
    );
    const authorizer = new Gatekeeper();
    authorizer.isDenied = ({ resource }) => resource.type === 'Stage' && resource.id === 'b';
    const hand = new Hand('do', ['do'], 1);
    const rig = new Rig({ workflows: [template], agents: [hand], authorizer });
    expect((await rig.run('fork')).status).toBe('failed');
    expect(hand.log).toEqual([]);
    await rig.expectQuiet();
  });
});

describe('a start', () => {
  it('made fifty times at once under one id is one instance', async () => {
    const hand = new Hand('do', ['do'], 1);
    const rig = new Rig({ workflows: [seq3, workflow('other', ['a'])], agents: [hand] });
    const request = { workflow: 'seq3', initiator: ANN, id: 'x', input: { b: 1, a: [2] } };
    const results = await Promise.all(Array.from({ length: 50 }, () => rig.api.start(request)));
    expect(results.filter((result) => result.isNew)).toEqual([{ id: 'x', isNew: true }]);
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'b#1', 'c#1']);
    expect(await rig.api.start({ ...request, input: { a: [2], b: 1 } })).toEqual({ id: 'x', isNew: false });
    for (const other of [{ input: { a: 1 } }, { workflow: 'other' }]) {
      await expect(rig.api.start({ ...request, ...other })).rejects.toMatchObject({
        code: 'instance_exists',
      });
    }
    await rig.expectQuiet();
  });

  it('of different things under one id at once makes the first', async () => {
    const rig = new Rig({ workflows: [seq3, workflow('other', ['a'])], agents: [new Hand('do', ['do'], 1)] });
    const all = await Promise.allSettled(
      ['seq3', 'other', 'seq3', 'other'].map((name) =>
        rig.api.start({ workflow: name, initiator: ANN, id: 'x' }),
      ),
    );
    expect(all.map((one) => (one.status === 'fulfilled' ? one.value.isNew : one.reason.code))).toEqual([
      true,
      'instance_exists',
      false,
      'instance_exists',
    ]);
    expect(await rig.api.untilRest('x')).toMatchObject({ status: 'completed', templateName: 'seq3' });
    await rig.expectQuiet();
  });

  it('that is denied makes nothing', async () => {
    const authorizer = new Gatekeeper();
    authorizer.isDenied = ({ action }) => action === 'start-workflow';
    const rig = new Rig({ workflows: [seq3], agents: [new Hand('do')], authorizer });
    await expect(rig.start('seq3', 'x')).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(rig.api.get('x')).rejects.toMatchObject({ code: 'instance_unknown' });
    expect(rig.store.commits).toEqual([]);
  });

  it('is refused while too many tasks wait for an agent, but not one that is known', async () => {
    const rig = new Rig({ workflows: [seq3], agents: [new Hand('do', ['do'], 1)] });
    await rig.run('seq3', 'known');
    for (let task = 0; task <= 50_000; task += 1) {
      rig.api.swarm.request({ key: `i${task}/s/do/execute#1`, instance: `i${task}`, role: 'do' });
    }
    await expect(rig.start('seq3', 'x')).rejects.toMatchObject({ code: 'engine_overloaded' });
    expect(await rig.start('seq3', 'known')).toBe('known');
  });
});

describe('an approval', () => {
  const gated = workflow('gated', ['a', { name: 'b', agents: ['do'], approval_required: true }]);

  it('by somebody who may not is recorded and changes nothing else', async () => {
    const authorizer = new Gatekeeper();
    authorizer.isDenied = ({ action, principal }) => action === 'approve-stage' && principal.id === 'ann';
    const rig = new Rig({ workflows: [gated], agents: [new Hand('do')], authorizer });
    const before = await rig.run('gated', 'x');
    expect(before.status).toBe('waiting_approval');
    await rig.expectQuiet();
    await expect(rig.api.approve('x', 'b', ANN)).rejects.toMatchObject({ code: 'unauthorized' });
    const after = await rig.api.get('x');
    const { revision, seq, updatedAt } = after;
    expect(after).toEqual({ ...before, revision, seq, updatedAt });
    expect((await rig.events('x')).at(-1)).toMatchObject({
      type: 'action_authorized',
      by: ANN,
      decision: { effect: 'deny' },
    });
    await rig.api.approve('x', 'b', BOB, { comment: 'fine' });
    const done = await rig.api.untilRest('x');
    expect(done).toMatchObject({
      status: 'completed',
      stages: [{}, { approval: { by: 'bob', comment: 'fine' } }],
    });
    await rig.expectQuiet();
  });

  it('given twice at once is given once', async () => {
    const rig = new Rig({ workflows: [gated], agents: [new Hand('do')] });
    await rig.run('gated', 'x');
    const both = await Promise.allSettled([rig.api.approve('x', 'b', ANN), rig.api.approve('x', 'b', BOB)]);
    expect(both.map((one) => (one.status === 'fulfilled' ? 'given' : one.reason.code))).toEqual([
      'given',
      'not_waiting',
    ]);
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    await rig.expectQuiet();
  });
});

describe('rest', () => {
  it('is an end, a question to a person, or a block, and nothing that time alone will change', async () => {
    const hand = new Hand('do');
    const stages = [
      { name: 'flaky', agents: ['do'], retry: { max_attempts: 2, initial_ms: 5_000, jitter: 0 } },
      { name: 'gated', agents: ['do'], approval_required: true },
      { name: 'unserved', agents: ['nobody'] },
    ];
    const rig = new Rig({ workflows: [workflow('w', stages)], agents: [hand] });
    hand.doing = ({ attempt }) => {
      if (attempt === 1) throw new Error('again');
      return undefined;
    };
    const id = await rig.start('w', 'x');
    let rested = 0;
    const resting = rig.api.untilRest(id).then((instance) => {
      rested += 1;
      return instance;
    });
    await rig.clock.advance(4_999);
    expect(rested).toBe(0);
    await rig.clock.advance(1);
    expect((await resting).status).toBe('waiting_approval');
    hand.doing = () => undefined;
    await rig.api.approve(id, 'gated', ANN);
    const blocked = await rig.api.untilRest(id);
    expect(blocked).toMatchObject({
      status: 'blocked',
      stages: [{}, {}, { block: { code: 'role_unserved' } }],
    });
    expect((await rig.api.cancel(id, ANN, { compensate: false })).status).toBe('cancelled');
    expect((await rig.api.untilRest(id)).status).toBe('cancelled');
    await rig.expectQuiet();
  });

  it('is not yet while a stopped agent still acts', async () => {
    const hand = new Hand('do');
    const ending = gate();
    hand.doing = () => ending.opened;
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    await rig.start('seq3', 'x');
    expect((await rig.api.cancel('x', ANN, { compensate: true })).status).toBe('cancelled');
    let isResting = false;
    const resting = rig.api.untilRest('x').then(() => {
      isResting = true;
    });
    await rig.clock.advance(100);
    expect(isResting).toBe(false);
    ending.open();
    await resting;
    await rig.expectQuiet();
  });
});

describe('listeners', () => {
  it('hear every event once and in order, whatever another listener does', async () => {
    const rig = new Rig({ workflows: [seq3], agents: [new Hand('do')] });
    rig.api.subscribe(() => {
      throw new Error('a bad listener');
    });
    const seqs: number[] = [];
    const stop = rig.api.subscribe((notice) => {
      if (notice.kind === 'event') seqs.push(notice.event.seq);
    });
    const { seq } = await rig.run('seq3', 'x');
    expect(seqs).toEqual(Array.from({ length: seq }, (_, index) => index + 1));
    stop();
    await rig.run('seq3', 'y');
    expect(seqs).toHaveLength(seq);
    await rig.expectQuiet();
  });

  it('that throw do not fail an agent that tells its progress', async () => {
    const hand = new Hand('do');
    hand.doing = (_task, ctx) => {
      ctx.progress('half', 0.5);
      return undefined;
    };
    const rig = new Rig({ workflows: [seq3], agents: [hand] });
    rig.api.subscribe(() => {
      throw new PermanentError('a bad listener');
    });
    expect((await rig.run('seq3')).status).toBe('completed');
  });
});
