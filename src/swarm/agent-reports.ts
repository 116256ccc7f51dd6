/** The agents for whoever looks at them. */
import type { AgentApi, AgentReport } from '../core/api.js';
import { scoreOf } from '../core/assignment.js';
import type { RemoteTransport } from '../transport/remote.js';
import type { SwarmCoordinator } from './coordinator.js';

/** `remote`: those that call over the network; null: none do. */
export function agentApi(
  swarm: Pick<SwarmCoordinator, 'status'>,
  remote: Pick<RemoteTransport, 'registered'> | null,
): AgentApi {
  return {
    agents: async () => {
      const registered = new Map(remote?.registered().map((agent) => [agent.name, agent]));
      return swarm
        .status()
        .map((agent): AgentReport => {
          const elsewhere = registered.get(agent.name);
          return {
            ...agent,
            score: scoreOf({ ...agent, lastAssigned: 0 }),
            isRemote: elsewhere !== undefined,
            version: elsewhere?.version ?? null,
            seenAt: elsewhere?.seenAt ?? null,
          };
        })
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}
