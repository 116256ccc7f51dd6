import { describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../core/ports.js';
import { summaryOf } from '../store/listing.js';
import { ANN, BOB, Hand, RecordingAuthorizer, Rig, workflow } from './orchestrator.suite.js';
import { readRequest } from './requests.js';

const NO_LIMITS = { tokens: -1, microUsd: -1, seconds: -1 };
/** How long agents were at it is the machine's affair. */
const AMOUNTS = { tokens: 0, microUsd: 0, seconds: expect.any(Number) };

/** Everything that the authorizer was asked while a gated workflow ran to its end. */
async function asked(): Promise<Map<string, AuthorizationRequest>> {
  const authorizer = new RecordingAuthorizer();
  const stages = [
    'a',
    { name: 'b', agents: ['do', 'check'], approval_required: true },
    { name: 'c', agents: ['do'], irreversible: true },
  ];
  const rig = new Rig({
    workflows: [workflow('w', stages, { cedarPolicyDir: '/policies' })],
    agents: [new Hand('do', ['do', 'check'])],
    authorizer,
  });
  await rig.api.start({ workflow: 'w', id: 'x', initiator: ANN, labels: { env: 'prod' } });
  await rig.api.untilRest('x');
  await rig.api.approve('x', 'b', BOB);
  await rig.api.untilRest('x');
  await rig.api.resume('x', BOB);
  return new Map(authorizer.asked.map((request) => [`${request.action} ${request.resource.id}`, request]));
}

describe('the authorizer', () => {
  it('is asked with everything that a policy may look at', async () => {
    const requests = await asked();
    const context = {
      initiator: ANN,
      instance: 'x',
      attempt: 1,
      labels: { env: 'prod' },
      agents: [],
      approvals: [],
      irreversible: false,
      spent: AMOUNTS,
      budget: NO_LIMITS,
      stageSpent: AMOUNTS,
      stageBudget: NO_LIMITS,
      sharedSpent: AMOUNTS,
      sharedBudget: NO_LIMITS,
    };
    const bob = { type: 'User', id: 'bob', groups: [] };
    const engine = { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] };
    const stage = (id: string) => ({ type: 'Stage', id, workflow: 'w' });
    const approvals = [{ stage: 'b', by: 'bob' }];
    expect([...requests.values()]).toEqual([
      {
        principal: { type: 'User', id: 'ann', groups: ['ops'] },
        action: 'start-workflow',
        resource: { type: 'Workflow', id: 'w' },
        context,
      },
      {
        principal: engine,
        action: 'execute-stage',
        resource: stage('a'),
        context: { ...context, agents: ['do'] },
      },
      {
        principal: bob,
        action: 'approve-stage',
        resource: stage('b'),
        context: { ...context, agents: ['do', 'check'] },
      },
      {
        principal: engine,
        action: 'execute-stage',
        resource: stage('b'),
        context: { ...context, agents: ['do', 'check'], approvals },
      },
      ...['execute-stage', 'pass-point-of-no-return'].map((action) => ({
        principal: engine,
        action,
        resource: stage('c'),
        context: { ...context, agents: ['do'], approvals, irreversible: true },
      })),
      {
        principal: bob,
        action: 'resume-workflow',
        resource: { type: 'Instance', id: 'x', workflow: 'w' },
        context: { ...context, approvals },
      },
    ]);
  });
});

describe('whoever looks at an instance', () => {
  it('is asked for the same from a list as from the instance: its initiator with the groups of then', async () => {
    const rig = new Rig({ workflows: [workflow('w', ['a'])], agents: [new Hand('do')] });
    await rig.start('w', 'x');
    const instance = await rig.api.untilRest('x');
    const request = readRequest(BOB, instance);
    expect(readRequest(BOB, summaryOf(instance))).toEqual(request);
    expect(request.context.initiator).toEqual(ANN);
  });
});
