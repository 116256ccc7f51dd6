/** Webhooks: requests of other systems that start instances. Their signature says who they are. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Name } from './shapes.js';

export const deliverWebhook = endpoint({
  method: 'POST',
  path: `${API_PREFIX}/hooks/:workflow`,
  id: 'deliverWebhook',
  tag: 'webhooks',
  summary: 'start an instance by a signed request',
  description:
    'The body is JSON, signed with the secret of the webhook. The same delivery sent again starts nothing again.',
  access: 'open',
  params: z.object({ workflow: Name }),
  answer: z.object({
    workflow_id: z.string().nullable().meta({ description: 'null: it matches nothing that starts one' }),
    is_new: z.boolean(),
  }),
  status: 202,
});
