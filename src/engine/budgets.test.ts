/** What agents say that they have used: kept in the history, seen by policies, and a bound to what comes next. */
import { describe, expect, it } from 'vitest';
import type { Agent } from '../agent/agent.js';
import { defineWorkflow } from '../config/define.js';
import type { WorkflowTemplate } from '../core/template.js';
import { TestClock } from '../testing/test-clock.js';
import { ANN, BOB, gate, Hand, hang, RecordingAuthorizer, Rig } from './orchestrator.suite.js';

const writer: Agent = {
  name: 'writer',
  roles: ['write'],
  execute: () => ({ usage: { model: 'm', input_tokens: 90, output_tokens: 10, usd: 0.25 } }),
};

function rigOf(agent: Agent, more: object = {}): { rig: Rig; authorizer: RecordingAuthorizer } {
  const authorizer = new RecordingAuthorizer();
  const stages = ['a', 'b', 'c'].map((name) => ({ name, agents: ['write'], budget: { usd: 1 } }));
  const workflow = defineWorkflow({ name: 'w', stages, budget: { tokens: 100 }, ...more });
  return { rig: new Rig({ workflows: [workflow], agents: [agent], authorizer }), authorizer };
}

it('is kept with the attempt, shown to policies, and halts the instance until somebody grants it again', async () => {
  const { rig, authorizer } = rigOf(writer);
  await rig.api.start({ workflow: 'w', id: 'x', initiator: ANN });
  const blocked = await rig.api.untilRest('x');
  expect(blocked.status).toBe('blocked');
  expect(blocked.stages[1]?.block).toEqual({
    code: 'budget_exceeded',
    message: 'instance `x` has used 100 tokens of 100 tokens',
  });
  await rig.api.resume('x', BOB);
  await rig.api.untilRest('x');
  await rig.api.resume('x', BOB);
  const done = await rig.api.untilRest('x');
  expect([done.status, done.grants]).toEqual(['completed', 2]);
  const usage = { model: 'm', inputTokens: 90, outputTokens: 10, microUsd: 250_000 };
  const completed = rig.heard.filter((event) => event.type === 'task_completed');
  expect(completed).toMatchObject([{ usage }, { usage }, { usage }]);
  expect(
    authorizer
      .contextsOf('execute-stage')
      .map(({ spent, budget, stageSpent, stageBudget }) => [spent, budget, stageSpent, stageBudget]),
  ).toEqual(
    [0, 1, 2].map((before) => [
      { tokens: before * 100, microUsd: before * 250_000, seconds: 0 },
      { tokens: 100 + before * 100, microUsd: -1, seconds: -1 },
      { tokens: 0, microUsd: 0, seconds: 0 },
      { tokens: -1, microUsd: 1_000_000, seconds: -1 },
    ]),
  );
});

it('has the next stage fail, and the ones before taken back, where so configured', async () => {
  const { rig } = rigOf(writer, { on_breach: 'compensate' });
  await rig.api.start({ workflow: 'w', id: 'x', initiator: ANN });
  const instance = await rig.api.untilRest('x');
  expect([instance.status, instance.error?.code]).toEqual(['failed', 'budget_exceeded']);
});

it.each([
  [{ input_tokens: -1 }, 'returned `usage` with `-1` as `input_tokens`'],
  [{ output_tokens: 1.5 }, 'returned `usage` with `1.5` as `output_tokens`'],
  [{ usd: '1' }, 'returned `usage` with `1` as `usd`'],
  [{ usd: 1e9 }, 'returned `usage` with `1000000000` as `usd`'],
  [{ model: 7 }, 'returned `usage` with a `model` that is no text of at most 200 characters'],
  [{ tokens: 1 }, 'returned `usage` with the unknown key `tokens`'],
  [7, 'returned `usage` that is no object: `7`'],
])('is refused where it is nothing that can be counted: %j', async (usage, message) => {
  const { rig } = rigOf({ ...writer, execute: () => ({ usage: usage as object }) });
  await rig.api.start({ workflow: 'w', id: 'x', initiator: ANN });
  const { error } = await rig.api.untilRest('x');
  expect(error?.code).toBe('agent_protocol');
  expect(error?.message).toContain(message);
});

it('has an agent stopped that would use more seconds than are left, and told so beforehand', async () => {
  const hand = new Hand('write');
  hand.doing = hang;
  const stages = [{ name: 'a', agents: ['write'], budget: { seconds: 30 } }];
  const workflow = defineWorkflow({ name: 'w', stages, budget: { seconds: 45 } });
  const rig = new Rig({ workflows: [workflow], agents: [hand], clock: new TestClock() });
  const startedAt = rig.clock.now();
  await rig.start('w', 'x');
  await rig.clock.advance(29_999);
  expect(hand.orders.map(({ deadline_at: at }) => at)).toEqual([startedAt + 30_000]);
  expect((await rig.api.get('x')).status).toBe('active');
  await rig.clock.advance(1);
  const blocked = await rig.api.untilRest('x');
  expect(blocked.stages[0]).toMatchObject({ block: { code: 'budget_exceeded' }, spent: { ms: 30_000 } });
  expect(await rig.types('x')).toContain('task_interrupted');
  // the stage may go on for as long as before, the instance for half of that
  await rig.api.resume('x', BOB);
  await rig.clock.advance(15_000);
  expect((await rig.api.untilRest('x')).stages[0]?.block?.message).toContain(
    'instance `x` has used 45 seconds',
  );
  expect(hand.orders.map(({ deadline_at: at }) => at)).toEqual([startedAt + 30_000, startedAt + 45_000]);
  await rig.expectQuiet();
});

describe('a budget that instances share', () => {
  const DAY_MS = 86_400_000;
  const amounts = (tokens: number, microUsd = -1) => ({ tokens, microUsd, seconds: expect.any(Number) });

  function sharing(agent: Agent, more: object = {}): { rig: Rig; authorizer: RecordingAuthorizer } {
    const authorizer = new RecordingAuthorizer();
    const clock = new TestClock();
    const workflow = defineWorkflow({
      name: 'w',
      stages: ['a', 'b'].map((name) => ({ name, agents: ['write'] })),
      shared_budget: { per: 'day', tokens: 300 },
      ...more,
    });
    return { rig: new Rig({ workflows: [workflow], agents: [agent], authorizer, clock }), authorizer };
  }

  it('holds whatever comes next of any of them, after a restart too, and lets it go on the next day', async () => {
    const { rig, authorizer } = sharing(writer);
    expect((await rig.run('w', 'x')).status).toBe('completed');
    const next = rig.crash();
    await next.api.recover();
    const blocked = await next.run('w', 'y');
    const { untilAt = 0 } = (await next.api.sharedUse(workflowOf(next))) ?? {};
    expect(blocked.stages.map(({ status, block }) => [status, block?.code, block?.liftsAt])).toEqual([
      ['completed', undefined, undefined],
      ['pending', 'budget_exceeded', untilAt],
    ]);
    expect(
      authorizer
        .contextsOf('execute-stage')
        .map(({ sharedSpent, sharedBudget }) => [sharedSpent, sharedBudget]),
    ).toEqual([0, 100, 200].map((spent) => [amounts(spent, spent * 2_500), amounts(300)]));
    expect(next.api.sharedRatios()).toEqual([{ workflow: 'w', ratio: 1 }]);
    // it sleeps until then, and so does another engine that finds it so
    const third = next.crash();
    await third.api.recover();
    await third.clock.advance(DAY_MS);
    expect((await third.api.untilRest('y')).status).toBe('completed');
    expect((await third.api.sharedUse(workflowOf(third)))?.spent.tokens).toBe(100);
    await third.expectQuiet();
  });

  it('is overrun by what is with agents already, and by nothing that is dispatched later', async () => {
    const hand = new Hand('write', ['write'], 20);
    const held = gate();
    hand.doing = async () => {
      await held.opened;
      return { usage: { input_tokens: 100 } };
    };
    const { rig } = sharing(hand);
    const ids = Array.from({ length: 10 }, (_, index) => `i${index}`);
    await Promise.all(ids.map((id) => rig.start('w', id)));
    await rig.clock.advance(0);
    held.open();
    await rig.clock.advance(0);
    for (const id of ids) await rig.api.untilRest(id);
    // ten were in flight; those that ended first found the rest of the budget and went on
    const spent = (await rig.api.sharedUse(workflowOf(rig)))?.spent.tokens ?? 0;
    expect(spent).toBe(hand.log.length * 100);
    expect(hand.log.length).toBeGreaterThanOrEqual(10);
    expect(hand.log.length).toBeLessThanOrEqual(12);
    const late = await rig.run('w', 'late');
    expect([late.status, late.stages[0]?.tasks]).toEqual(['blocked', []]);
  });

  it('frees the agent of a task that was held when one was found for it', async () => {
    const hand = new Hand('write', ['write'], 1);
    const first = gate();
    hand.doing = async () => {
      await first.opened;
      return { usage: { input_tokens: 300 } };
    };
    const { rig } = sharing(hand);
    await rig.start('w', 'x');
    await rig.start('w', 'y');
    await rig.clock.advance(0);
    expect(rig.api.swarm.queued).toBe(1);
    first.open();
    for (const id of ['x', 'y']) expect((await rig.api.untilRest(id)).status).toBe('blocked');
    expect(hand.log).toEqual(['a#1']);
    await rig.api.resume('y', BOB);
    await rig.clock.advance(0);
    expect(hand.log).toEqual(['a#1', 'a#1']);
  });

  function workflowOf(rig: Rig): WorkflowTemplate {
    const [template] = rig.data.templates.values();
    if (template === undefined) throw new Error('a template was saved');
    return template;
  }
});
