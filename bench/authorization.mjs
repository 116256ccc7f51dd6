// What one decision of the policies costs, in microseconds: once asked before, and asked for the first time. Prints one JSON line.
import { fileURLToPath } from 'node:url';
import { CedarAuthorizer } from '../dist/index.js';
import { median } from './workload.mjs';

const POLICIES = fileURLToPath(new URL('../examples/deploy/policies', import.meta.url));
const authorizer = await CedarAuthorizer.loadFromDir(POLICIES);

const NONE = { tokens: 0, microUsd: 0, seconds: 0 };
const UNLIMITED = { tokens: -1, microUsd: -1, seconds: -1 };
const AMOUNTS = {
  spent: NONE,
  budget: UNLIMITED,
  stageSpent: NONE,
  stageBudget: UNLIMITED,
  sharedSpent: NONE,
  sharedBudget: UNLIMITED,
};

/** As the engine asks before a stage; of another `initiator` it is another question to these policies, of another `instance` it is not. */
function request(instance, initiator) {
  return {
    principal: { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] },
    action: 'execute-stage',
    resource: { type: 'Stage', id: 'deploy', workflow: 'deploy' },
    context: {
      initiator: { user: initiator, groups: ['developers'] },
      instance,
      attempt: 1,
      labels: { env: 'production', team: 'shop' },
      agents: ['deployer'],
      approvals: [{ stage: 'deploy', by: 'bea' }],
      irreversible: false,
      ...AMOUNTS,
    },
  };
}

/** Median of rounds, each of so many questions. */
function measure(rounds, questions, initiatorOf) {
  const micros = [];
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    for (let n = 0; n < questions; n += 1) {
      const number = round * questions + n;
      authorizer.authorize(request(`instance-${number}`, initiatorOf(number)));
    }
    micros.push(((performance.now() - began) / questions) * 1_000);
  }
  return median(micros);
}

measure(20, 100, (n) => `warm-up-${n}`);
const notRememberedMicros = measure(30, 100, (n) => `person-${n}`);
const rememberedMicros = measure(30, 1_000, () => 'ann');
process.stdout.write(`${JSON.stringify({ rememberedMicros, notRememberedMicros })}\n`);
authorizer.close();
