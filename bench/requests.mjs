// What the engine asks the policies before a stage.

const NONE = { tokens: 0, microUsd: 0, seconds: 0 };
const UNLIMITED = { tokens: -1, microUsd: -1, seconds: -1 };

/** Of another `workflow` it is another question; with another `context` where the policies look at what it says. */
export function executeStage(context, workflow = 'deploy') {
  return {
    principal: { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] },
    action: 'execute-stage',
    resource: { type: 'Stage', id: 'deploy', workflow },
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
