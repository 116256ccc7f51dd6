/** Workflow templates: what new instances are started with. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Digest, Name, Time } from './shapes.js';

const tag = 'templates';

const limits = {
  tokens: z.number().nullable(),
  micro_usd: z.number().nullable(),
  ms: z.number().nullable(),
};
const Budget = z.object(limits).nullable();

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
        budget: Budget,
      }),
    ),
    timeout_ms: z.number().nullable(),
    on_deny: z.enum(['block', 'compensate']),
    budget: Budget.meta({ description: 'of one instance' }),
    shared_budget: z
      .object({
        ...limits,
        per: z.enum(['hour', 'day', 'week', 'month']),
        spent: z.object({ tokens: z.number(), micro_usd: z.number(), ms: z.number() }),
        from_at: Time,
        until_at: Time,
      })
      .nullable()
      .meta({ description: 'of all instances together, and what they have used in the present window' }),
    on_breach: z.enum(['pause', 'compensate']),
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
