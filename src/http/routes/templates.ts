import type { z } from 'zod';
import { nearest } from '../../config/text.js';
import type { SharedUse } from '../../core/budget.js';
import { VaporaError } from '../../core/errors.js';
import type { WorkflowTemplate } from '../../core/template.js';
import type { App, ServerContext } from '../context.js';
import { getTemplate, listTemplates, type Template } from '../contract/templates.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';

export function templateRoutes(app: App, context: ServerContext): void {
  const answer = async (template: WorkflowTemplate) =>
    templateToWire(template, await context.sharedUse(template));
  addRoute(app, listTemplates, async () => ({
    templates: await Promise.all([...context.templates().values()].map(answer)),
  }));
  addRoute(app, getTemplate, async ({ params }) => {
    const templates = context.templates();
    const template = templates.get(params.name);
    if (template !== undefined) return answer(template);
    const meant = nearest(params.name, templates.keys());
    throw new VaporaError(
      'workflow_unknown',
      `there is no workflow \`${params.name}\``,
      meant === undefined ? {} : { hint: `did you mean \`${meant}\`?` },
    );
  });
}

function templateToWire(template: WorkflowTemplate, use: SharedUse | null): z.output<typeof Template> {
  const { trigger, sharedBudget: limits } = template;
  const kind = trigger === 'manual' ? trigger : trigger.kind;
  const sharedBudget = use === null ? null : { ...limits, ...use };
  return toWire({ ...template, trigger: kind, sharedBudget }) as z.output<typeof Template>;
}
