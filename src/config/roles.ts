/** Which roles workflows ask for, and which are served. */
import type { WorkflowTemplate } from '../core/template.js';
import { quoted } from './text.js';

export interface RoleUse {
  readonly role: string;
  readonly workflow: string;
  readonly stage: string;
  readonly key: 'agents' | 'compensation_agents';
  readonly index: number;
}

/** Uses of roles outside `served`, in the templates' order. */
export function unservedRoles(
  templates: Iterable<WorkflowTemplate>,
  served: ReadonlySet<string>,
): readonly RoleUse[] {
  const uses: RoleUse[] = [];
  for (const template of templates) {
    for (const stage of template.stages) {
      const lists = { agents: stage.agents, compensation_agents: stage.compensationAgents } as const;
      for (const key of ['agents', 'compensation_agents'] as const) {
        for (const [index, role] of lists[key].entries()) {
          if (!served.has(role)) uses.push({ role, workflow: template.name, stage: stage.name, key, index });
        }
      }
    }
  }
  return uses;
}

export function unservedMessage(use: RoleUse): string {
  const what = use.key === 'agents' ? 'agent role' : 'compensation agent role';
  return `stage ${quoted(use.stage)} names unknown ${what} ${quoted(use.role)}`;
}
