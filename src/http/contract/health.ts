/** Whether the server is well, and how far it has recovered. */
import { z } from 'zod';
import { endpoint } from './endpoint.js';
import { Time } from './shapes.js';

const tag = 'operation';

const Reload = z.object({
  at: Time,
  ok: z.boolean(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type ReloadReport = z.output<typeof Reload>;

export const Health = z
  .object({
    status: z.enum(['ok', 'stopping']),
    version: z.string(),
    authentication: z.enum(['on', 'off']),
    warnings: z.array(z.string()).meta({ description: 'what protects in production and is off here' }),
    last_reload: Reload.nullable().meta({
      description: 'of the configuration and the policies; null: none yet',
    }),
  })
  .meta({ id: 'Health' });
export type HealthReport = z.output<typeof Health>;

export const Ready = z
  .object({
    ready: z.boolean(),
    recovery: z.object({
      state: z.enum(['running', 'done']),
      woken: z.int().meta({ description: 'instances that go on again so far' }),
    }),
  })
  .meta({ id: 'Ready' });
export type ReadyReport = z.output<typeof Ready>;

export const getHealth = endpoint({
  method: 'GET',
  path: '/health',
  id: 'getHealth',
  tag,
  summary: 'whether the process is alive, and what is off',
  access: 'open',
  answer: Health,
});

export const getReady = endpoint({
  method: 'GET',
  path: '/ready',
  id: 'getReady',
  tag,
  summary: 'whether the server takes work, and how far it has recovered',
  description: 'Takes work while it recovers. Status 503 once it is stopping.',
  access: 'open',
  answer: Ready,
});

export const getMetrics = endpoint({
  method: 'GET',
  path: '/metrics',
  id: 'getMetrics',
  tag,
  summary: 'what Prometheus scrapes',
  answer: 'text/plain',
});
