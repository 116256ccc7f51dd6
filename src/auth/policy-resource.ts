/** Which workflow's stage or instance is meant by who asks the policies something. */
import { nearest, quoted } from '../config/text.js';
import { VaporaError } from '../core/errors.js';
import type { AuthorizationRequest } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';

type Templates = ReadonlyMap<string, WorkflowTemplate>;

/** A stage is in a workflow; where only one has it, that one is meant. Throws `stage_unknown`, `usage`, `workflow_unknown`. */
export function withWorkflow(
  request: AuthorizationRequest,
  named: string | undefined,
  templates: Templates,
): AuthorizationRequest {
  const { resource } = request;
  const names = [...templates.keys()];
  if (named !== undefined && !templates.has(named)) {
    throw new VaporaError('workflow_unknown', `there is no workflow ${quoted(named)}`, hintOf(named, names));
  }
  if (resource.type !== 'Stage' && resource.type !== 'Instance') return request;
  if (resource.workflow !== '') return request;
  const workflow = named ?? onlyOneWith(resource, templates);
  return { ...request, resource: { ...resource, workflow } };
}

function onlyOneWith(
  resource: { readonly type: 'Stage' | 'Instance'; readonly id: string },
  templates: Templates,
): string {
  const all = [...templates.values()];
  const having =
    resource.type === 'Instance'
      ? all
      : all.filter(({ stages }) => stages.some(({ name }) => name === resource.id));
  const [only, ...others] = having;
  if (only === undefined) {
    const names = all.flatMap(({ stages }) => stages.map(({ name }) => name));
    throw new VaporaError(
      'stage_unknown',
      `no workflow has a stage ${quoted(resource.id)}`,
      hintOf(resource.id, names),
    );
  }
  if (others.length === 0) return only.name;
  const listed = having.map(({ name }) => quoted(name)).join(', ');
  throw new VaporaError(
    'usage',
    `${resource.type.toLowerCase()} ${quoted(resource.id)} could be in ${listed}`,
    {
      hint: 'say which with `--workflow`',
    },
  );
}

function hintOf(wanted: string, names: readonly string[]): { hint?: string } {
  const near = nearest(wanted, names);
  return near === undefined ? {} : { hint: `did you mean ${quoted(near)}?` };
}
