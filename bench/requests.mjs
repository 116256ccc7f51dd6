// What the engine asks the policies before a stage.

const NONE = { tokens: 0, microUsd: 0, seconds: 0 };
const UNLIMITED = { tokens: -1, microUsd: -1, seconds: -1 };

/** It is another question where `context` says something else that the policies look at. */
export function executeStage(context) {
  return {
    principal: { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] },
    action: 'execute-stage',
    resource: { type: 'Stage', id: 'deploy', workflow: 'deploy' },
    context: {
      initiator: { user: 'ann', groups: ['developers'] },
      instance: 'instance-0',
      attempt: 1,
      labels: { env: 'production', team: 'shop' },
      agents: ['deployer'],
      approvals: [{ stage: 'deploy', by: 'bea' }],
      irreversible: false,
      spent: NONE,
      budget: UNLIMITED,
      stageSpent: NONE,
      stageBudget: UNLIMITED,
      sharedSpent: NONE,
      sharedBudget: UNLIMITED,
      ...context,
    },
  };
}
