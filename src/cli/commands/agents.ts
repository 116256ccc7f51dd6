/** `vapora agents`: who carries tasks out, and how each does. */
import type { AgentReport } from '../../core/api.js';
import { agentJson } from '../json.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, moment } from '../text.js';

export async function listAgents(shell: Shell): Promise<number> {
  return readEngine(shell, async ({ agents }) => {
    const reports = await agents.agents();
    shell.json({ agents: reports.map(agentJson) });
    shell.say(...agentLines(reports, shell));
    return 0;
  });
}

export function agentLines(reports: readonly AgentReport[], { colors }: Pick<Shell, 'colors'>): string[] {
  if (reports.length === 0) return ['no agents: none is configured, and none has registered'];
  const rows = reports.map((agent) => [
    clean(agent.name),
    clean(agent.roles.join(', ')),
    `${agent.inFlight}/${agent.capacity}`,
    agent.score.toFixed(2),
    agent.seenAt === null ? 'here' : moment(agent.seenAt),
    clean(agent.version ?? ''),
  ]);
  return tableLines(['AGENT', 'ROLES', 'IN FLIGHT', 'SCORE', 'SEEN', 'VERSION'], rows, colors);
}
