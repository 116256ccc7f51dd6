import { describe, expect, it } from 'vitest';
import { PermanentError } from '../agent/agent.js';
import { ANN, gate, Hand, hang, Rig, workflow } from './orchestrator.suite.js';

const undoable = (name: string) => ({ name, agents: ['do'], compensation_agents: ['do'] });
const fast = { max_attempts: 2, initial_ms: 1_000, jitter: 0 };

function failing(stage: string): Hand['doing'] {
  return ({ stage_name }) => {
    if (stage_name === stage) throw new PermanentError('no way');
    return { artifacts: [{ name: `made-by-${stage_name}`, kind: 'code', content: stage_name }] };
  };
}

describe('a compensation', () => {
  it('gets what was made and why it is taken back, in exactly these words', async () => {
    const hand = new Hand('do');
    hand.doing = failing('c');
    const rig = new Rig({
      workflows: [workflow('w', [undoable('a'), undoable('b'), 'c'])],
      agents: [hand],
    });
    await rig.start('w', 'x', { shop: 7 });
    expect((await rig.api.untilRest('x')).status).toBe('failed');
    expect(hand.log).toEqual(['a#1', 'b#1', 'c#1', 'undo b#1', 'undo a#1']);
    const [undoB] = hand.orders.slice(3);
    const made = (stage: string) =>
      expect.objectContaining({ stage, role: 'do', name: `made-by-${stage}`, kind: 'code', inline: stage });
    const {
      workflow: name,
      role,
      agent,
      initiator,
      labels,
      deadline_at,
      traceparent,
      ...payload
    } = undoB ?? {};
    expect(payload).toEqual({
      type: 'compensation',
      stage_name: 'b',
      workflow_id: 'x',
      original_context: { input: { shop: 7 }, artifacts: [made('a')] },
      artifacts_to_undo: [made('b')],
      task_id: 'x/b/do/compensate#1',
      attempt: 1,
      idempotency_key: 'x/b/do/compensate',
      reason: 'agent `do` failed: no way',
    });
    expect({ name, role, agent, initiator, labels, traceparent }).toEqual({
      name: 'w',
      role: 'do',
      agent: 'do',
      initiator: 'ann',
      labels: {},
      traceparent: null,
    });
    expect(deadline_at).toBeGreaterThan(rig.clock.now());
    await rig.expectQuiet();
  });

  it('starts only once the attempts that were called off have certainly stopped', async () => {
    const [quick, slow, broken] = [new Hand('quick'), new Hand('slow'), new Hand('broken')];
    const ending = gate();
    slow.doing = () => ending.opened;
    broken.doing = () => {
      throw new PermanentError('no way');
    };
    const template = workflow('w', [
      { name: 'a', agents: ['quick'], compensation_agents: ['quick'], needs: [] },
      { name: 'b', agents: ['slow'], needs: ['a'] },
      { name: 'c', agents: ['broken'], needs: ['a'] },
    ]);
    const rig = new Rig({ workflows: [template], agents: [quick, slow, broken] });
    await rig.start('w', 'x');
    await rig.clock.advance(1_000);
    expect((await rig.api.get('x')).status).toBe('compensating');
    expect(quick.log).toEqual(['a#1']);
    ending.open();
    expect((await rig.api.untilRest('x')).status).toBe('failed');
    expect(quick.log).toEqual(['a#1', 'undo a#1']);
    await rig.expectQuiet();
  });

  it('that is given up while it waits for such a stop gives its agent back', async () => {
    const [quick, slow] = [new Hand('quick', ['quick'], 1), new Hand('slow')];
    const ending = gate();
    slow.doing = () => ending.opened;
    const stage = { name: 'a', agents: ['quick'], compensation_agents: ['quick'], compensation_timeout: 1 };
    const template = workflow('w', [
      { ...stage, compensation_retry: { max_attempts: 1 } },
      { name: 'b', agents: ['slow'] },
    ]);
    const rig = new Rig({ workflows: [template], agents: [quick, slow] });
    await rig.start('w', 'x');
    await rig.clock.advance(300);
    await rig.api.cancel('x', ANN, { compensate: true });
    await rig.clock.advance(2_000);
    expect((await rig.api.deadLetters({ limit: 50 })).items.map(({ id, code }) => ({ id, code }))).toEqual([
      { id: 'x/a', code: 'agent_timeout' },
    ]);
    expect(quick.log).toEqual(['a#1']);
    ending.open();
    expect((await rig.api.untilRest('x')).status).toBe('cancelled');
    await rig.expectQuiet();
    await rig.api.retryDeadLetter('x/a', ANN);
    await rig.api.untilRest('x');
    expect(quick.log).toEqual(['a#1', 'undo a#2']);
    expect((await rig.api.deadLetters({ limit: 50 })).items).toEqual([]);
    await rig.expectQuiet();
  });

  it('that runs out of attempts is a dead letter, and is retried to its success after the end', async () => {
    const hand = new Hand('do');
    hand.doing = failing('b');
    hand.undoing = () => {
      throw new Error('not now');
    };
    const a = { ...undoable('a'), compensation_retry: fast };
    const rig = new Rig({ workflows: [workflow('w', [a, 'b'])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.clock.advance(1_000);
    const failed = await rig.api.untilRest('x');
    expect(failed).toMatchObject({
      status: 'failed',
      stages: [{ compensation: { status: 'dead_lettered' } }, {}],
    });
    const [letter] = (await rig.api.deadLetters({ limit: 50 })).items;
    expect(letter).toMatchObject({ id: 'x/a', code: 'agent_failed', attempts: 2 });
    await expect(rig.api.retry('x', ANN)).rejects.toMatchObject({ code: 'not_retryable' });

    await rig.api.retryDeadLetter('x/a', ANN);
    await rig.clock.advance(1_000);
    await rig.api.untilRest('x');
    expect((await rig.api.deadLetters({ limit: 50 })).items.map((one) => one.attempts)).toEqual([4]);
    hand.undoing = () => undefined;
    await rig.api.retryDeadLetter('x/a', ANN);
    const after = await rig.api.untilRest('x');
    expect(after).toMatchObject({
      status: 'failed',
      stages: [{ compensation: { status: 'compensated' } }, {}],
    });
    expect((await rig.api.deadLetters({ limit: 50 })).items).toEqual([]);
    await expect(rig.api.retryDeadLetter('x/a', ANN)).rejects.toMatchObject({ code: 'letter_closed' });
    expect(rig.api.saga.metrics()).toMatchObject({
      planned: 1,
      dispatched: 5,
      failedAttempts: 4,
      deadLettered: 2,
      compensated: 1,
      resolved: 0,
      inconsistentMs: 1_000,
    });
    await rig.expectQuiet();
  });

  it('whose role nobody serves becomes a dead letter that can be resolved by hand', async () => {
    const hand = new Hand('do');
    hand.doing = failing('b');
    const a = { name: 'a', agents: ['do'], compensation_agents: ['nobody'], compensation_retry: fast };
    const rig = new Rig({ workflows: [workflow('w', [a, 'b'])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.clock.advance(1_000);
    expect((await rig.api.untilRest('x')).status).toBe('failed');
    expect((await rig.api.deadLetters({ limit: 50 })).items[0]?.code).toBe('role_unserved');
    await rig.api.resolveDeadLetter('x/a', ANN, 'done by hand');
    expect((await rig.api.deadLetters({ limit: 50 })).items).toEqual([]);
    expect(rig.api.saga.metrics().resolved).toBe(1);
    await rig.expectQuiet();
  });
});

describe('a cancel', () => {
  it('during an attempt stops it, and takes back what was done', async () => {
    const hand = new Hand('do');
    hand.doing = (task, ctx) => (task.stage_name === 'b' ? hang(task, ctx) : undefined);
    const rig = new Rig({ workflows: [workflow('w', [undoable('a'), undoable('b')])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.clock.advance(300);
    expect((await rig.api.cancel('x', ANN, { compensate: true })).status).toBe('compensating');
    expect(await rig.api.untilRest('x')).toMatchObject({
      status: 'cancelled',
      stages: [{ compensation: { status: 'compensated' } }, { compensation: { status: 'skipped' } }],
    });
    expect(hand.log).toEqual(['a#1', 'b#1', 'undo a#1']);
    await rig.expectQuiet();
  });

  it('makes nothing of the result of an attempt that it called off', async () => {
    const hand = new Hand('do');
    const ending = gate();
    hand.doing = async () => {
      await ending.opened;
      return { output: 'too late' };
    };
    const rig = new Rig({ workflows: [workflow('w', [undoable('a')])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.api.cancel('x', ANN, { compensate: false });
    const before = await rig.api.get('x');
    ending.open();
    expect(await rig.api.untilRest('x')).toEqual(before);
    expect(before).toMatchObject({
      status: 'cancelled',
      stages: [{ tasks: [{ status: 'cancelled', output: null }] }],
    });
    await rig.expectQuiet();
  });

  it('while the result of the attempt is being saved wins over it, and the result is recorded as late', async () => {
    const hand = new Hand('do', ['do'], 1);
    hand.doing = () => ({ artifacts: [{ name: 'big', kind: 'code', content: 'x'.repeat(10_000) }] });
    const last = { name: 'c', agents: ['do'], approval_required: true };
    const rig = new Rig({ workflows: [workflow('w', ['a', undoable('b'), last])], agents: [hand] });
    const held = gate();
    rig.store.meet = (call) => (call === 'saveBlob' && hand.orders.length === 2 ? held.opened : undefined);
    await rig.start('w', 'x');
    await rig.clock.advance(0);
    expect((await rig.api.rollback('x', ANN, 'a')).status).toBe('active');
    await rig.clock.advance(0);
    held.open();
    await rig.clock.advance(0);
    expect((await rig.api.untilRest('x')).status).toBe('waiting_approval');
    expect(hand.log).toEqual(['a#1', 'b#1', 'b#2']);
    const late = (await rig.events('x')).filter((event) => event.type === 'late_result_ignored');
    expect(late).toMatchObject([{ stage: 'b', attempt: 1, outcome: 'completed' }]);
    await rig.expectQuiet();
  });

  it('gives up waiting for an agent that ignores it', async () => {
    const hand = new Hand('do');
    hand.doing = () => new Promise(() => {});
    const rig = new Rig({ workflows: [workflow('w', [undoable('a')])], agents: [hand] });
    await rig.start('w', 'x');
    await rig.api.cancel('x', ANN, { compensate: true });
    const resting = rig.api.untilRest('x');
    await rig.clock.advance(5_000);
    expect((await resting).status).toBe('cancelled');
    await rig.expectQuiet();
  });
});

describe('a rollback', () => {
  it('to a stage is previewed as it is done, and goes on from there as a new run', async () => {
    const hand = new Hand('do');
    const stages = [
      undoable('a'),
      undoable('b'),
      undoable('c'),
      { ...undoable('d'), approval_required: true },
    ];
    const rig = new Rig({ workflows: [workflow('w', stages)], agents: [hand] });
    await rig.run('w', 'x');
    expect(await rig.api.previewRollback('x', 'a')).toEqual({
      target: { end: 'resume', to: 'a' },
      entries: [
        { stage: 'c', agents: ['do'], skip: null },
        { stage: 'b', agents: ['do'], skip: null },
      ],
    });
    const revision = (await rig.api.get('x')).revision;
    expect((await rig.api.rollback('x', ANN, 'a')).revision).toBe(revision + 1);
    expect((await rig.api.untilRest('x')).status).toBe('waiting_approval');
    expect(hand.log).toEqual(['a#1', 'b#1', 'c#1', 'undo c#1', 'undo b#1', 'b#2', 'c#2']);
    expect(hand.orders.at(-1)?.idempotency_key).toBe('x/c/do/execute/2');
    await rig.api.approve('x', 'd', ANN);
    expect((await rig.api.untilRest('x')).status).toBe('completed');
    await rig.expectQuiet();
  });

  it('is previewed with the refusals that it would meet', async () => {
    const hand = new Hand('do');
    const stages = [
      undoable('a'),
      { ...undoable('b'), irreversible: true, approval_required: true },
      { ...undoable('c'), approval_required: true },
    ];
    const rig = new Rig({ workflows: [workflow('w', stages)], agents: [hand] });
    await rig.run('w', 'x');
    for (const [to, code] of [
      ['nope', 'stage_unknown'],
      ['c', 'not_rollbackable'],
    ]) {
      await expect(rig.api.previewRollback('x', to)).rejects.toMatchObject({ code });
      await expect(rig.api.rollback('x', ANN, to)).rejects.toMatchObject({ code });
    }
    expect((await rig.api.previewRollback('x')).entries).toEqual([
      { stage: 'a', agents: ['do'], skip: null },
    ]);
    await rig.api.approve('x', 'b', ANN);
    await rig.api.untilRest('x');
    for (const to of [undefined, 'a']) {
      await expect(rig.api.previewRollback('x', to)).rejects.toMatchObject({ code: 'point_of_no_return' });
    }
    await rig.api.cancel('x', ANN, { compensate: false });
    await expect(rig.api.previewRollback('x')).rejects.toMatchObject({ code: 'instance_ended' });
    await rig.expectQuiet();
  });
});

describe('a retry', () => {
  it('of a failed instance is a successor that takes over what still stands, made once', async () => {
    const hand = new Hand('do');
    hand.doing = failing('c');
    const rig = new Rig({ workflows: [workflow('w', ['a', undoable('b'), 'c'])], agents: [hand] });
    await rig.run('w', 'x');
    hand.doing = () => undefined;
    const [one, two] = await Promise.all([rig.api.retry('x', ANN), rig.api.retry('x', ANN)]);
    expect(one.id).toBe(two.id);
    expect(one).toMatchObject({ retryOf: 'x', input: { inline: '{}' } });
    expect(one.id).not.toBe('x');
    expect((await rig.api.untilRest(one.id)).status).toBe('completed');
    expect(hand.log).toEqual(['a#1', 'b#1', 'c#1', 'undo b#1', 'b#1', 'c#1']);
    expect((await rig.api.get('x')).status).toBe('failed');
    await rig.expectQuiet();
  });

  it('or a resume of an instance with attempts under way is refused or changes nothing of them', async () => {
    const hand = new Hand('do');
    const ending = gate();
    hand.doing = () => ending.opened;
    const template = workflow('w', [
      { name: 'a', agents: ['do'], needs: [] },
      { name: 'b', agents: ['nobody'], needs: [] },
    ]);
    const rig = new Rig({ workflows: [template], agents: [hand] });
    await rig.start('w', 'x');
    await expect(rig.api.retry('x', ANN)).rejects.toMatchObject({ code: 'not_retryable' });
    expect((await rig.api.resume('x', ANN)).status).toBe('active');
    ending.open();
    expect((await rig.api.untilRest('x')).status).toBe('blocked');
    expect((await rig.api.retry('x', ANN)).status).toBe('blocked');
    expect(hand.log).toEqual(['a#1']);
    await rig.expectQuiet();
  });
});
