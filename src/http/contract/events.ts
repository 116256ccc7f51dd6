/** What happened: histories, and what happens as it happens. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { InstanceParams, Time } from './shapes.js';

const tag = 'events';

/** Fields beside these depend on the type; they are described in the documentation. */
export const Event = z
  .looseObject({ seq: z.int(), at: Time, workflow_id: z.string(), type: z.string() })
  .meta({ id: 'Event' });

export const listEvents = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/events`,
  id: 'listEvents',
  tag,
  summary: 'what happened to an instance, event by event',
  params: InstanceParams,
  query: z.object({
    after: z.coerce.number().int().min(0).default(0).meta({ description: '`seq` of the last event known' }),
    limit: z.coerce.number().int().min(1).max(1_000).default(200),
  }),
  answer: z.object({ events: z.array(Event), next: z.int().nullable() }),
});

const Stream = z.object({
  after: z
    .string()
    .max(100)
    .optional()
    .meta({ description: 'as the header `Last-Event-ID`, for callers that cannot set one' }),
});

export const streamInstance = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/events/stream`,
  id: 'streamInstance',
  tag,
  summary: 'events of an instance as they happen, as server-sent events',
  params: InstanceParams,
  query: Stream,
  answer: 'text/event-stream',
});

export const streamAll = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/events/stream`,
  id: 'streamAll',
  tag,
  summary: 'events of all instances that the caller may read, as server-sent events',
  query: Stream,
  answer: 'text/event-stream',
});
