/** Workflow templates: what new instances are started with. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Digest, Name } from './shapes.js';

const tag = 'templates';

export const Template = z
  .object({
    name: z.string(),
    hash: Digest,
    trigger: z.string(),
    stages: z.array(
      z.object({
        name: z.string(),
        agents: z.array(z.string()),
        needs: z.array(z.string()),
        approval_required: z.boolean(),
        compensation_agents: z.array(z.string()),
        irreversible: z.boolean(),
        timeout_ms: z.number().nullable(),
      }),
    ),
    timeout_ms: z.number().nullable(),
    on_deny: z.enum(['block', 'compensate']),
  })
  .meta({ id: 'Template' });

export const listTemplates = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/templates`,
  id: 'listTemplates',
  tag,
  summary: 'list the workflows that can be started',
  answer: z.object({ templates: z.array(Template) }),
});

export const getTemplate = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/templates/:name`,
  id: 'getTemplate',
  tag,
  summary: 'show a workflow',
  params: z.object({ name: Name }),
  answer: Template,
});
