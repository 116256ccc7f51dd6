/** What agents say that they have used: kept in the history, seen by policies, and a bound to what comes next. */
import { expect, it } from 'vitest';
import type { Agent } from '../agent/agent.js';
import { defineWorkflow } from '../config/define.js';
import type { AuthorizationContext, AuthorizationRequest } from '../core/ports.js';
import { ANN, BOB, Rig } from './orchestrator.suite.js';

const writer: Agent = {
  name: 'writer',
  roles: ['write'],
  execute: () => ({ usage: { model: 'm', input_tokens: 90, output_tokens: 10, usd: 0.25 } }),
};

function rigOf(agent: Agent, more: object = {}): { rig: Rig; asked: AuthorizationContext[] } {
  const asked: AuthorizationContext[] = [];
  const decision = {
    effect: 'allow',
    policies: ['p'],
    reason: 'permitted by p',
    errors: [],
    policySet: null,
  } as const;
  const authorizer = {
    isEnforcing: true,
    policySet: null,
    authorize: ({ action, context }: AuthorizationRequest) => {
      if (action === 'execute-stage') asked.push(context);
      return decision;
    },
  };
  const stages = ['a', 'b', 'c'].map((name) => ({ name, agents: ['write'], budget: { usd: 1 } }));
  const workflow = defineWorkflow({ name: 'w', stages, budget: { tokens: 100 }, ...more });
  return { rig: new Rig({ workflows: [workflow], agents: [agent], authorizer }), asked };
}

it('is kept with the attempt, shown to policies, and halts the instance until somebody grants it again', async () => {
  const { rig, asked } = rigOf(writer);
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
    asked.map(({ spent, budget, stageSpent, stageBudget }) => [spent, budget, stageSpent, stageBudget]),
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
